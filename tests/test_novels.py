"""Novels: quotations, names, and who said it, on small stories of our own."""

import json
import re
from itertools import product

from fake_server import Asked, FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from persllm.chat import ApiModel
from persllm.constructor_settings import ApiSettings
from persllm.novels import find_character, hear, portrait
from persllm.novels.chain import FLOOR, Habits, take_turns
from persllm.novels.features import FeatureMaker, addressed_gender
from persllm.novels.quotations import book_marks, find_pieces
from persllm.novels.scene import Scene
from persllm.passages import Passage

STORY = """
Mrs. Tilda Marrow had kept the ferry at Oxlade for thirty years. Her nephew Jonas Pell helped her on market days.

"The river is high," said Mrs. Marrow. "Nobody crosses today."

"Somebody must," Jonas replied. He pulled at the rope. "The doctor is waiting, Aunt Tilda."

"Then the doctor may swim."

"You would not say so if you were ill."

"I am never ill," said Tilda.

Dr. Amos Quill came down the bank at that moment, and he looked wet and angry.

"Madam," he cried, "I have called three times!"

"I heard you, Dr. Quill," said Mrs. Marrow. "So did the ducks."

Jonas laughed. "She hears everything."
""".strip().split("\n\n")
"""Written for this test."""


def passages(texts: list[str]) -> list[Passage]:
    return [Passage(text=text, source=f"story.txt:{number}", heading="Chapter 1") for number, text in enumerate(texts, 1)]


def said(texts: list[str]) -> list[tuple[str, str]]:
    return [(p.speaker, p.text) for p in hear(passages(texts)).passages if p.form == "utterance"]


def test_speakers_of_a_small_story() -> None:
    spoken = said(STORY)
    assert [text for _, text in spoken][:2] == [
        "The river is high, Nobody crosses today.",
        "Somebody must, The doctor is waiting, Aunt Tilda.",
    ]
    assert spoken[0][0] == spoken[4][0] == spoken[6][0] != ""
    assert spoken[1][0] == "Jonas Pell"
    assert {speaker for speaker, _ in spoken} <= {"", "Mrs. Tilda Marrow", "Jonas Pell", "Dr. Amos Quill"}


def test_words_of_somebody_too_rare_to_be_listed_go_to_nobody_else() -> None:
    story = [
        "Anna Berg came in and sat down. It was late.",
        "“Who is there?” said Anna Berg.",
        "“Only I,” said Karl Holm.",
        "“Come in, then,” said Anna Berg.",
    ]
    assert [speaker for speaker, _ in said(story)] == ["Anna Berg", "", "Anna Berg"]
    swapped = [text.replace("said Karl Holm", "Karl Holm said") for text in story]
    assert [speaker for speaker, _ in said(swapped)] == ["Anna Berg", "", "Anna Berg"]


def test_names_of_one_person_are_joined() -> None:
    characters = {one.name: set(one.aliases) for one in hear(passages(STORY)).characters}
    assert {"Mrs. Marrow", "Mrs. Tilda Marrow"} <= characters["Mrs. Tilda Marrow"]
    assert {"Dr. Quill", "Dr. Amos Quill"} <= characters["Dr. Amos Quill"]
    assert characters["Jonas Pell"] >= {"Jonas", "Jonas Pell"}


def aliases_of(texts: list[str], name: str) -> set[str]:
    return next(set(one.aliases) for one in hear(passages(texts)).characters if name in one.aliases)


def test_the_name_of_the_talk_and_that_of_the_narration_are_one_person() -> None:
    story = [
        "Mrs. Orne came in with the lamp. Tobias Fell looked up.",
        "“Sit down, Clara,” said Tobias Fell.",
        "“Not yet,” said Mrs. Orne.",
        "“As you like, Clara,” said Tobias Fell.",
        "“I do like,” Mrs. Orne replied.",
        "“Good night, Clara!” said Tobias Fell.",
        "“Good night,” said Mrs. Orne. Mrs. Orne went out.",
    ]
    assert aliases_of(story, "Clara") == {"Clara", "Mrs. Orne"}
    calling = [text.replace("said Tobias Fell", "said Mrs. Orne") for text in story]
    assert aliases_of(calling, "Clara") == {"Clara"}  # nobody calls herself


