"""Form: turns, parts, signs that no person speaks, loops, length, language."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

from persllm.annotation import is_foreign
from persllm.checks.case import Case
from persllm.checks.known import tools_of
from persllm.checks.marks import marks

PARTS = re.compile(
    r"[\[【［(（]\s*(?:analysis|response|mistaken|分析|回应|回答|误答)\s*[\]】］)）]|</?think>|^\W*(?:analysis|response|分析|回应)\s*[:：]",
    re.I,
)
"""Marks of analysis and response; inside either they show that the parts were not told apart."""
JUNK = (
    ("markdown", re.compile(r"^\s{0,3}#{1,6}\s|\*\*[^*\n]+\*\*|__[^_\n]+__|```|^\s*(?:[-*•]|\d{1,2}[.)])\s+\S.*\n+\s*(?:[-*•]|\d{1,2}[.)])\s+\S", re.MULTILINE)),
    ("braces", re.compile(r"\{[^{}\n]*\}|\{\s*\"|<\|[^|<>]*\|>|</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|\[/?[A-Z]{3,}\]|https?://", re.IGNORECASE)),
    ("a place to fill", re.compile(r"\[(?:insert|your|name|date|place|city|year|person|xxx?)[^\]]*\]|【[^】]*(?:插入|填写|姓名)[^】]*】|\bX{3,}\b", re.IGNORECASE)),
    ("a stage direction", re.compile(r"\*[A-Za-z\u3400-\u9fff][^*\n]{2,}\*")),
    ("broken characters", re.compile("\ufffd|â€|Ã[\u0080-\u00bf]|\\\\n|\\\\u[0-9a-f]{4}")),
)  # fmt: skip
SPEAKER = re.compile(r"^\s*(?:user|assistant|human|system|ai|用户|助手|系统)\s*[:：]", re.IGNORECASE | re.MULTILINE)
MOST_REPEATED = 3
"""A sentence that comes so often in one answer is a model running in circles."""
LONG_SENTENCE = 6
"""A sentence of so many words is not said twice in one answer."""
LEAST_CUT = 3
"""Words from which a sentence without an end was cut off."""
LEAST_JUDGED = 8
"""Words below which the language is not judged by function words."""
LEAST_COMMON = 0.15
"""Share of function words that every English talk has."""


def format_fault(case: Case) -> str:
    """Turns out of order, empty parts, marks and signs that no person speaks, or circles."""
    return (
        turn_fault(case) or part_fault(case) or junk(case) or next((found for text in case.said if (found := looped(text, case.code))), "")
    )


def turn_fault(case: Case) -> str:
    """Whether user and person speak in turns, and the person last."""
    messages = case.conversation.messages
    roles = [message.role for message in messages if message.role != "system"]
    if not roles or roles[-1] != "assistant" or roles[0] != "user":
        return "does not go from a question to an answer"
    if any(a == b for a, b in itertools.pairwise(roles)):
        return "roles do not alternate"
    if not all(text.strip() for text in case.said):
        return "empty answer"
    if case.answer.strip() == messages[-2].content.strip():
        return "answer repeats the question"
    return "no letters in the answer" if not any(letter.isalnum() for letter in case.answer) else ""


def part_fault(case: Case) -> str:
    """Whether analysis and response were told apart, and the reply came to its end."""
    thought = case.conversation.answer.thought
    if any(PARTS.search(text) for text in (*case.said, thought)):
        return "marks of analysis or response in the text"
    if any(case.known.marks.find("task", text) for text in map(case.known.tools.plain, case.fresh)):
        return f"talks about the task: {case.answer[:80]}"
    if cut_off(case):
        return f"cut off: {case.answer[-60:]}"
    if thought and not thought.strip():
        return "empty analysis"
    if thought.strip() and thought.strip() == case.answer.strip():
        return "analysis and response are the same"
    return ""


def cut_off(case: Case) -> bool:
    """Whether the last sentence stops without an end; the person's own words may."""
    last = case.answer.rstrip()
    ended = last.endswith(tuple(".!?…\"'”’»)。！？」』）—~～"))
    return not ended and bool(case.fresh) and last.endswith(case.fresh[-1].rstrip()) and len(case.words(case.fresh[-1])) >= LEAST_CUT


