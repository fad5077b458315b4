"""Who said it: quotations, speakers and addressees of novels, and all the names of one person.

    prose passages -> quotations -> characters (names joined) -> turns and cues -> ranked speakers -> utterance passages

English and Chinese, without a model by rules that leave open what is not sure, or with a chat model behind the same
interface. docs/novels.md shows it on a book, docs/design/novels.md says why it is made so.
"""

from persllm.novels.book import Attribution, Character
from persllm.novels.portrait import Chapter, Episode, find_character, portrait
from persllm.novels.voices import Heard, hear, speech_share

__all__ = ["Attribution", "Chapter", "Character", "Episode", "Heard", "find_character", "hear", "portrait", "speech_share"]