def test_two_of_one_surname_who_meet_in_a_sentence_are_two() -> None:
    meeting = ["“Come,” said Mr. Dray.", "“I come,” said Paul Dray."] * 2
    together = [
        *meeting,
        "Mr. Dray took Paul Dray by the arm. Mr. Dray led Paul on.",
        "Paul saw that Mr. Dray smiled. Mr. Dray let Paul go.",
    ]
    assert "Mr. Dray" not in aliases_of(together, "Paul Dray")
    assert "Mr. Dray" in aliases_of([*meeting, "Paul Dray went home. The house was dark."], "Paul Dray")


def test_a_wife_called_by_the_given_name_of_her_husband_is_not_he() -> None:
    story = [
        "Orlik Venn came in. He sat down. Orlik Venn was tired, and he said so.",
        "“Tired?” said Mrs. Orlik Venn.",
        "“Yes,” said Orlik Venn.",
        "“Sleep, then,” said Mrs. Venn. Orlik Venn thought of his bed.",
        "“I shall,” said Orlik Venn.",
        "“Do,” said Mrs. Orlik Venn.",
    ]
    assert aliases_of(story, "Mrs. Orlik Venn") == {"Mrs. Orlik Venn", "Mrs. Venn"}
    assert "Orlik Venn" in aliases_of(story, "Orlik Venn") - aliases_of(story, "Mrs. Venn")


def test_a_place_is_nobody() -> None:
    story = [
        "Anna Berg lived at Harwick. Anna Berg had come to Harwick as a child. “I like it,” said Anna Berg.",
        "“Nobody,” said Anna Berg, “stays in Harwick.” Karl Holm had left Harwick long ago. Harwick said nothing.",
        "“I stayed,” said Karl Holm. “From Harwick to town is a day.” “Poor Harwick!” said Anna Berg.",
    ]
    assert {one.name for one in hear(passages(story)).characters} == {"Anna Berg", "Karl Holm"}


def test_a_surname_keeps_its_particles_and_a_rank_is_one_persons() -> None:
    story = [
        "“Come in,” said Mr. van der Holt. Ludmila Orlova came in. The Countess Orlova was tired.",
        "“Thank you,” said Ludmila Orlova. “It is late,” said Mrs. van der Holt.",
        "“Is it?” said the Countess. “It is,” said Mr. van der Holt. Madame Orlova rose. She went to the door.",
        "“Good night,” said Ludmila. “Good night,” said Mrs. van der Holt.",
    ]
    assert aliases_of(story, "Madame Orlova") == {"Ludmila Orlova", "Ludmila", "the Countess Orlova", "the Countess", "Madame Orlova"}
    assert aliases_of(story, "Mr. van der Holt") == {"Mr. van der Holt"}
    assert aliases_of(story, "Mrs. van der Holt") == {"Mrs. van der Holt"}


def test_a_given_name_that_comes_late_is_the_younger_ones() -> None:
    elder = ["“Come,” said Mr. Dray.", "The house was dark."] * 10
    younger = ["“I come,” said Mr. Paul Dray.", "It rained."] * 5
    assert "Mr. Dray" not in aliases_of([*elder, *younger], "Mr. Paul Dray")
    assert "Mr. Dray" in aliases_of([*younger, *elder], "Mr. Paul Dray")


def test_father_and_son_whom_the_narration_calls_differently_are_two() -> None:
    before = ["“Come,” said Mr. Dray.", "It rained."] * 6
    after = ["“I come,” said Paul. “Quick,” said Mr. Dray.", "Paul Dray ran. Mr. Dray walked."] * 12
    assert "Mr. Dray" not in aliases_of([*before, *after], "Paul Dray")
    assert "Mr. Dray" in aliases_of([*before, "Paul Dray ran. It rained."], "Paul Dray")


