"""The LLM constructor on the nodes of a Ray cluster: the same records as from one machine, made by several.

Owed items are sharded over `constructor.shards` workers by Ray Data. Each worker prepares prompts, makes calls and
reads replies; the limits of every address are shared out among the workers. One keeper, which lives where the step
runs, holds the kept replies and the accounts, and is asked before and after each call: so the budget holds for all
together, and when a node is lost its items are done again elsewhere and only calls in flight there are made again.
Outcomes come back as they are ready; the step writes them in its own order.

A cluster that is there is used (`RAY_ADDRESS`); else one is started on this machine and ended with the step. The
environment variables that hold keys must be set where the workers run.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from persllm import errors
from persllm.chat import ApiModel, ChatModel, Ledger, ReplyCache
from persllm.config import Recipe
from persllm.construct_llm import LlmConstructor
from persllm.constructor_settings import AddressSettings, BudgetSettings, ConstructorSettings
from persllm.errors import ConfigError, ModelError, PersllmError
from persllm.privacy import Mask, MaskedModel, Masks, Personal
from persllm.records import Conversation, Dropped, Material, Persona, Question, Record, Reply, Usage
from persllm.store import Outcome, item_line

STORE_BYTES = 200_000_000
"""Memory for what workers hand over; records are small."""
LEAST_IN_BLOCK, BLOCKS_PER_SHARD = 16, 8
"""How the items are cut: a lost node has at most a block for each of its workers to be done again."""
WORKER_CPUS = 0.25
"""A worker mostly waits."""
KINDS: dict[str, tuple[type[Record], type[Record]]] = {
    "raise_questions": (Material, Question),
    "answer_questions": (Question, Conversation),
}
"""What a way of the constructor takes and makes."""


class Keeper:
    """The kept replies and the accounts of one step, as an actor; the methods are those of `chat.Keeper` and `chat.Accounts`."""

    def __init__(self, kept: str, spending: str, budget: BudgetSettings, step: str, masks: Masks | None = None):
        self.masks = masks
        self.kept, self.ledger = ReplyCache(Path(kept)), Ledger(budget, Path(spending), step)

    def find(self, key: str) -> Reply | None:
        """See ReplyCache."""
        return self.kept.find(key)

    def claim(self, key: str, seconds: float) -> bool:
        """See ReplyCache. A claim of this keeper that a lost worker left is taken over."""
        return self.kept.claim(key, seconds)

    def keep(self, key: str, reply: Reply) -> None:
        """See ReplyCache."""
        self.kept.keep(key, reply)

    def release(self, key: str) -> None:
        """See ReplyCache."""
        self.kept.release(key)

    def begin(self, model: str, prompt_tokens: int, completion_tokens: int, seconds: float) -> int | None:
        """See Ledger."""
        return self.ledger.begin(model, prompt_tokens, completion_tokens, seconds)

    def settle(self, number: int, usage: Usage | None) -> None:
        """See Ledger."""
        self.ledger.settle(number, usage)

    def mask(self, piece: Personal) -> Mask:
        """The mask of something personal that came up in a call: one for all workers, written down before it is used."""
        assert self.masks is not None
        found = self.masks.mask_of(piece)
        self.masks.save()
        return found

    def finish(self) -> None:
        """Calls that were never settled are, and the files are let go."""
        self.ledger.close()
        self.kept.close()


class FarKeeper:
    """The keeper as a worker sees it."""

    def __init__(self, actor: Any):
        self.actor = actor

    def ask(self, method: str, *words: Any) -> Any:
        """The answer of the keeper; errors that a user can act on come as they are."""
        import ray

        try:
            return ray.get(getattr(self.actor, method).remote(*words))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, PersllmError) else None
            raise (cause or error) from None

    def find(self, key: str) -> Reply | None:
        """See Keeper."""
        return self.ask("find", key)

    def claim(self, key: str, seconds: float) -> bool:
        """See Keeper."""
        return self.ask("claim", key, seconds)

    def keep(self, key: str, reply: Reply) -> None:
        """See Keeper."""
        self.ask("keep", key, reply)

    def release(self, key: str) -> None:
        """See Keeper."""
        self.ask("release", key)

    def begin(self, model: str, prompt_tokens: int, completion_tokens: int, seconds: float) -> int | None:
        """See Keeper."""
        return self.ask("begin", model, prompt_tokens, completion_tokens, seconds)

    def settle(self, number: int, usage: Usage | None) -> None:
        """See Keeper."""
        self.ask("settle", number, usage)

    def close(self) -> None:
        """The keeper outlives its workers."""


class FarMasks(Masks):
    """The table of masks as a worker sees it: what the materials hold is there; anything new is numbered by the keeper."""

    def __init__(self, table: Masks, keeper: FarKeeper):
        super().__init__(table.settings)
        self.literal, self.keeper = set(table.literal), keeper
        for mask in table.by_mask.values():
            self.learn(mask)

    def mask_of(self, piece: Personal) -> Mask:
        """See Masks."""
        if (piece.kind, self.same(piece.kind, piece.text)) not in self.by_value:
            self.learn(self.keeper.ask("mask", piece))
        return super().mask_of(piece)


class Worker:
    """Does the items of a block on some node of the cluster."""

    def __init__(
        self, actor: Any, recipe: Recipe, personas: Sequence[Persona], materials: Sequence[Material], held: set[str], method: str, table: Masks | None
    ):  # fmt: skip
        settings, keeper = shared_out(recipe.constructor), FarKeeper(actor)
        model: ChatModel = ApiModel(settings.api, keeper, settings.apis, keeper)
        if table is not None:
            model = MaskedModel(model, FarMasks(table, keeper))
        self.kind = KINDS[method][0]
        self.work = {persona.id: getattr(LlmConstructor(persona, materials, settings, model, held), method) for persona in personas}

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """A block of items, as JSON, to the lines of their outcomes; what stops the run comes as a last one."""
        items = [self.kind.model_validate_json(text) for text in batch["item"]]
        lines: list[str] = []
        stop = ""
        try:
            for persona, work in self.work.items():
                own = [item for item in items if item.persona == persona]
                lines += [item_line(item, *outcome) for item, outcome in (work(own) if own else ())]
        except PersllmError as error:
            stop = f"{type(error).__name__} {error}"
        return {"line": [*lines, ""], "stop": [*([""] * len(lines)), stop]}


def shared_out(settings: ConstructorSettings) -> ConstructorSettings:
    """The settings of one worker of several: its share of every limit."""

    def share(address: AddressSettings) -> AddressSettings:
        names = ("concurrency", "requests_per_minute", "tokens_per_minute")
        own = {name: max(1, getattr(address, name) // settings.shards) for name in names if getattr(address, name)}
        return address.model_copy(update=own)

    return settings.model_copy(update={"api": share(settings.api), "apis": tuple(map(share, settings.apis))})


@contextmanager
def work_on_cluster(
    recipe: Recipe,
    personas: Sequence[Persona],
    materials: Sequence[Material],
    held: set[str],
    method: str,
    step: str,
    spending: Path,
    kept: Path,
    masks: Masks | None = None,
) -> Iterator[Callable[[list[Any]], Iterator[tuple[Record, Outcome]]]]:
    """The work on owed items by a method of LlmConstructor, behind masks if there are any, over a cluster that is there or is started for it."""
    with cluster() as ray:
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        keeper = (
            ray.remote(Keeper).options(num_cpus=0, scheduling_strategy=here).remote(str(kept), str(spending), recipe.budget, step, masks)
        )

        def work(owed: list[Any]) -> Iterator[tuple[Record, Outcome]]:
            if not owed:
                return
            known = {item.identity: item for item in owed}
            rows = [{"item": item.model_dump_json()} for item in owed]
            blocks = max(1, min(len(rows) // LEAST_IN_BLOCK, recipe.constructor.shards * BLOCKS_PER_SHARD))
            done = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
                Worker,
                fn_constructor_args=(keeper, recipe, personas, materials, held, method, masks),
                batch_size=None,
                compute=ray.data.ActorPoolStrategy(size=min(blocks, recipe.constructor.shards)),
                num_cpus=WORKER_CPUS,
            )
            for row in done.iter_rows():
                if row["stop"]:
                    name, _, said = row["stop"].partition(" ")
                    raise getattr(errors, name, ModelError)(said)
                if row["line"]:
                    yield outcome_of(row["line"], known, KINDS[method][1])

        try:
            yield work
        finally:
            ray.get(keeper.finish.remote())
            ray.kill(keeper)


def outcome_of(line: str, known: dict[str, Any], kind: type[Record]) -> tuple[Record, Outcome]:
    """An item and its outcome from the line that a worker wrote."""
    entry = json.loads(line)
    records = [kind.model_validate(record) for record in entry["records"]]
    return known[entry["item"]], (records, [Dropped.model_validate(dropped) for dropped in entry["dropped"]])


@contextmanager
def cluster() -> Iterator[Any]:
    """Ray, connected; ConfigError if it is not installed. A cluster that is started here listens on this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
        import ray.util.scheduling_strategies
    except ImportError:
        raise ConfigError(
            "constructor.runner is ray, and Ray is not installed. Install it with `pip install persllm[ray]`, or set constructor.runner=local."
        ) from None
    own = not ray.is_initialized()
    if own and os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
    elif own:
        ray.init(
            include_dashboard=False,
            object_store_memory=STORE_BYTES,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
        )
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()
