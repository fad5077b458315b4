"""What the narration beside a turn says about who speaks: the subject of a verb of speech, or of an action."""

import re
from typing import NamedTuple

from persllm.novels.scene import DETERMINERS, Scene
from persllm.novels.turns import Turn
from persllm.novels.words import PRONOUNS, alternation, described_pattern, english, speech_pattern

SUBJECT = rf"(?P<subject>⟦\d+⟧|\b(?:[Hh]e|[Ss]he|I|[Tt]hey|[Ww]e|[Ii]t)\b|\b(?:{DETERMINERS}) {described_pattern()})"
ADVERBS = r"(?:(?:[a-z]+ly|then|had|only|at once|at last|at length|again|also|now|just|could|would|and|here|thus|once more|instantly|still|always|never|even|suddenly) ){0,3}"
BETWEEN = r"(?:, [^,.;⟦]{1,60},)?"
OWN = r"(?:['’]s?(?: [a-z-]+){1,3}?)?"
"""After a name whose bearer acts by something of theirs: `Ann's eyes shone.`"""
ADJECTIVE = r"(?:the )?(?!(?:to|at|of|on|by|for|with|from|that|like|as|when|if|while|and|but|about|after|before|because|or|his|her|my|their|the)\b)[a-z-]+ (?=⟦)"
"""One before a name after a verb of speech: `stammered unhappy Matthew`."""
TOGETHER = re.compile(r" and (?:⟦\d+⟧|[a-z ]{3,30}?)(?:,? (?:together|both|at once|in a breath)\b|\.?$)")
"""After the first of two who speak: `said Ann and Ben together`."""
NOT_ACTING = re.compile(
    r"\b(?:to|towards|toward|at|upon|on|with|of|from|by|for|over|beside|behind|after|before|past|against|near|round|about|into|between) (?:old |poor |young |little )?$"
)
"""Before a name that is an object: `turned to Ben and said`."""
CLOSE = 25
"""Characters between a verb of speech and words that it leads to without a comma."""
SENTENCE_END = re.compile(r"(?:(?<=[a-z]{2}[.!?])|(?<=⟧[.!?]))\s+")
SUBORDINATE = re.compile(
    r"\b(?:when|while|as|after|before|till|until|if|that|than|whom|which|what) (?:old |poor |young |little )?$", re.IGNORECASE
)
"""Before a name that acts in a clause beside the main one: `when Ben had gone, Ann said`."""
COMMENT = re.compile(
    r"^[\s,;—–\"”’'_)-]*(?:(?:was|were|came) |(?:came|broke|burst) from )(?P<subject>⟦\d+⟧)(?:['’]s?|(?= s\b))"
    r"(?! (?:turn|fault|business|hand|house|room|son|daughter|wife|husband|brother|sister|mother|father)\b)"
)
"""After the words: `was Ann's comment`, `came from Ben's lips`."""
LEAD_IN = r"^[\s,;—–\"”’'_)-]*(?:(?:and|but|then|so|thus|as|for|here|at last|at length|again|presently) )?"


class Cue(NamedTuple):
    """A hint at the speaker of a turn."""

    manner: str
    """`speech`: a verb of speech. `action`: somebody acts beside the words. `before`: the paragraph before leads to them."""
    subject: str
    """`name`, `pronoun`, `description`, `narrator`, `group`, or empty without a cue."""
    character: int = -1
    """For `name`: index of the character; for `description` that of the described one if there is one."""
    gender: str = "x"
    piece: int = 0
    """Position in the turn of the piece it stands beside."""
    phrase: str = ""
    """For `description`: the words without the article."""
    reacts: bool = False
    """For `before`: whether what is told is itself an answer, so that another is likely to speak next: `Ann agreed.`"""


NOTHING = Cue("", "")