def test_a_captain_and_a_knight_are_not_the_mister_of_the_family() -> None:
    story = ["“Come,” said Captain Dray. “Why?” said Mr. Dray.", "It rained. Mr. Dray sat down."] * 5
    assert aliases_of(story, "Mr. Dray") == {"Mr. Dray"}
    assert aliases_of([text.replace("Captain", "Sir Amos") for text in story], "Mr. Dray") == {"Mr. Dray"}
    assert aliases_of([text.replace("Captain", "Amos") for text in story], "Mr. Dray") == {"Mr. Dray", "Amos Dray"}


def test_a_rank_alone_is_the_one_whom_the_book_calls_by_it_far_more_often() -> None:
    story = ["“Come,” said Dr. Dray. “No,” said Mr. Holt.", "“Yes,” said Doctor Dray. “No,” said Mr. Holt."] * 2 + [
        "“Well,” said the Doctor."
    ] * 3
    assert aliases_of([*story, "Mr. Holt, or Doctor Holt, rose."], "the Doctor") == {"the Doctor", "Dr. Dray", "Doctor Dray"}
    assert aliases_of([*story, *["“Hm,” said Doctor Holt.", "It rained."] * 3], "the Doctor") == {"the Doctor"}


def test_wives_of_two_brothers_are_two() -> None:
    story = ["“Come,” said Mrs. Paul Dray.", "“No,” said Mrs. John Dray.", "“Yes,” said Mrs. Paul Dray."] * 3
    assert aliases_of(story, "Mrs. John Dray") == {"Mrs. John Dray"}


def test_a_woman_who_marries_keeps_her_person() -> None:
    story = [
        "“I am tired,” said Miss Reed. Ann Reed sat down. “So am I,” said Miss Cole.",
        "Miss Reed is to marry Mr. Holt, they said. It was true that Ann Reed was engaged to Mr. Holt.",
        "The marriage of Miss Reed and Mr. Holt was quiet. “Well,” said Miss Cole.",
        *["“Good day,” said Mrs. Holt.", "“Good day,” said Miss Cole."] * 5,
    ]
    assert aliases_of(story, "Mrs. Holt") == {"Mrs. Holt", "Ann Reed", "Miss Reed"}
    friend = [*story, *["Miss Reed came in. Miss Reed sat down.", "It rained."] * 3]
    assert aliases_of(friend, "Mrs. Holt") == {"Mrs. Holt"}


def test_whoever_answers_to_a_name_is_one_with_the_description() -> None:
    story = ["“Is it done, Wenlow?” said Ann Reed.", "“It is done,” said the Smith. Wenlow was glad.", "“Good, Wenlow,” said Ann Reed."] * 4
    assert aliases_of(story, "the Smith") == {"the Smith", "Wenlow"}
    other = [text.replace("said the Smith", "said Ben Holt") for text in story] + ["“I heard it,” said the Smith.", "It rained."] * 4
    assert aliases_of(other, "the Smith") == {"the Smith"}


def test_a_heading_names_nobody() -> None:
    story = ["Captain Dale Buys Some Horses", "“Here,” said Captain Dale.", "“Where?” said Ann Reed. “There,” said Dale."] * 3
    assert aliases_of(story, "Captain Dale") == {"Captain Dale", "Dale"}


