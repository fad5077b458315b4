"""The constructor over Ray: byte for byte what one machine makes, also when a node is lost in the middle.

Heavy: runs only by `make check-ray`, which sets PERSLLM_RAY.
"""

import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_server import Asked, FakeServer, write

from persllm.chat import Ledger
from persllm.config import Recipe, read_recipe
from persllm.construction import Construction
from persllm.errors import BudgetError, ConfigError
from persllm.materials import read_folder
from persllm.records import Question
from persllm.starter import write_starter
from persllm.store import StepFolder

heavy = pytest.mark.skipif(not os.environ.get("PERSLLM_RAY"), reason="a cluster is heavy: make check-ray")


def made(recipe: Recipe, folder: Path) -> Construction:
    folders = [read_folder(Path(persona)) for persona in recipe.personas]
    materials = [material for one in folders for material in one.materials]
    return Construction(recipe, [one.persona for one in folders], materials, folder / "spending.jsonl", folder / "kept")


def run(recipe: Recipe, folder: Path, progress=lambda done, total: None) -> list[bytes]:
    """Both steps; the bytes that they leave."""
    construction, steps = made(recipe, folder), [StepFolder(folder / name) for name in ("2-questions", "3-answers")]
    construction.raise_questions(steps[0], lambda done, total: None)
    construction.answer_questions(steps[0].records(Question), steps[1], progress)
    return [(step.path / name).read_bytes() for step in steps for name in ("records.jsonl", "dropped.jsonl")]


def recipe_for(folder: Path, url: str, *more: str) -> Recipe:
    file = folder / "recipe.yaml" if (folder / "recipe.yaml").is_file() else write_starter(folder)
    sets = (
        "constructor.engine=llm",
        f"constructor.api.url={url}",
        "constructor.api.model=fake",
        "constructor.questions_per_material=2",
        *more,
    )
    return read_recipe(file, sets)


def test_without_ray_the_way_on_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install persllm\[ray\].*runner=local"):
        run(recipe_for(tmp_path / "p", "http://127.0.0.1:9/v1", "constructor.runner=ray"), tmp_path)


@heavy
def test_workers_mask_as_one_machine_does(tmp_path: Path) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    sets = ("privacy.mask=always", "privacy.words=[Per]", "constructor.questions_per_material=1")
    made_up = "Call 212-555-0147."
    with FakeServer(answer=lambda asked: write(asked).replace("Nobody thanked us for it.", made_up)) as server:
        expected = run(recipe_for(tmp_path / "p", server.url, *sets), tmp_path / "local")
        sent = set(server.counts)
        server.counts.clear()
        found = run(recipe_for(tmp_path / "p", server.url, "constructor.runner=ray", *sets), tmp_path / "ray")
        assert found == expected
        assert set(server.counts) == sent
    said = "\n".join(text for talk in sent for _, text in talk)
    assert "[WORD-1]" in said
    assert not re.search(r"\bPer\b", said)
    tables = [(tmp_path / name / "privacy" / "masks.jsonl").read_text() for name in ("local", "ray")]
    assert tables[0] == tables[1]


@heavy
def test_a_cluster_makes_the_same_bytes_and_a_lost_node_loses_nothing(tmp_path: Path) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    def slow(asked: Asked) -> str:
        time.sleep(0.1)
        return ""

    with FakeServer(slow) as server:
        expected = run(recipe_for(tmp_path / "p", server.url), tmp_path / "local")
        alone = dict(server.counts)
        head = {"num_cpus": 2, "object_store_memory": 150_000_000, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            second = cluster.add_node(num_cpus=2, object_store_memory=100_000_000)
            ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
            server.counts.clear()
            killed = threading.Event()

            def kill(done: int, total: int) -> None:
                if done > total // 4 and not killed.is_set():
                    killed.set()
                    cluster.remove_node(second, allow_graceful=False)

            found = run(recipe_for(tmp_path / "p", server.url, "constructor.runner=ray"), tmp_path / "ray", kill)
            assert killed.is_set()
            assert found == expected
            assert set(server.counts) == set(alone)
            again = sum(server.counts.values()) - len(server.counts)
            print(f"{len(alone)} calls, of which {again} were in flight on the lost node and made again")
            assert again <= 8
            with pytest.raises(BudgetError, match="goes on from here"):
                run(recipe_for(tmp_path / "p", server.url, "constructor.runner=ray", "budget.calls=30"), tmp_path / "capped")
            assert Ledger(recipe_for(tmp_path / "p", server.url).budget, tmp_path / "capped" / "spending.jsonl").total.calls == 30
        finally:
            ray.shutdown()
            cluster.shutdown()
