"""One material to be, before it has a stage."""

from persllm.records import MaterialKind, Record, Turn


class Piece(Record):
    """One material to be."""

    kind: MaterialKind
    source: str
    """Name of the source."""
    origin: str
    """Place in the source: file and line."""
    text: str = ""
    turns: tuple[Turn, ...] = ()
    title: str = ""
    date: str = ""
    situation: str = ""
    heading: str = ""
    """Chapter or the like, by which it may be put into a stage."""
    stage: str = ""
    """Empty until it is placed."""
    doubt: str = ""
    """Why it is not placed."""

    @property
    def words_of_person(self) -> int:
        """Characters that the piece holds."""
        return len(self.text) + sum(len(turn.text) for turn in self.turns)