def test_the_book_says_that_two_names_are_one_persons() -> None:
    story = [
        "“I know a way,” said John Dale. John Dale, otherwise the Fox, knew all ways.",
        "“Which?” said Ann Reed. “Mine,” said the Fox. “Well, Mr. H.?”",
        "“Go on,” said the Fox. The Fox went on. Ann Reed, now Mrs. Holm, shook her head.",
        "“No, Mr. H.,” said Mrs. Holm. “Yes,” said Mr. Holm.",
    ]
    assert aliases_of(story, "the Fox") == {"John Dale", "the Fox"}
    assert aliases_of(story, "Ann Reed") == {"Ann Reed", "Mrs. Holm"}
    assert aliases_of(story, "Mr. Holm") == {"Mr. Holm", "Mr. H."}
    apart = [text.replace("otherwise", "like").replace(", now", " and") for text in story]
    assert aliases_of(apart, "the Fox") == {"the Fox"}
    assert aliases_of(apart, "Ann Reed") == {"Ann Reed"}


def test_pronouns_say_whose_a_bare_surname_is() -> None:
    story = ["“Come,” said Rose Temple. Rose was glad, and Rose Temple ran.", "“Wait,” said Mr. Temple."] * 4
    man = [*story, *["Temple shut his book. It rained.", "Temple said that he was cold."] * 2]
    assert aliases_of(man, "Temple") == {"Mr. Temple", "Temple"}
    woman = [text.replace("his", "her").replace(" he ", " she ") for text in man]
    assert aliases_of(woman, "Temple") == {"Rose", "Rose Temple", "Temple"}


def test_the_miss_of_the_family_is_not_the_sister_who_is_miss_with_her_given_name() -> None:
    story = [
        "“Come,” said Miss Pell. Miss Pell told Miss Lydia to wait.",
        "“I wait,” said Miss Lydia. Miss Lydia looked at Miss Pell. It was late.",
        "Lydia Pell sighed. Barbara Pell did not.",
    ] * 2
    assert aliases_of(story, "Miss Pell") == {"Miss Pell", "Barbara Pell"}
    assert aliases_of(story, "Miss Lydia") == {"Miss Lydia", "Lydia Pell"}


def test_the_mister_of_the_talk_is_the_one_of_whom_the_book_tells() -> None:
    story = ["Amos Dray came in.", "“Sit down, Mr. Dray,” said Ann Reed.", "“Thanks,” said Amos.", "Amos sat down."] * 6
    brother = ["“No,” said Paul Dray. Paul Dray went out."]
    assert aliases_of([*story, *brother], "Mr. Dray") == {"Mr. Dray", "Amos", "Amos Dray"}
    told = [text.replace("“Sit down, Mr. Dray,” said Ann Reed.", "“Sit down,” said Mr. Dray.") for text in story]
    assert aliases_of([*told, *brother], "Mr. Dray") == {"Mr. Dray"}


SCENES = ["Mrs. Gray put the lamp down. She waited.", "“It is late,” said Joan. Joan Gray shut the door."] * 12


def test_a_wife_told_of_by_her_given_name_is_mrs_x_where_their_scenes_show_it() -> None:
    assert aliases_of(SCENES, "Joan") == {"Joan", "Joan Gray", "Mrs. Gray"}
    meeting = [*SCENES, *["Mrs. Gray smiled at Joan."] * 2]
    assert aliases_of(meeting, "Joan") == {"Joan", "Joan Gray"}
    daughter = [*SCENES, "Mrs. Gray sat down. Her daughter did not wake. Joan was asleep."]
    assert aliases_of(daughter, "Joan") == {"Joan", "Joan Gray"}
    miss = [*SCENES, "“Good night, Miss Joan,” said Ann Reed."]
    assert "Mrs. Gray" not in aliases_of(miss, "Joan")


def test_a_wife_who_answers_to_her_given_name_is_mrs_x() -> None:
    story = ["“Come in, Joan,” said Tobias Fell.", "“I come,” said Mrs. Gray.", "It rained. Joan Gray was tired."] * 2
    assert aliases_of(story, "Joan") == {"Joan", "Joan Gray", "Mrs. Gray"}
    daughter = [text.replace("said Mrs. Gray", "said Joan") for text in story] + ["“Well,” said Mrs. Gray."] * 3
    assert aliases_of(daughter, "Mrs. Gray") == {"Mrs. Gray"}


