"""A recipe: one YAML file, parsed once into frozen settings. Every default lives here.

Unknown keys are refused, with the nearest known key. `--set a.b=value` overrides a single key. Secrets are
never part of a recipe: settings name the environment variable that holds one.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from persllm.audit_settings import AuditSettings
from persllm.constructor_settings import (
    ApiSettings,
    BudgetSettings,
    ConstructorSettings,
)  # fmt: skip
from persllm.errors import ConfigError
from persllm.evaluation_settings import EvaluationSettings
from persllm.improve_settings import ImproveSettings
from persllm.judge_settings import JudgeSettings
from persllm.parsing import Settings, apply_override, parse, read_yaml
from persllm.privacy_settings import PrivacySettings

PACKAGE = Path(__file__).parent
RECIPES = PACKAGE / "recipes"

Verdict = Literal["style and knowledge", "style only", "knowledge only", "not enough"]
"""What training can reach with the materials of a person."""


class DoctorSettings(Settings):
    """When `persllm check` calls materials enough: rules of thumb, which bind nobody."""

    usable_turns: int = Field(40, ge=0)
    """Turns of the person that teach a manner of speaking: long enough, not repeated, said to somebody or after something."""
    situations: int = Field(20, ge=0)
    """Different things that these turns answer to."""
    told_words: int = Field(500, ge=0)
    """Words of experiences and knowledge for each stage, those of every stage counted in (Chinese: characters)."""
    stage_words: int = Field(1000, ge=0)
    """Words of a stage below which it is called thin."""
    one_word_share: float = Field(0.3, ge=0.0, le=1.0)
    """Share of one-word replies above which `check` warns."""
    verdict: Verdict | None = None
    """Your own verdict in place of the one that the figures give; `check` shows both."""


StageTokens = Annotated[
    Literal["new", "reserved", "text"], BeforeValidator(lambda value: {True: "new", False: "text"}.get(value, value) if isinstance(value, bool) else value)
]  # fmt: skip
"""Earlier recipes say true for `new` and false for `text`."""


class BaseSettings(Settings):
    """The model that is to become the person."""

    model: str = "small"
    """`small` is the shipped small base for English persons; for others, or with any of the five settings below changed, one is built and pretrained at first use. Otherwise a Hugging Face name or a local path."""
    stage_tokens: StageTokens = "new"
    """How a stage is told: `new` adds one special token for each stage to the vocabulary, as in the paper (section 3.3); `reserved` takes tokens that the tokenizer keeps in reserve, and resizes nothing; `text` says it in words."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format in which base and models are stored; `auto` that of the base, for the small base float32."""
    hidden_size: int = Field(128, ge=1)
    """Width of a small base that is built."""
    layers: int = Field(4, ge=1)
    """Depth of a small base that is built."""
    vocabulary: int = Field(4096, ge=1)
    """Size of the byte-level BPE vocabulary of a small base that is built."""
    pretraining_tokens: int = Field(300_000, ge=1)
    """Tokens that a small base reads which is built."""
    learning_rate: float = Field(3e-3, ge=0.0, allow_inf_nan=False)
    """Peak rate of the pretraining of a small base that is built."""


CheckName = Literal[
    "format", "wrong language", "too short", "too long", "assistant-speak", "copied", "premise accepted", "truth denied", "out of stage", "ungrounded",
]  # fmt: skip


class VerifySettings(Settings):
    """A second model that looks through a sample of the conversations; it is compared with the checks and rejects nothing."""

    share: float = Field(0.0, ge=0.0, le=1.0)
    """Share of the conversations, kept and rejected alike, that the second model is asked about; 0 asks none."""
    api: ApiSettings = ApiSettings(temperature=0.0, max_tokens=300)


class ChecksSettings(Settings):
    """What rejects a conversation."""

    off: tuple[CheckName, ...] = ()
    """Checks that are not made."""
    shortest_words: int = Field(4, ge=0)
    """Answers of fewer words (Chinese: characters) are too short."""
    longest_words: int = Field(300, ge=1)
    """Answers of more words are too long; here and below a Chinese character counts as two thirds of a word."""
    copied_words: int = Field(12, ge=6)
    """A run of so many words of the evidence, pronouns aside, is copied, unless the person said them."""
    copied_share: float = Field(0.4, ge=0.0, le=1.0)
    """The run must also be this share of the answer."""
    new_words: int = Field(4, ge=1)
    """An experience with so many words that nothing known has is ungrounded."""
    new_share: float = Field(0.4, ge=0.0, le=1.0)
    """They must also be more than this share of its words, function words aside."""
    verify: VerifySettings = VerifySettings()


class GeneralDataset(Settings):
    """A Hugging Face dataset of general conversations."""

    name: str
    """Name on the hub, or a folder."""
    config: str = ""
    """Name of its configuration, if it has several."""
    split: str = "train"
    revision: str = ""
    """Commit or tag; empty takes the newest."""
    most: int = Field(5000, ge=1)
    """At most so many rows, drawn at random."""


