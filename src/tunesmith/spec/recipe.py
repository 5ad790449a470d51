"""How to train: every setting of a run, each with its default, its unit and its reason. ``None`` means "decide for me".

A field here becomes a flag of ``tunesmith train``, a key of ``job.yaml`` and a row of ``docs/reference/recipe.md``;
``flag`` in ``json_schema_extra`` names the flag where it is not the field's own name with dashes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tunesmith.spec.errors import UnknownName
from tunesmith.spec.modes import ALIASES, MODES


class Part(BaseModel):
    """A frozen part of a job; an unknown key is an error, and each field is documented by the text below it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Method(StrEnum):
    """Which weights are trained."""

    FULL = "full"
    LORA = "lora"
    QLORA = "qlora"
    """An adapter on a base in 4 bits (https://arxiv.org/abs/2305.14314)."""
    LORA_8BIT = "lora-8bit"
    """An adapter on a base in 8 bits (https://arxiv.org/abs/2208.07339)."""

    @property
    def adapts(self) -> bool:
        """Whether an adapter is trained and the base stays as it is."""
        return self is not Method.FULL

    @property
    def bits(self) -> int | None:
        """Bits of a frozen weight of the base; None where it keeps its number format."""
        return {Method.QLORA: 4, Method.LORA_8BIT: 8}.get(self)


class Precision(StrEnum):
    """The number format that is computed in; trainable weights always keep a 32-bit master copy."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"


PRECISION_NAMES: Final = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "float32": "fp32",
    "float": "fp32",
}
"""Other names of the number formats."""


class Schedule(StrEnum):
    """How the learning rate goes after the warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"
    COSINE_WITH_RESTARTS = "cosine_with_restarts"
    WSD = "wsd"
    """Warm-up, stable, decay (https://arxiv.org/abs/2404.06395): constant, then down to zero at the end."""


class Optimizer(StrEnum):
    """The update rule."""

    ADAMW_TORCH = "adamw_torch"
    ADAMW_BNB_8BIT = "adamw_bnb_8bit"
    PAGED_ADAMW_8BIT = "paged_adamw_8bit"
    ADAFACTOR = "adafactor"


def _precision(value: object) -> object:
    return None if value == "auto" else PRECISION_NAMES.get(value, value) if isinstance(value, str) else value


def _mode(name: str) -> str:
    known = ALIASES.get(name, name)
    if known not in MODES:
        raise UnknownName("mode", name, [*MODES, *ALIASES])
    return known


class AdapterRecipe(Part):
    """The low-rank adapter (LoRA, https://arxiv.org/abs/2106.09685)."""

    rank: int | None = Field(None, ge=1, le=1024, json_schema_extra={"flag": "--lora-r"})
    """Rank of the two factors; more learns more and costs more memory. Open: by the model's number of parameters."""
    alpha: float | None = Field(None, gt=0, json_schema_extra={"flag": "--lora-alpha"})
    """Scale: the adapter's output is multiplied by alpha / rank. Open: twice the rank."""
    dropout: float = Field(0.05, ge=0, lt=1, json_schema_extra={"flag": "--lora-dropout"})
    """Share of the adapter's inputs set to zero while training."""
    targets: list[str] | None = Field(None, min_length=1, json_schema_extra={"flag": "--target-modules"})
    """Names of the linear layers that get an adapter. Open: the model family's list."""
    dora: bool = Field(False, json_schema_extra={"flag": "--dora"})
    """Train the size of each weight apart from its direction (DoRA, https://arxiv.org/abs/2402.09353)."""
    rslora: bool = Field(False, json_schema_extra={"flag": "--rslora"})
    """Divide alpha by the root of the rank instead of the rank (rsLoRA, https://arxiv.org/abs/2312.03732)."""


class QuantizationRecipe(Part):
    """How the frozen base is stored in 4 bits (method qlora)."""

    kind: Literal["nf4", "fp4"] = Field("nf4", json_schema_extra={"flag": "--quant-type"})
    """Which 16 values a weight can have."""
    double: bool = Field(False, json_schema_extra={"flag": "--double-quant"})
    """Quantise the scales of the blocks too: 0.4 bits less for each weight."""
    compute: Annotated[Precision | None, BeforeValidator(_precision)] = Field(
        None, json_schema_extra={"flag": "--quant-compute-dtype"}
    )
    """Number format that 4-bit weights are computed in. Open: the run's own."""


class BatchRecipe(Part):
    """How many rows make an optimizer step. Splitting them into micro-batches is the plan's business."""

    size: int | None = Field(None, ge=1, le=4096, json_schema_extra={"flag": "--batch-size"})
    """Rows per batch. Open: what fits in memory, at most the mode's effective batch."""
    accumulation: int | None = Field(None, ge=1, le=4096, json_schema_extra={"flag": "--gradient-accumulation-steps"})
    """Batches per optimizer step; effective batch = size x accumulation. Open: what reaches the mode's."""
    micro_tokens: int | None = Field(None, ge=16, json_schema_extra={"flag": "--micro-batch-tokens"})
    """Tokens computed at once, at most (one longer row still goes alone). Open: what fits in memory."""
    joined: bool = Field(True, json_schema_extra={"flag": "--join-rows"})
    """Join rows end to end without padding; no row sees another."""


LOSS: Final = "loss"
"""Name of the validation loss where a metric may be named."""