def test_a_rare_surname_of_a_woman_mostly_named_by_her_given_name_is_hers() -> None:
    story = ["“Come,” said Delia.", "Delia Marsh laughed. Delia ran."] * 20 + ["“I remember Delia Orne,” said Tobias Fell. It rained."] * 2
    assert aliases_of(story, "Delia Orne") == {"Delia", "Delia Marsh", "Delia Orne"}
    another = [*story, "Delia Orne waved to Delia."]
    assert aliases_of(another, "Delia Orne") == {"Delia Orne"}


def test_a_king_of_whom_the_talk_speaks_is_nobody_of_the_same_given_name() -> None:
    story = ["“Come,” said George Holt. George ran.", "“Long live King George!” said Ann Reed.", "“King George!” said George."] * 2
    assert aliases_of(story, "King George") == {"King George"}
    assert aliases_of([text.replace("King", "Sir") for text in story], "Sir George") == {"George", "George Holt", "Sir George"}


def test_a_woman_in_one_sentence_with_mrs_x_is_not_her_as_a_girl() -> None:
    married = [
        *["“I am tired,” said Miss Reed. Ann Reed sat down."] * 6,
        *["Mrs. Holt told Miss Reed that the wife of Mr. Crane was ill. It rained."] * 4,
        *["“Good day,” said Mrs. Holt.", "“Good day,” said Mr. Holt."] * 5,
    ]
    assert aliases_of(married, "Mrs. Holt") == {"Mrs. Holt"}


def test_a_longer_given_name_that_only_the_talk_uses_is_the_shorter_ones() -> None:
    story = ["“Come,” said Orlo Finn. Orlo ran.", "“Wait, Orlobert!” said Ann Reed.", "“Wait, Orlobert!” said Ann Reed."] * 2
    assert aliases_of(story, "Orlobert") == {"Orlo", "Orlo Finn", "Orlobert"}


def test_a_misprint_and_an_adjective_are_names_too() -> None:
    story = ["“Stay,” said Mr. Hollowby.", "“No,” said Mr. Hollowby.", "“Why?” said Mr. Holowby.", "Old Mr. Hollowby shook his head."]
    assert aliases_of(story, "Mr. Hollowby") >= {"Mr. Holowby", "old Mr. Hollowby"}


def cue_of(before: str, paragraph: str) -> tuple[str, str]:
    """(speaker, description) that the rules see beside the last words of a paragraph among three people."""
    people = [
        "Ann Reed and Ben Holt and Cora Lund stood there.",
        "“Ah,” said Ann Reed.",
        "“Oh,” said Ben Holt.",
        "“Eh,” said Cora Lund.",
    ] * 2
    texts = [*people, before, paragraph]
    maker = FeatureMaker(Scene(texts, find_pieces(texts)))
    cue = maker.views[-1].cue
    return (maker.scene.characters[cue.character].name if cue.character >= 0 else cue.subject), cue.phrase


def test_who_is_the_subject_beside_the_words() -> None:
    told = "It was late."
    assert cue_of(told, "Ann turned to Ben and said, “Come.”")[0] == "Ann Reed"
    assert cue_of(told, "When Ann had gone to bed, Ben, who had slept, opened his eyes and said: “Come.”")[0] == "Ben Holt"
    assert cue_of(told, "Then Cora opened the door and said: “Come,” and Ben ran away.")[0] == "Cora Lund"
    assert cue_of(told, "“Come,” stammered unhappy Ben, and sat down.")[0] == "Ben Holt"
    assert cue_of(told, "“Come,” was Ann's answer.")[0] == "Ann Reed"
    assert cue_of(told, "“Come,” said Ann and Ben, together.")[0] == "group"
    assert cue_of(told, "“Come”; replied the old servant.") == ("the old servant", "old servant")
    assert cue_of(told, "“Come,” said the tired hump-backed man to the crowd.")[1] == "tired hump-backed man"