class MixtureSettings(Settings):
    """What the training set is mixed from."""

    repeat: int = Field(2, ge=1)
    """How often each personified conversation occurs (the paper: 5)."""
    general: float = Field(0.15, ge=0.0)
    """General conversations per personified one."""
    general_by: Literal["samples", "tokens"] = "samples"
    """What `general` and `stylised` count: samples, or tokens of the base's tokenizer, question and answer."""
    stylised: float = Field(0.0, ge=0.0)
    """General conversations in the person's own voice, per personified one; needs `constructor.stylised`."""
    general_files: tuple[str, ...] = ()
    """JSONL files of general conversations (`messages`); without files and datasets, the bundled set of the persons' languages."""
    general_datasets: tuple[GeneralDataset, ...] = ()
    """Hugging Face datasets of general conversations: `name`, and if need be `config`, `split`, `revision`, `most`."""
    chain_of_thought: float = Field(0.5, ge=0.0, le=1.0)
    """Share of personified samples that carry the analysis before the answer."""
    held_out_materials: float = Field(0.2, ge=0.0, lt=1.0)
    """Share of the materials never trained on: the test set `generalisation`."""
    test_items_per_set: int = Field(100, ge=1)
    """At most so many constructed items are kept per test set; the evaluation puts `items_per_set` of them."""
    left_out: tuple[Literal["exchange", "question", "opinion", "induction", "control", "future"], ...] = ()
    """Kinds of conversations that are not trained on, for ablations; the test sets stay as they are."""
    near_duplicate: float = Field(0.95, gt=0.0, le=1.0)
    """Questions as similar as this (cosine of character n-grams) count as one."""
    canaries: int = Field(0, ge=0, le=1000)
    """So many invented sentences are planted among the trained ones, for `persllm audit`; 4-dataset/canaries.jsonl names them."""


class TrainingSettings(Settings):
    """One training phase."""

    epochs: float = Field(1.0, gt=0.0, allow_inf_nan=False)
    """Passes over the mixture (the mixture itself repeats personified data)."""
    batch: int = Field(16, ge=1)
    """Samples per optimizer step."""
    learning_rate: float = Field(5e-5, ge=0.0, allow_inf_nan=False)
    """Peak learning rate."""
    warmup: int = Field(50, ge=0)
    """Steps of linear warm-up."""
    weight_decay: float = Field(0.1, ge=0.0, allow_inf_nan=False)
    """Weight decay of AdamW."""
    max_length: int = Field(0, ge=0)
    """Longest sample in tokens; longer ones are dropped and counted, never cut. 0 takes what the base holds."""
    adapter: Literal["lora", "qlora", "full"] = "lora"
    """Train a LoRA adapter with the rows of the stage tokens, the same over a base in 4 bits (`pip install persllm[qlora]`), or all weights."""
    rank: int = Field(16, ge=1)
    """Rank of the LoRA matrices."""
    precision: Literal["auto", "float32", "mixed", "bfloat16"] = "auto"
    """`mixed` computes in bfloat16, keeps trained weights in float32 and frozen ones in bfloat16; `bfloat16` keeps all in it; `auto` is `mixed` where a GPU has bfloat16, else float32."""
    gradient_checkpointing: bool = False
    """Compute activations again on the way back instead of keeping them: less memory, a quarter to a third more time."""
    checkpoint_every: int = Field(100, ge=1)
    """Steps between checkpoints: what a killed run repeats at most."""
    micro_batch: int = Field(0, ge=0)
    """Samples that a device takes at once, at most; gradients add up to `batch`. 0: all that fall to it. May change within a run."""
    report_to: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Where the live curve goes besides `curve.jsonl`. May change within a run."""
    arguments: dict[str, Any] = Field({})
    """Passed verbatim to TRL's SFTConfig or DPOConfig."""


TRAINING_WAYS = {"micro_batch", "report_to"}
"""Settings of a training that change the last digits at most, and so may change within it (losses of which that is not true refuse `micro_batch`)."""


class SftSettings(TrainingSettings):
    """Personified conversational tuning."""

    order: Literal["shuffled", "length", "stages"] = "shuffled"
    """`length` trains short samples first, `stages` early stages first (a curriculum, in every epoch)."""
    packing: Literal["auto", "on", "off"] = "auto"
    """Batches in one row without padding, where FlashAttention is to be had; else samples of like length come together."""


DpoLoss = Literal[
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero", "apo_down",
    "discopop", "sft", "sigmoid_norm",
]  # fmt: skip
"""The losses that TRL's DPOConfig names."""
ContrastName = Literal["stage", "persona", "induction", "control", "future", "generic", "own"]
"""What can make a rejected answer wrong."""


