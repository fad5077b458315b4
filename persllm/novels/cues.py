"""What the narration beside a turn says about who speaks: the subject of a verb of speech, or of an action."""

import re
from typing import NamedTuple

from persllm.novels.scene import DETERMINERS, Scene, Turn
from persllm.novels.words import PRONOUNS, english, speech_pattern

SUBJECT = rf"(?P<subject>⟦\d+⟧|\b(?:[Hh]e|[Ss]he|I|[Tt]hey|[Ww]e|[Ii]t)\b|\b(?:{DETERMINERS}) (?:[a-z'-]+ ){{0,3}}?[a-z-]+\b)"
ADVERBS = r"(?:(?:[a-z]+ly|then|had|only|at once|at last|at length|again|also|now|just|could|would|and|here|thus|once more|instantly|still|always|never|even|suddenly) ){0,3}"
BETWEEN = r"(?:, [^,.;⟦]{1,60},)?"
LEAD_IN = r"^[\s,—–\"”’'_)-]*(?:(?:and|but|then|so|thus|as|for|here|at last|at length|again|presently) )?"


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


NOTHING = Cue("", "")


class CueFinder:
    """Finds cues in one book."""

    def __init__(self, scene: Scene):
        self.scene, self.words = scene, english()
        verb = speech_pattern()
        self.inverted = re.compile(
            rf"{LEAD_IN}(?:[a-z]+ly )?(?P<verb>{verb}|[a-z]+ed) (?:(?:[a-z]+ly|then|at last|at length|again|out|poor|old|young|little|back|in) ){{0,2}}{SUBJECT}(?P<next>[^\w⟦]|\s\w*|$)"
        )
        self.straight = re.compile(rf"{LEAD_IN}{SUBJECT}{BETWEEN} {ADVERBS}(?P<verb>{verb})\b")
        self.acting = re.compile(
            rf"^[\s,—–\"”’'_)-]*(?:(?:And|But|Then|So|Here|At last|At this|With that|Presently|Suddenly),? )?{SUBJECT}{BETWEEN} {ADVERBS}(?P<verb>[a-z]+)\b"
        )
        self.late = re.compile(rf"{SUBJECT}{BETWEEN} {ADVERBS}(?P<verb>{verb})\b(?!.*\b(?:{verb})\b)")
        self.last_verb = re.compile(
            rf"\b(?:{verb}|saying|asking|crying|adding|exclaiming|whispering|murmuring|muttering|answer|words|voice|reply)\b"
        )
        self.inverted_before = re.compile(rf"\b(?:{verb}) {SUBJECT}[^.!?]*[,:—-]\s*[\"“‘']?$")

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
                found += [cue if leads and cue.manner == "speech" else cue._replace(manner="before") for cue in cues]
        order = {"speech": 0, "action": 1, "before": 2}
        return sorted(found, key=lambda cue: (order[cue.manner], cue.subject == "group"))

    def after(self, text: str, piece: int, closed: bool) -> list[Cue]:
        """Cues in the narration that follows a piece."""
        stripped = text.lstrip("\"”’'_ ,—–-)")
        if not stripped:
            return []
        first = re.split(r"(?<=[a-z⟧]{2}[.!?])\s", text, maxsplit=1)[0]
        inverted = self.inverted.match(first)
        if inverted and stripped[:1].islower():
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
        leads = body[-1:] in ",:—-"
        sentences = re.split(r"(?<=[a-z⟧]{2}[.!?])\s+", body)
        last = sentences[-1]
        if leads and (match := self.inverted_before.search(last + " ")) and (cue := self.read(match["subject"], "speech", piece)):
            return [cue]
        verb = next(reversed(list(self.last_verb.finditer(last))), None)
        acting = self.acting.match(last)
        if leads and verb:
            subjects = re.finditer(rf"{SUBJECT}{BETWEEN} {ADVERBS}(?P<verb>\w+)\b", last)
            near = next((found for found in subjects if found["verb"] == verb[0]), None)
            chosen = near or acting
            cue = self.read(chosen["subject"], "speech", piece) if chosen else None
            if cue:
                return [cue]
        if acting and self.words.is_past(acting["verb"]) and (cue := self.read(acting["subject"], "action", piece)):
            return [cue]
        names = list(re.finditer(SUBJECT, last))
        cue = self.read(names[0]["subject"], "action", piece) if names and leads else None
        return [cue] if cue else []

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
        return None
