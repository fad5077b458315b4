"""A second model over HTTP looks through a sample: verdicts, unreadable ones, failures, and how far it agrees."""

import json
import re
from pathlib import Path

import pytest
from fake_server import Asked, FakeServer
from test_checks import EXAMPLES, checker, conversation

from persllm.checks.verify import Verified, agreement, read_verdict, sampled
from persllm.config import ChecksSettings, Recipe, VerifySettings
from persllm.constructor_settings import ApiSettings
from persllm.errors import ConfigError
from persllm.records import Conversation
from persllm.store import StepFolder
from persllm.verification import check_verifier, verify_sample

GOOD = {"in_stage": True, "grounded": True, "in_role": True, "why": ""}
JUDGED = tuple({conversation(one).identity: one for one in EXAMPLES if one.answer.strip()}.values())
CONVERSATIONS: list[Conversation] = [conversation(one) for one in JUDGED]


def judge(asked: Asked) -> str:
    """Finds what the examples expect, but thinks all answers about lamps good, and cannot say anything of wicks."""
    said = re.split(r"\n(?:Nell Harrow|苏青禾): ", asked.last)[-1]
    if "wick" in said:
        return "It seems fine to me."
    fault = next((one.check for one in JUDGED if said.startswith(one.answer.strip()[:30])), "")
    field = {"out of stage": "in_stage", "ungrounded": "grounded"}.get(fault, "in_role")
    return json.dumps(GOOD | ({field: False, "why": fault} if fault and "lamp" not in said else {}))


def verified(folder: Path, server: FakeServer, share: float = 1.0, **more: object) -> dict:
    """The facts of a sample that the server is asked about."""
    address = ApiSettings(url=server.url, model="second", temperature=0.0, **more)
    recipe = Recipe(name="x", personas=("p",), checks=ChecksSettings(verify=VerifySettings(share=share, api=address)))
    judged = checker(JUDGED)
    _, dropped = judged.sort(CONVERSATIONS)
    step = StepFolder(folder / "4-dataset")
    return verify_sample(recipe, judged, CONVERSATIONS, dropped, step, folder / "spending.jsonl", folder / "calls", lambda *_: None)


def test_agreement_is_told_and_unreadable_verdicts_are_unscored(tmp_path: Path) -> None:
    with FakeServer(answer=judge) as server:
        facts = verified(tmp_path, server)
    told, records = facts["verified"], StepFolder(tmp_path / "4-dataset").records(Verified, "verified.jsonl")
    silent = [one for one in records if one.verdict is None]
    assert silent
    assert all(one.reason.startswith("unreadable verdict") for one in silent)
    assert (told["n"], told["unscored"]) == (len(records) - len(silent), len(silent))
    assert len(records) == len(CONVERSATIONS) == facts["usage"]["calls"]
    same = [one.kept == one.accepted for one in records if one.verdict]
    assert told["agreement"] == pytest.approx(sum(same) / len(same), abs=1e-4)
    assert told["kept_refused"] == 0
    assert told["rejected_accepted"] > 3, "the lamps"
    assert 0 < told["low"] < told["kappa"] < told["high"] < 1


def test_the_second_model_is_told_what_lies_ahead_and_what_the_answer_rests_on(tmp_path: Path) -> None:
    with FakeServer(answer=judge) as server:
        verified(tmp_path, server)
    asked = [messages[-1][1] for messages in server.counts]
    young = next(text for text in asked if "Bright as the lamp. I never told" in text)
    assert "the steam whistle" in young
    assert "The wreck of the Sparrow (1833)" in young
    assert "forty barrels" in young
    assert any("大水（1921年）" in text and "请你审阅" in text for text in asked)
    assert all(body["temperature"] == 0.0 for body in server.bodies)


def test_failed_calls_are_unscored_and_good_ones_are_not_paid_twice(tmp_path: Path) -> None:
    broken = {"on": True}
    with FakeServer(lambda asked: "400" if broken["on"] and asked.number % 3 == 0 else "", judge) as server:
        first = verified(tmp_path, server)["verified"]
        records = StepFolder(tmp_path / "4-dataset").records(Verified, "verified.jsonl")
        failed = sum(one.reason.startswith("call failed") for one in records)
        broken["on"], before = False, server.requests
        second = verified(tmp_path, server)["verified"]
        assert server.requests - before == failed > 5
    assert first["unscored"] == second["unscored"] + failed


def test_a_share_is_drawn_the_same_way_each_time() -> None:
    half = sampled(CONVERSATIONS, 0.5, 0)
    assert half == sampled(CONVERSATIONS, 0.5, 0) != sampled(CONVERSATIONS, 0.5, 1)
    assert 0.25 * len(CONVERSATIONS) < len(half) < 0.75 * len(CONVERSATIONS)
    assert (sampled(CONVERSATIONS, 0.0, 0), sampled(CONVERSATIONS, 1.0, 0)) == ([], CONVERSATIONS)


def test_without_a_share_nobody_is_asked(tmp_path: Path) -> None:
    with FakeServer(answer=judge) as server:
        assert verified(tmp_path, server, share=0.0) == {}
        assert not server.requests


@pytest.mark.parametrize(("given", "lacking"), [({}, "url"), ({"url": "http://127.0.0.1:9/v1"}, "model")])
def test_a_sample_without_an_address_is_an_error_in_one_line(given: dict[str, str], lacking: str) -> None:
    with pytest.raises(ConfigError, match=rf"checks\.verify\.api\.{lacking} is empty"):
        check_verifier(VerifySettings(share=0.1, api=ApiSettings(**given)))
    check_verifier(VerifySettings(api=ApiSettings(**given)))


def test_kappa_by_hand() -> None:
    verdict, _ = read_verdict(json.dumps(GOOD))
    bad = verdict.model_copy(update={"grounded": False})
    cells = [(True, verdict)] * 40 + [(True, bad)] * 10 + [(False, verdict)] * 20 + [(False, bad)] * 30
    told = agreement([Verified(item=str(i), kept=k, verdict=v) for i, (k, v) in enumerate(cells)], "m")
    assert (told.agreement, told.kappa) == (0.7, 0.4)
    assert told.low < 0.4 < told.high
    alike = agreement([Verified(item=str(i), kept=True, verdict=verdict) for i in range(9)], "m")
    assert (alike.agreement, alike.kappa, alike.low) == (1.0, None, None)
    never_rejected = agreement([Verified(item=str(i), kept=True, verdict=(verdict, bad)[i % 2]) for i in range(8)], "m")
    assert (never_rejected.agreement, never_rejected.kappa) == (0.5, None)
    nothing = agreement([Verified(item="x", kept=True, verdict=None, reason="call failed")], "m")
    assert (nothing.n, nothing.unscored, nothing.agreement, nothing.kappa) == (0, 1, None, None)


@pytest.mark.parametrize("text", ['{"in_stage": "yes", "grounded": true, "in_role": true}', '{"in_stage": true', "true", "", "{}"])
def test_a_verdict_that_is_not_one_is_unscored(text: str) -> None:
    verdict, reason = read_verdict(text)
    assert verdict is None
    assert reason.startswith("unreadable verdict")