def junk(case: Case) -> str:
    """Markdown, braces, places to fill, and other signs of a machine."""
    for text in case.said:
        for name, pattern in JUNK:
            found = pattern.search(text)
            if found:
                return f"{name}: {found[0].strip()[:60]}"
        found = SPEAKER.search(text) or script(case, text)
        if found:
            return f"a speaker's name: {found[0].strip()}"
        if len(text) > 12 and sum(letter.isalnum() for letter in text) < 0.4 * len(text.replace(" ", "")):
            return "mostly signs"
    return ""


def script(case: Case, text: str) -> re.Match[str] | None:
    """A line that begins with the person's name and a colon, or one of several that begin with anybody's."""
    names = "|".join(map(re.escape, (case.known.persona.name, *case.known.persona.aliases)))
    return re.search(rf"^\s*(?:{names})\s*[:：]", text, re.MULTILINE) or re.search(r"\n\s*[\w· ]{1,24}[:：](?=\s*\S)", text)


def looped(text: str, code: str) -> str:
    """A sentence, or a run of words, that comes again and again."""
    tools = tools_of(code)
    pieces = Counter(sentence.lower().strip(" .!?。！？") for sentence in tools.sentences(text))
    for piece, count in pieces.items():
        if count >= MOST_REPEATED or (count > 1 and len(tools.words(piece)) >= LONG_SENTENCE):
            return f"says {count} times: {piece[:60]}"
    return stutter(tools.words(text))


def stutter(words: Sequence[str]) -> str:
    """A run of words that follows itself: a single one five times, two or three four times, more three times."""
    for length in range(1, min(12, len(words) // 3) + 1):
        needed = 5 if length == 1 else 4 if length < 4 else 3
        same = 0
        for place in range(length, len(words)):
            same = same + 1 if words[place] == words[place - length] else 0
            if same >= length * (needed - 1):
                return f"goes round: {' '.join(words[place - length + 1 : place + 1])}"
    return ""


def too_short(case: Case) -> str:
    """Fewer words than the limit; what the person really said may be short."""
    count = len(case.words(case.answer))
    limit = case.settings.shortest_words
    return f"{count} of at least {limit}: {case.answer[:60]}" if count < limit and not case.of_kind(("exchange",)) else ""


def too_long(case: Case) -> str:
    """More words than the limit; what the person really said may be long."""
    count = len(case.words(case.answer))
    limit = case.limit(case.settings.longest_words)
    return f"{count} of at most {limit}" if count > limit and not case.of_kind(("exchange",)) else ""


def wrong_language(case: Case) -> str:
    """An answer or analysis that is not in the person's language, whole or in one long sentence."""
    thought = case.conversation.answer.thought
    whole = (" ".join(case.fresh), thought)
    found = next((text for text in whole if is_foreign(text, case.code) or (case.code == "en" and lacks_english(case.words(text)))), "")
    long = (text for text in (*case.fresh, *case.known.tools.sentences(thought)) if len(case.words(text)) >= LEAST_JUDGED)
    return (found or next((text for text in long if is_foreign(text, case.code) or other_script(text)), ""))[:80]


def other_script(sentence: str) -> bool:
    """Whether a sentence is partly in a script that neither Chinese nor English has."""
    strange = r"[\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]"
    return len(re.findall(strange, sentence)) > 0.2 * sum(letter.isalpha() for letter in sentence)


def lacks_english(words: Sequence[str]) -> bool:
    """Whether a text in Latin letters has too few of the function words that all English has."""
    common = marks("en").common
    return len(words) >= LEAST_JUDGED and sum(word in common for word in words) < LEAST_COMMON * len(words)