def test_two_who_are_described_in_one_paragraph_are_two_turns() -> None:
    told = [
        "Ann Reed came in. Ann Reed sat down.",
        "“Come,” said Ann Reed.",
        "“Wait,” protested the sailor. Ann looked up. “No,” said Ann Reed.",
    ]
    assert [speaker for speaker, _ in said(told)][1:] != ["Ann Reed"]
    assert len(said(told)) == 3


def test_whoever_is_told_to_agree_is_told_apart_from_one_who_only_acts() -> None:
    for told, reacts in (("Ben agreed.", True), ("Ben opened the door.", False)):
        texts = ["Ann Reed sat by Ben Holt.", "“It rains,” said Ann Reed.", "“Yes,” said Ben Holt.", told, "“Then we stay.”"]
        cue = FeatureMaker(Scene(texts, find_pieces(texts))).views[-1].cue
        assert (cue.manner, cue.reacts) == ("before", reacts)


def test_nothing_is_lost_but_who_spoke() -> None:
    heard = hear(passages(STORY))
    prose = " ".join(p.text for p in heard.passages if p.form == "prose")
    assert "kept the ferry" in prose
    assert "came down the bank" in prose
    assert "said Mrs. Marrow" not in prose
    words = set(re.findall(r"[a-z]+", " ".join(p.text for p in heard.passages).lower()))
    missing = set(re.findall(r"[a-z]+", " ".join(STORY).lower())) - words
    assert missing <= {"said", "replied", "cried"}


def pieces(*texts: str) -> list[str]:
    return [texts[p.paragraph][p.start : p.end] for p in find_pieces(texts)]


def test_marks_of_all_kinds() -> None:
    assert pieces("“One,” he said, “and two.”") == ["One,", "and two."]
    assert pieces("'It's Jo's,' said Ann. 'Isn't it?'", "'Yes,' said Ben, ''tis hers.'", "'No more.'")[:2] == ["It's Jo's,", "Isn't it?"]
    assert pieces("‘I don’t know,’ said Ann.", "‘Nor I, ’tis late.’") == ["I don’t know,", "Nor I, ’tis late."]
    assert pieces("«Come,» she said.") == ["Come,"]
    assert pieces("“He said ‘never’ twice,” said Ann.") == ["He said ‘never’ twice,"]
    assert pieces("他说：「来吧！」", "她道：「好。」") == ["来吧！", "好。"]
    assert pieces("He lived in what they called “the tower” by the sea.", "“Look!” he said.", "“Where?”") == ["Look!", "Where?"]


def test_a_speech_of_several_paragraphs_is_one() -> None:
    texts = ("“It was long ago,” said Ann.", "“We left at dawn. The road was dry.", "“Then the rain came.”", "“Ah,” said Ben.")
    found = find_pieces(texts)
    assert [p.quotation for p in found] == [0, 1, 1, 2]


def test_dashes() -> None:
    texts = ["—Come in, said Ann.", "—No, Ben said.", "—Why not?", "—It is late.", "They stood in the rain."]
    assert book_marks(texts).opening == "—"
    assert [texts[p.paragraph][p.start : p.end] for p in find_pieces(texts)][:2] == ["Come in,", "No,"]


def test_chinese() -> None:
    texts = [
        "却说阿青走到河边，见老渡公坐着。阿青道：“老渡公，今日过得河么？”老渡公笑道：“水大，过不得。”阿青道：“我有急事。”",
        "老渡公道：“急也无用。”阿青对老渡公道：“那我等着。”老渡公摇头道：“随你。”",
        "阿青问道：“几时水退？”老渡公闻言道：“明日。”",
    ]
    spoken = said(texts)
    assert len(spoken) == 8
    assert [speaker for speaker, _ in spoken] == ["阿青", "老渡公", "阿青", "老渡公", "阿青", "老渡公", "阿青", "老渡公"]