class StoppingRecipe(Part):
    """When to stop before the last epoch."""

    metric: str | None = Field(None, json_schema_extra={"flag": "--stopping-metric"})
    """What decides which weights are best and when patience ends: loss, or a metric of the task, such as accuracy.
    Open: the task's own metric; for text the validation loss."""
    patience: int | None = Field(None, ge=1, json_schema_extra={"flag": "--patience"})
    """Evaluations in a row without a better one before training stops. Open: 3, for running text 5."""
    min_delta: float = Field(0.0, ge=0, json_schema_extra={"flag": "--min-delta"})
    """By how much the validation loss must fall, or the metric rise, to count as better."""
    overfitting_threshold: float | None = Field(None, gt=0, json_schema_extra={"flag": "--overfitting-threshold"})
    """Gap between validation and training loss, as a share of the latter, above which a rising validation loss stops
    training. Open: 0.1, for running text 0.2; off where a metric judges."""
    min_evaluations: int = Field(5, ge=2, json_schema_extra={"flag": "--min-evaluations"})
    """Evaluations before overfitting is looked for."""
    perfect_loss: float | None = Field(None, ge=0, json_schema_extra={"flag": "--perfect-loss"})
    """Mean of the last training losses below which there is nothing left to learn. Open: 0.01, for running text 0.5;
    off where a metric judges."""
    perplexity_limit: float = Field(100.0, gt=1, json_schema_extra={"flag": "--perplexity-limit"})
    """Validation perplexity above which a rising loss stops training."""


class CircularRecipe(Part):
    """Mode circular: cycle over a small data set with a growing batch."""

    cycles: int = Field(100, ge=1, le=100_000, json_schema_extra={"flag": "--max-circular-epochs"})
    """Passes over the data, at most."""
    batch_multiplier: float = Field(1.25, ge=1, le=100, json_schema_extra={"flag": "--circular-batch-multiplier"})
    """Factor on the effective batch every 5 cycles; 1 leaves it as it is."""


class CheckpointRecipe(Part):
    """When the state of the run is saved."""

    every_steps: int | None = Field(None, ge=1, json_schema_extra={"flag": "--save-steps"})
    """Steps between two checkpoints. Open: at every evaluation."""
    keep: int = Field(2, ge=1, json_schema_extra={"flag": "--keep-checkpoints"})
    """Newest checkpoints kept, besides the best one."""


class Recipe(Part):
    """Everything about training that does not depend on the kind of data."""

    mode: Annotated[str, AfterValidator(_mode)] = Field("medium", json_schema_extra={"choices": list(MODES)})
    """Preset that fills in what is left open: slow (quality), medium (balanced), fast (quick), circular, non-stop,
    adaptive or ultra."""
    method: Method | None = None
    """full trains every weight; lora a small adapter; qlora and lora-8bit an adapter on a base in 4 or 8 bits. Open:
    lora, and qlora where that cannot fit."""
    adapter: AdapterRecipe = AdapterRecipe()
    quantization: QuantizationRecipe = QuantizationRecipe()
    length: int | None = Field(None, ge=16, le=1_048_576, json_schema_extra={"flag": "--max-seq-length"})
    """Longest row in tokens; the rest is cut and counted. Open: a sample's longest row, within the model's limit."""
    batch: BatchRecipe = BatchRecipe()
    epochs: float | None = Field(None, gt=0, le=10_000)
    """Passes over the training rows. Open: the mode's (non-stop has no end)."""
    force_epochs: bool = False
    """Train exactly the epochs or cycles asked for: no automatic stop, and the result has the last weights."""
    circular: CircularRecipe = CircularRecipe()
    max_steps: int | None = Field(None, ge=0)
    """Optimizer steps at which training ends, before the last epoch if it comes to that. Open: no limit."""
    learning_rate: float | None = Field(None, gt=0, le=1)
    """Highest learning rate. Open: by the model's number of parameters, times the mode's factor."""
    learning_rate_multiplier: float = Field(1.0, gt=0, le=1000)
    """Factor on the learning rate where that is left open."""
    schedule: Schedule | None = None
    """How the learning rate goes after the warm-up. Open: the mode's, cosine for most."""
    schedule_cycles: int = Field(3, ge=1, le=1000)
    """Waves of cosine_with_restarts."""
    decay_ratio: float = Field(0.2, gt=0, le=1)
    """Share of the steps over which wsd falls to zero at the end."""
    warmup_ratio: float = Field(0.1, ge=0, le=1)
    """Share of the steps over which the learning rate rises from zero."""
    warmup_steps: int | None = Field(None, ge=0, le=1_000_000)
    """Steps over which it rises, at most all of them. Open: warmup_ratio says it."""
    optimizer: Optimizer = Optimizer.ADAMW_TORCH
    """The update rule."""
    weight_decay: float = Field(0.01, ge=0, le=1)
    """Decoupled weight decay of the matrices (vectors have none)."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients with a larger norm are scaled down to it."""
    precision: Annotated[Precision | None, BeforeValidator(_precision)] = Field(
        None, json_schema_extra={"flag": "--dtype"}
    )
    """Number format of the computation. Open: bf16 where the device computes in it, else fp16 on a GPU and fp32 on a
    CPU."""
    gradient_checkpointing: bool | None = None
    """Recompute activations instead of keeping them: less memory, a third more time. Open: where memory needs it."""
    evaluate_every: int | None = Field(None, ge=1, json_schema_extra={"flag": "--eval-steps"})
    """Steps between two evaluations. Open: the mode's share of an epoch; the end of each epoch is always evaluated."""
    stopping: StoppingRecipe = StoppingRecipe()
    checkpoints: CheckpointRecipe = CheckpointRecipe()
