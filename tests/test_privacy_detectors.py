"""What is found personal in a text, and what is not: by examples with marks, the held-out ones never tuned on."""

import re
from pathlib import Path

import pytest

from persllm.privacy import find_personal
from persllm.privacy.checksums import is_card, is_chinese_identity, is_iban

EXAMPLES = Path(__file__).parent / "personal"
MARK = re.compile(r"⟦(\w+):([^⟧]*)⟧")


def examples(name: str) -> list[tuple[str, set[tuple[str, str]]]]:
    """(text without marks, what is marked in it) of every line."""
    lines = (EXAMPLES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [(MARK.sub(r"\2", line), set(MARK.findall(line))) for line in lines if line and not line.startswith("# ")]


def measured(name: str) -> tuple[int, int, int, list[str]]:
    """Right, wrongly found, missed, and what went wrong in words."""
    right = wrong = missed = 0
    errors = []
    for text, marked in examples(name):
        found = {(piece.kind, piece.text) for piece in find_personal(text)}
        right, wrong, missed = right + len(found & marked), wrong + len(found - marked), missed + len(marked - found)
        if found != marked:
            errors.append(f"{text}: found {sorted(found - marked)}, missed {sorted(marked - found)}")
    return right, wrong, missed, errors


@pytest.mark.parametrize(("name", "least"), [("tuned", 0.95), ("held_out", 0.85)])
def test_precision_and_recall(name: str, least: float, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, missed, errors = measured(name)
    precision, recall = right / (right + wrong), right / (right + missed)
    with capsys.disabled():
        print(
            f"\npersonal data, {name}: {len(examples(name))} texts, {right + missed} marked; precision {precision:.3f}, recall {recall:.3f}"
        )
    assert min(precision, recall) >= least, "\n".join(errors)


def test_own_words_in_every_case_and_language() -> None:
    words = ("Torvik", "老周", "Anna Meyer", "Anna")
    found = find_personal("TORVIK, not Torviken; 老周来了; Anna Meyer and Anna.", words=words)
    assert [piece.text for piece in found] == ["TORVIK", "老周", "Anna Meyer", "Anna"]


def test_an_own_word_does_not_break_what_it_stands_in() -> None:
    found = find_personal("hanne@torvik-honey.example.org is of Torvik", words=("Torvik",))
    assert [(piece.kind, piece.text) for piece in found] == [("mail", "hanne@torvik-honey.example.org"), ("word", "Torvik")]
    wider = find_personal("the yard 14 Harbour Lane South", words=("Lane South",))
    assert [(piece.kind, piece.text) for piece in wider] == [("word", "14 Harbour Lane South")]


def test_kinds_and_regions_are_settings() -> None:
    text = "tel 030 901820 or a@b.org"
    assert [piece.kind for piece in find_personal(text, kinds=("mail",))] == ["mail"]
    national = "the old form (415) 555-2671 is right"
    assert find_personal(national, regions=("US",))
    assert not find_personal(national, regions=())


def test_check_digits() -> None:
    assert is_card("4111 1111 1111 1111")
    assert not is_card("4111 1111 1111 1112")
    assert is_iban("DE89370400440532013000")
    assert not is_iban("DE88370400440532013000")
    assert is_chinese_identity("11010519491231002x")
    assert not is_chinese_identity("110105194912310021")
    assert not is_chinese_identity("110105194913310027")


def test_a_long_text_takes_no_long_time() -> None:
    import time

    started = time.monotonic()
    for nasty in ("1" * 20_000, "a." * 20_000, "+1 " * 20_000, "路" * 20_000, "A b " * 20_000, "@" * 20_000, "住在" * 20_000, ":" * 20_000):
        find_personal(nasty)
    assert time.monotonic() - started < 20