def test_a_portrait_separates_speech_experience_and_doubt() -> None:
    heard = hear(passages(STORY), [["Tilda Marrow", "Mrs. Marrow", "Tilda"]])
    tilda = find_character(heard.characters, ["Tilda Marrow"])
    assert tilda is not None
    (chapter,) = portrait(heard, tilda, "Tilda", lambda text: "Marrow" in text)
    assert [one.speaker for one in chapter.utterances].count("Tilda") >= 4
    assert chapter.episodes[0].kind == "experience"
    assert "kept the ferry" in chapter.episodes[0].text


SPEAKERS = ["Mrs. Marrow", "Jonas", "Tilda", "Jonas Pell", "Tilda", "Dr. Quill", "Mrs. Marrow", "Jonas"]


def answer(asked: Asked) -> str:
    """A model that knows the story, but for two answers: one copies wrong words, one names a stranger."""
    first = {int(number): words for number, words in reversed(re.findall(r"<(\d+)>(.*?)</\1>", asked.last)) if int(number) < len(SPEAKERS)}
    spoken = [
        {"number": number, "words": " ".join(words.split()[:4]), "speaker": SPEAKERS[number], "to": []}
        for number, words in sorted(first.items())
    ]
    spoken[2]["words"] = "Then the doctor must swim"
    spoken[5]["speaker"] = "The Miller"
    return json.dumps({"spoken": spoken})


def test_a_model_answers_behind_the_same_interface_and_is_checked() -> None:
    with FakeServer(answer=answer) as server:
        heard = hear(passages(STORY), model=ApiModel(ApiSettings(url=server.url, model="fake")))
    spoken = [p.speaker for p in heard.passages if p.form == "utterance"]
    tilda = "Mrs. Tilda Marrow"
    assert spoken == [tilda, "Jonas Pell", "", "Jonas Pell", tilda, "", tilda, "Jonas Pell"]
    assert [lost.reason for lost in heard.refused] == ["not the words of this speech", "not one of the characters"]


def test_a_model_that_fails_leaves_all_open() -> None:
    with FakeServer(answer=lambda asked: "I think it was Jonas.") as server:
        heard = hear(passages(STORY), model=ApiModel(ApiSettings(url=server.url, model="fake")))
    assert not any(p.speaker for p in heard.passages)
    assert [lost.reason for lost in heard.refused] == ["not the form asked for"]


def test_a_narrator_in_the_first_person() -> None:
    texts = [
        "I was ten when I came to the mill. I knew nobody, and I had no coat. I slept under the stairs.",
        "“Who are you?” said Mrs. Brask.",
        "“I am Nils, madam,” I said. I bowed as I had been taught, and I waited.",
        "“You are late, Nils,” said Mrs. Brask.",
        "“The road was long,” I answered.",
    ]
    heard = hear(passages(texts), [["Nils Orre", "Nils", "I"]])
    assert [p.speaker for p in heard.passages if p.form == "utterance"] == ["Mrs. Brask", "Nils Orre", "Mrs. Brask", "Nils Orre"]
    assert next(one for one in heard.characters if one.name == "Nils Orre").narrator


def test_what_holds_no_speech_stays_as_it_is() -> None:
    assert hear([]).passages == []
    bare = passages(["The tower was old.", "Nobody went there."])
    assert hear(bare).passages == bare
    assert [p.text for p in hear(passages(["“”", "“ ”", "“Only this", "“”“”“", '"\'"\'"', "道：“", "”"])).passages]


