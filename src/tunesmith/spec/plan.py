"""A plan: a job with nothing left open, and the reason for each choice. It is shown before anything is spent."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from tunesmith.spec.job import JobSpec
from tunesmith.spec.recipe import Part

T = TypeVar("T")


def settled(value: T | None, name: str) -> T:
    """Return a value that a plan must have settled.

    Raises:
        ValueError: the plan left it open (a fault of the program, not of the user).
    """
    if value is None:
        raise ValueError(f"the plan leaves {name} open")
    return value


class Decision(Part):
    """One value that the plan chose, or that the user typed, and why."""

    field: str
    """Dotted path in the job, such as ``recipe.adapter.rank``."""
    value: Any
    reason: str


class MemoryEstimate(Part):
    """Memory of the training process at its peak, in bytes, part by part."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    overhead: int
    available: int
    """What the device (or ``resources.memory_limit_gb``) has."""

    @property
    def total(self) -> int:
        """Sum of the parts, in bytes."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits + self.overhead

    @property
    def fits(self) -> bool:
        """Whether the sum is within what is available."""
        return self.total <= self.available


OTHER_PARTS: Final = ("vision", "visual", "audio", "multi_modal", "image")
"""Beginnings of the names of those parts of a composed model that are not its language model."""


class ModelFacts(Part):
    """What is known of a model from its files alone (no torch): configuration and the headers of its safetensors."""

    source: str
    """What the user wrote."""
    path: str
    """Local folder."""
    architecture: str
    """First of ``architectures`` in ``config.json``, such as LlamaForCausalLM."""
    model_type: str
    """``model_type`` in ``config.json``, such as llama."""
    kind: str = "decoder"
    """decoder: a causal language model; encoder: one that sees both sides (BERT); others: ``modalities.base``."""
    modality: str = "text"
    """The modality whose family it is of."""
    unit_bytes: int | None = None
    """Activations in 32 bits of a unit of a row's length, where layers and widths do not tell them."""
    parameters: int
    linear_parameters: int = 0
    """Those of the linear layers that an adapter may sit on: what is stored in 4 or 8 bits with a quantised base."""
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int | None = None
    """Width of one attention head; None: hidden / heads."""
    vocabulary: int
    max_length: int
    """Positions that the model can see, in tokens."""
    dtype: str
    """Of the stored weights: bf16, fp16 or fp32."""
    tied_embeddings: bool
    linear_layers: list[str]
    """Leaf names of the linear layers that an adapter may sit on (no output head)."""
    linear_widths: dict[str, int] = {}
    """Inputs plus outputs of those layers, summed over the model: an adapter of rank r has r times as many weights."""
    window: int | None = None
    """Positions that attention looks back, where that is fewer than all (sliding window)."""
    fingerprint: str
    """sha256 over configuration and weights' headers, names and sizes."""


class DeviceFacts(Part):
    """What is known of the machine."""

    kind: str
    """cpu or cuda."""
    name: str
    count: int
    memory: int
    """Bytes that a run may use on one device."""
    cores: int
    bf16: bool
    """Whether the device computes in bf16 (on a CPU: avx512_bf16 or AMX)."""
    quantizes: bool = True
    """Whether bitsandbytes is installed, which stores a base in 4 or 8 bits."""
    flash: bool = False
    """Whether it is a GPU and the flash-attn package is installed."""
    learned: dict[str, int] = {}
    """Tokens that this model could compute at once where memory had run out before, by the way of training."""


class DataFacts(Part):
    """What a sample of the data tells, before all of it is read."""

    rows: int
    """Rows in all; exact where counting is cheap, else extrapolated from the file sizes."""
    exact: bool
    sampled: int
    formats: dict[str, int]
    kinds: dict[str, int]
    """Example types of the sample: conversation, text."""
    lengths: dict[str, int]
    """Token lengths of the sample: p50, p95, p99, max."""
    mean_length: float
    quantiles: list[int] = []
    """Lengths of which 0, 1, ... 100 % of the sample are shorter, or none."""
    trained_share: float
    """Share of the tokens that carry a label."""
    sequences_per_row: float = 1.0
    """Token sequences that a row becomes, on average."""
    faults: int = 0
    """Rows of the sample that cannot be used."""
    own_validation: bool = False
    """Whether the data brings its own rows for validation (a folder ``val``)."""
    own_test: bool = False
    """Whether the data brings its own rows for the test at the end."""
    misnamed: str | None = None
    """A column that is to be renamed and that no row of the sample has."""

    def mean_within(self, length: int) -> float:
        """Return the mean length of rows that are cut at a length, in tokens."""
        if not self.quantiles or length >= self.lengths["max"]:
            return self.mean_length
        return sum(min(each, length) for each in self.quantiles) / len(self.quantiles)


class Execution(Part):
    """How the worker goes about it: fixed here, so that a resume computes the same numbers."""

    device: str
    processes: int
    threads: int
    attention: str
    """documents: the joined-row path, equality-tested for this family; stock: the model's own; flash_attention_2: the
    model's own pass with the kernels of the flash-attn package."""
    fused: bool
    """Whether the family's fused layers are used (equality-tested); else the stock modules."""
    family: str
    tokens_per_second: float
    """Estimate behind ``Plan.seconds``."""


class Plan(Part):
    """A job that can run: ``spec`` has nothing left open that the worker reads."""

    spec: JobSpec
    model: ModelFacts
    device: DeviceFacts
    data: DataFacts
    execution: Execution
    decisions: list[Decision]
    memory: MemoryEstimate
    steps: int | None
    """Optimizer steps, estimated from the row count; None where there is no end."""
    seconds: float | None
    """Estimated duration; None where there is no end."""
    warnings: list[str]
    length_chosen: bool
    """Whether the plan (not the user) chose the length; then losing over 5 % of the trained tokens refuses the job."""
    split_chosen: bool
    """Whether the validation split is the default; then a split that leaves no row trains without validation."""
