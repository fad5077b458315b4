"""Plain-text books as Project Gutenberg publishes them: the publisher's words, notes and marks taken away.

Works as well on texts without the publisher's markers. Limit: footnotes and insertions of the editor are known
by their square brackets only; what an edition sets in other signs stays.
"""

import re

START = re.compile(r"\*\*\*\s*START OF (?:THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
END = re.compile(r"\*\*\*\s*END OF (?:THE|THIS) PROJECT GUTENBERG|^\s*End of (?:the )?Project Gutenberg", re.IGNORECASE)
BACK_MATTER = re.compile(r"\s*(?:THE END|FINIS|INDEX|APPENDIX|FOOTNOTES|NOTES|GLOSSARY|TRANSCRIBER'S NOTES?)[.:]?\s*")
NOTE = re.compile(r"\[(?:Footnote|Illustration|Music|Sidenote|Transcriber|Note)\b", re.IGNORECASE)
COMPLETED = re.compile(r"(?<=[^\W\d_])\[([^\W\d_]+)\]")
"""Letters that the editor added to an abbreviated word, as in `B[irchall]`."""
INSERTION = re.compile(r"\s*\[[^\[\]]*\]")
DASHES = re.compile(r"\s?(?<!-)--(?!-)\s?")
EMPHASIS = re.compile(r"_([^_]+)_")


def own_lines(text: str) -> list[str]:
    """The lines of a book, those of the publisher made empty so that the numbers of all others stay."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((i + 1 for i, line in enumerate(lines) if START.search(line)), 0)
    last = next((i for i in range(first, len(lines)) if END.search(lines[i])), len(lines))
    return [line if first <= place < last else "" for place, line in enumerate(lines)]


def without_notes(text: str) -> str:
    """A text whose footnotes, music and pictures are empty lines; the number of lines stays."""
    pieces: list[str] = []
    place = 0
    while note := NOTE.search(text, place):
        end = closing(text, note.start())
        pieces += [text[place : note.start()], "\n" * text.count("\n", note.start(), end)]
        place = end
    return "".join([*pieces, text[place:]])


def closing(text: str, start: int) -> int:
    """The place after the bracket that closes the one at `start`; the end of the paragraph if there is none."""
    depth = 0
    for match in re.compile(r"[\[\]]").finditer(text, start):
        depth += 1 if match[0] == "[" else -1
        if not depth:
            return match.end()
    blank = re.compile(r"\n\s*\n|\Z").search(text, start)
    return blank.start() if blank else len(text)


def paragraphs(text: str, first: int) -> list[tuple[int, str]]:
    """(number of the first line, raw text) of each paragraph; `first` is the number of the text's first line."""
    blocks = re.finditer(r"(?:[^\n]*\S[^\n]*(?:\n|\Z))+", text)
    return [(first + text.count("\n", 0, block.start()), block[0].rstrip("\n")) for block in blocks]


def tidy(paragraph: str) -> str:
    """A paragraph on one line without the editor's insertions, marks of emphasis, and dots of omission in front."""
    text = COMPLETED.sub(r"\1", paragraph)
    while INSERTION.search(text):
        text = INSERTION.sub("", text)
    text = EMPHASIS.sub(r"\1", re.sub(r"\s+", " ", text)).replace("_", "")
    text = DASHES.sub("—", re.sub(r"[\[\]]", "", text))
    text = re.sub(r" ([,.;:!?])(?=[ —]|$)", r"\1", text)
    return re.sub(r"^(?:\.\.\.|\*)[\s.*]*", "", text).strip()