class CueFinder:
    """Finds cues in one book."""

    def __init__(self, scene: Scene):
        self.scene, self.words = scene, english()
        verb = speech_pattern()
        straight = alternation(self.words.speech - self.words.speech_only_inverted)
        self.inverted = re.compile(
            rf"{LEAD_IN}(?:[a-z]+ly )?(?P<verb>{verb}|[a-z]+ed) (?:(?:[a-z]+ly|then|at last|at length|again|out|poor|old|young|little|back|in) ){{0,2}}(?:{ADJECTIVE})?{SUBJECT}(?P<next>[^\w⟦]|\s\w*|$)"
        )
        self.straight = re.compile(rf"{LEAD_IN}{SUBJECT}{BETWEEN} {ADVERBS}(?P<verb>{straight})\b")
        self.acting = re.compile(
            rf"^[\s,—–\"”’'_)-]*(?:(?:And|But|Then|So|Here|At last|At this|With that|Presently|Suddenly),? )?{SUBJECT}{OWN}{BETWEEN} {ADVERBS}(?P<verb>[a-z]+)\b"
        )
        self.straight_anywhere = re.compile(rf"(?={SUBJECT}{BETWEEN} {ADVERBS}(?P<verb>{verb})\b)")
        self.last_verb = re.compile(
            rf"\b(?:{verb}|saying|asking|crying|adding|exclaiming|whispering|murmuring|muttering|answer|words|voice|reply)\b"
        )
        self.inverted_before = re.compile(rf"\b(?:{verb}) {SUBJECT}[^.!?⟦]*[,:—-]\s*[\"“‘']?$")

    def cues(self, turn: Turn) -> list[Cue]:
        """All cues of a turn, the surest first."""
        found: list[Cue] = []
        scene = self.scene
        for number, piece in enumerate(turn.pieces):
            text = scene.paragraphs[piece.paragraph]
            previous, following = scene.gaps(piece)
            after = scene.tagged(piece.paragraph, piece.end, following)
            closed = text[piece.start : piece.end].rstrip(" _")[-1:] in ".…"
            found += self.after(after, number, closed)
            if number == 0 or previous == 0 or turn.pieces[number - 1].paragraph != piece.paragraph:
                cues = self.before(scene.tagged(piece.paragraph, previous, piece.start), number)
                found += [cue for cue in cues if previous == 0 or cue.manner == "speech"]  # else it is about the turn before
        if turn.pieces[0].start <= 3 and turn.paragraphs[0] > 0:
            place = turn.paragraphs[0] - 1
            tail = scene.paragraphs[place].rstrip()
            if not scene.spoken[place] or tail[-1:] in ":,":
                start = max((end for _, end in scene.spoken[place]), default=0)
                cues = self.before(scene.tagged(place, start, len(scene.paragraphs[place])), 0)
                leads = tail[-1:] in ":,—-"
                found += [
                    cue if leads and cue.manner == "speech" else cue._replace(manner="before", reacts=cue.reacts and not leads)
                    for cue in cues
                ]
        order = {"speech": 0, "action": 1, "before": 2}
        return sorted(found, key=lambda cue: (order[cue.manner], cue.subject == "group"))

    def after(self, text: str, piece: int, closed: bool) -> list[Cue]:
        """Cues in the narration that follows a piece."""
        stripped = text.lstrip("\"”’'_ ,;—–-)")
        if not stripped:
            return []
        first = SENTENCE_END.split(text, maxsplit=1)[0]
        if comment := COMMENT.match(first):
            return [cue] if (cue := self.read(comment["subject"], "speech", piece)) else []
        inverted = self.inverted.match(first)
        if inverted and stripped[:1].islower():
            if TOGETHER.match(first, inverted.end("subject")):
                return [Cue("speech", "group", piece=piece)]
            cue = self.read(inverted["subject"], "speech", piece)
            if cue and (inverted["verb"] in self.words.speech or cue.subject in ("name", "pronoun", "narrator")):
                return [cue]
        straight = self.straight.match(first)
        if straight and (stripped[:1].islower() or not closed or straight["verb"] in self.words.plain_speech):
            cue = self.read(straight["subject"], "speech", piece)
            if cue:
                return [cue]
        acting = self.acting.match(first)
        if acting and self.words.is_past(acting["verb"]):
            cue = self.read(acting["subject"], "action", piece)
            return [cue] if cue else []
        return []

    def before(self, text: str, piece: int) -> list[Cue]:
        """Cues in the narration that comes before a piece."""
        body = text.rstrip("\"“‘'_ (")
        if not body.strip():
            return []
        sentences = SENTENCE_END.split(body)
        last = sentences[-1]
        verb = next(reversed(list(self.last_verb.finditer(last))), None)
        unclosed = body[-1:].isalpha() and verb is not None and len(last) - verb.end() <= CLOSE  # `she cut him short with "..."`
        leads = body[-1:] in ",:—-" or unclosed
        nearest = (
            [found for found in self.straight_anywhere.finditer(last) if verb and found.start("verb") == verb.start()] if leads else []
        )
        if nearest and not NOT_ACTING.search(last, 0, nearest[-1].start()) and (cue := self.read(nearest[-1]["subject"], "speech", piece)):
            return [cue]
        if leads and (match := self.inverted_before.search(last + " ")) and (cue := self.read(match["subject"], "speech", piece)):
            return [cue]
        acting = self.acting.match(last)
        if leads and verb:
            chosen = acting or self.acting_before(last, verb.start())
            cue = self.read(chosen["subject"], "speech", piece) if chosen else None
            if cue:
                return [cue]
        if acting and self.words.is_past(acting["verb"]) and (cue := self.read(acting["subject"], "action", piece)):
            return [cue._replace(reacts=acting["verb"] in self.words.reactions)]
        names = list(re.finditer(SUBJECT, last))
        cue = self.read(names[0]["subject"], "action", piece) if names and leads else None
        return [cue] if cue else []

    def acting_before(self, text: str, end: int) -> re.Match[str] | None:
        """The one who acts nearest before a verb of speech: `when Ben had gone, Ann, who smiled, rose and said`."""
        named = [m for m in re.finditer(SUBJECT, text[:end]) if m["subject"][:1] == "⟦" and not NOT_ACTING.search(text, 0, m.start())]
        main = [m for m in named if not SUBORDINATE.search(text, 0, m.start())]
        acting = [
            m for m in main if (verb := re.match(r",? ?(?:[^⟦]{0,80}, )?([a-z]+)", text[m.end() : end])) and self.words.is_past(verb[1])
        ]
        return (acting or main[:1] or named[:1] or [None])[-1]

    def read(self, subject: str, manner: str, piece: int) -> Cue | None:
        """The cue that a subject is; None if it is nobody."""
        if subject.startswith("⟦"):
            character = int(subject[1:-1])
            who = self.scene.characters[character]
            if who.described:
                return Cue(manner, "description", character, who.gender, piece, who.name.removeprefix("the ").lower())
            return Cue(manner, "name", character, who.gender, piece)
        low = subject.lower()
        if low == "i":
            return Cue(manner, "narrator", self.scene.narrator, "x", piece)
        if low in ("they", "we"):
            return Cue(manner, "group", piece=piece)
        if low in ("he", "she", "it"):
            return Cue(manner, "pronoun", -1, PRONOUNS[low], piece)
        return self.described(low, manner, piece)

    def described(self, phrase: str, manner: str, piece: int) -> Cue | None:
        """The cue of a noun phrase: the last word that names a person."""
        tokens = phrase.split()
        known = self.scene.phrases.get(" ".join(tokens[1:]), -1)
        if known >= 0 and tokens[-1] not in self.words.nouns:
            return Cue(manner, "description", known, self.scene.characters[known].gender, piece, " ".join(tokens[1:]))
        for token in reversed(tokens[1:]):
            if token in self.words.nouns or token in self.words.kin:
                gender = self.words.nouns.get(token, "x")
                return Cue(manner, "description", -1, gender, piece, " ".join(tokens[1:]))
            if token in self.words.groups:
                return Cue(manner, "group", piece=piece)
        if manner == "action" and tokens[0] in ("his", "her"):  # `Her colour rose.`: she acts
            return Cue(manner, "pronoun", -1, PRONOUNS[tokens[0]], piece)
        return None