@given(st.lists(st.text(alphabet="“”\"'‘’—「」：道 .,!?AnneaidsBoI\n", max_size=60), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_marks_in_any_order_are_read(texts: list[str]) -> None:
    for piece in find_pieces(texts):
        assert 0 <= piece.start < piece.end <= len(texts[piece.paragraph])
    hear(passages(texts))


HABITS = Habits(((0.5, 0.2, 0.3), (0.05, 0.75, 0.2), (0.3, 0.35, 0.35)))
"""For 0, 1, 2 and more paragraphs between two turns: the same speaks, the one before, another."""


def test_a_long_exchange_is_decided_by_the_ends_where_somebody_is_named() -> None:
    sure, open_ = {1: 0.98, 2: 0.02}, {1: 0.5, 2: 0.5}
    found = take_turns([sure, open_, open_, open_, sure], [1, 1, 1, 1], HABITS, 8)
    assert [max(belief, key=lambda one: belief[one]) for belief in found] == [1, 2, 1, 2, 1]
    assert all(abs(sum(belief.values()) - 1) < 1e-9 for belief in found)


def test_far_narration_and_turns_without_candidates_part_conversations() -> None:
    sure, open_ = {1: 0.98, 2: 0.02}, {1: 0.5, 2: 0.5}
    assert take_turns([sure, open_], [9], HABITS, 8) == [sure, open_]
    assert take_turns([sure, {}, open_], [1, 1], HABITS, 8) == [sure, {}, open_]
    assert take_turns([], [], HABITS, 8) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.floats(0.01, 1), min_size=2, max_size=3)), min_size=2, max_size=5))
@settings(max_examples=40, deadline=None)
def test_the_chain_is_exact(turns: list[tuple[int, list[float]]]) -> None:
    beliefs = [{one: share / sum(shares) for one, share in enumerate(shares)} for _, shares in turns]
    gaps = [gap for gap, _ in turns[1:]]

    def chance(speakers: tuple[int, ...]) -> float:
        whole = 1.0
        for place, speaker in enumerate(speakers):
            whole *= beliefs[place][speaker] + FLOOR
            if place:
                same, again, other = HABITS.after(gaps[place - 1])
                rest = max(1, len(beliefs[place]) - 1)
                again, other = (again, other) if place > 1 else (0.0, again + other)
                alike = speaker == speakers[place - 1]
                whole *= same if alike else again if place > 1 and speaker == speakers[place - 2] else other / rest
        return whole

    every = {speakers: chance(speakers) for speakers in product(*(range(len(belief)) for belief in beliefs))}
    for place, belief in enumerate(take_turns(beliefs, gaps, HABITS, 8)):
        for one, share in belief.items():
            true = sum(number for speakers, number in every.items() if speakers[place] == one) / sum(every.values())
            assert abs(share - true) < 1e-9


def test_a_word_of_address_tells_the_gender_of_the_other() -> None:
    assert addressed_gender("Yes, sir, I have it.") == "m"
    assert addressed_gender("My dear madam, sit down.") == "f"
    assert addressed_gender("The old sir was there, and the girl.") == "x"
    assert addressed_gender("No, sir. Yes, ma'am.") == "x"


def test_somebody_acts_by_what_is_theirs() -> None:
    assert cue_of("It was late.", "Her colour rose. “At eleven.”")[0] == "pronoun"
    assert cue_of("It was late.", "Ben’s eyes shone. “At eleven.”")[0] == "Ben Holt"


def test_two_in_one_paragraph_are_parted_by_who_answers_whom() -> None:
    texts = [
        "Ann Reed met Ben Holt. Ann Reed sat. Ben Holt stood.",
        "“It is late,” said Ann Reed; and he answered, with a yawn: “Then go.”",
    ]
    assert [turn.voiced for turn in Scene(texts, find_pieces(texts)).turns] == ["It is late,", "Then go."]
    texts[1] = "“It is late,” said Ann Reed; and she added, with a yawn: “Then go.”"
    assert len(Scene(texts, find_pieces(texts)).turns) == 1


def test_who_was_not_named_for_long_is_still_a_candidate() -> None:
    texts = ["Ann Reed and Ben Holt sat by the fire. Ann Reed sewed. Ben Holt read."] + ["“Is it so?”", "“It is.”"] * 20
    maker = FeatureMaker(Scene(texts, find_pieces(texts)))
    assert all(len(view.candidates) == 2 for view in maker.views)