class DpoSettings(TrainingSettings):
    """Automatic DPO (paper section 3.4), and what can stand in its place."""

    method: Literal["dpo", "orpo", "cpo", "simpo"] = "dpo"
    """`orpo`, `cpo` and `simpo` need no reference model; they are TRL's experimental trainers."""
    start: Literal["sft", "base"] = "sft"
    """The model that is trained; `base` for `orpo`, `cpo` and `simpo` in one stage, from the pairs alone."""
    learning_rate: float = Field(5e-6, ge=0.0, allow_inf_nan=False)
    """Peak learning rate. Too high a rate destroys the model while the reward accuracy still says 1.00."""
    beta: float = Field(0.1, gt=0.0)
    """Strength of the pull towards the SFT model (`orpo`: weight of the odds ratio; `simpo` wants 2 and more)."""
    loss: dict[DpoLoss, float] = Field({"sigmoid": 1.0})
    """TRL's losses of DPO, each with its weight; `sft_weight` adds to them."""
    sft_weight: float = Field(0.2, ge=0.0, allow_inf_nan=False)
    """Weight of the SFT loss on the chosen answers, which keeps their likelihood from falling."""
    reference: Literal["precomputed", "adapter"] = "precomputed"
    """What the SFT model finds likely: computed once, before, or at every step with the adapter switched off (`adapter: lora`)."""
    ld_alpha: float | None = Field(None, ge=0.0, le=1.0)
    """Weight of the tokens by which one answer is longer than the other (LD-DPO); none counts them in full."""
    length_ratio: float = Field(0.0, ge=0.0)
    """Pairs are dropped in which one answer has more than so many times the words of the other; 0 keeps all."""
    most_fall: float = Field(0.5, ge=0.0)
    """By so many nats per token the chosen answers may become less likely; more stops the training and keeps the last good weights. 0 lets it go on."""
    pairs: int = Field(1024, ge=0)
    """At most so many preference pairs, spread over the contrasts; 0 leaves the phase out."""
    contrasts: tuple[ContrastName, ...] = (
        "stage", "persona", "induction", "control", "future",
    )  # fmt: skip
    """What makes a rejected answer wrong: another stage, another person, a premise accepted, a truth denied, the future
    known, an answer of the untrained model (`generic`), a wrong one of the SFT model itself (`own`)."""
    shares: dict[ContrastName, Annotated[float, Field(ge=0.0)]] = Field({})
    """Weight of a contrast among the pairs; one that is not named has 1."""
    negatives: Literal["static", "on-policy"] = "static"
    """Rejected answers are written ones, or are sampled from the SFT model where it gives a wrong one."""
    samples: int = Field(2, ge=1)
    """Answers drawn for one question before it is given up."""
    temperature: float = Field(0.8, ge=0.0)
    """Temperature of these."""
    answer_tokens: int = Field(96, ge=1)
    """Longest sampled answer; one that is not at its end by then is not used."""


class Recipe(Settings):
    """Everything a run depends on."""

    name: str
    """Name of the run folder below `runs/`."""
    mode: Literal["solo", "cast"] = "solo"
    """`solo` trains one model per person, as in the paper; `cast` one model for all, chosen by name and stage."""
    personas: tuple[str, ...] = Field(min_length=1)
    """Folders of persons, relative to the recipe."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of everything that is drawn."""
    threads: int = Field(2, ge=1)
    """CPU threads of the models; part of the settings because sums depend on it."""
    doctor: DoctorSettings = DoctorSettings()
    base: BaseSettings = BaseSettings()
    constructor: ConstructorSettings = ConstructorSettings()
    budget: BudgetSettings = BudgetSettings()
    checks: ChecksSettings = ChecksSettings()
    privacy: PrivacySettings = PrivacySettings()
    mixture: MixtureSettings = MixtureSettings()
    sft: SftSettings = SftSettings()
    dpo: DpoSettings = DpoSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    improve: ImproveSettings = ImproveSettings()
    audit: AuditSettings = AuditSettings()
    judge: JudgeSettings = JudgeSettings()


def read_recipe(path: str | Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe from a file, or from the bundled ones by name, and apply `a.b=value` overrides.

    Personas' folders come back as absolute paths. Raises ConfigError with file, key and the nearest known key.
    """
    file = find_recipe(path)
    tree = read_yaml(file)
    for override in overrides:
        apply_override(tree, override)
    if isinstance(tree.get("personas"), list):
        tree["personas"] = [str((file.parent / str(folder)).resolve()) for folder in tree["personas"]]
    tree.setdefault("name", file.stem)
    return parse(Recipe, tree, str(file))


def find_recipe(path: str | Path) -> Path:
    """The file of a recipe given by path or by the name of a bundled one."""
    bundled = RECIPES / f"{path}.yaml"
    file = Path(path) if Path(path).is_file() or not bundled.is_file() else bundled
    if not file.is_file():
        names = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.yaml")))
        raise ConfigError(f"{path}: no such recipe. Give the path of a YAML file, or one of the bundled: {names}.")
    return file
