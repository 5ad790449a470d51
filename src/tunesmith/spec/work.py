"""What is asked of a model that is trained: to be measured, or written as files. And what the run for it is told.

``EvaluateSpec`` and ``ExportSpec`` hold what people name; the service turns the names into folders of this machine and
hands them to the worker as ``EvaluateRun`` and ``ExportRun``, the request of the run (``run.json``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from tunesmith.spec.job import DatasetRef, Device
from tunesmith.spec.recipe import Part, Precision


class Export(StrEnum):
    """What a model is written as."""

    ADAPTER = "adapter"
    """The adapter alone, as files or as one archive."""
    MERGED = "merged"
    """A whole model: the adapter merged into its base."""
    GGUF = "gguf"
    """One file for llama.cpp and what is built on it, with a Modelfile for Ollama."""
    ONNX = "onnx"
    """One file for ONNX Runtime and what is built on it, of a model that names what pictures show or finds it."""
    ULTRALYTICS = "ultralytics"
    """One file for the package ultralytics, of one of its YOLOs."""


class Quantization(StrEnum):
    """The number format of a GGUF file's weights."""

    F32 = "f32"
    BF16 = "bf16"
    F16 = "f16"
    Q8_0 = "q8_0"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"


class Metric(StrEnum):
    """What a model's answers are measured by."""

    PERPLEXITY = "perplexity"
    TOKEN_ACCURACY = "token_accuracy"
    EXACT_MATCH = "exact_match"
    ROUGE1 = "rouge1"
    ROUGE2 = "rouge2"
    ROUGEL = "rougeL"


class Answering(Part):
    """How the answers of an evaluation are drawn; as it stands, the same way each time."""

    max_tokens: int = Field(128, ge=1, le=1_048_576)
    """Longest answer, in tokens."""
    temperature: float = Field(0.0, ge=0, le=10)
    """0 takes the likeliest token each time; higher draws more freely."""
    top_p: float = Field(1.0, ge=0, le=1)
    """Draw only among the likeliest tokens that together have this probability."""
    top_k: int = Field(0, ge=0, le=1_048_576)
    """Draw only among this many likeliest tokens; 0 means all."""
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    """Makes drawn answers repeatable."""
    stop: list[str] = []
    """Texts that end an answer; they are not part of it."""


class Asked(Part):
    """A prompt of one's own."""

    prompt: str = Field(min_length=1)
    expected: str | None = None
    """The answer that would be right."""


class ExportSpec(Part):
    """A model that is to be written as files."""

    kind: Literal["export"] = "export"
    source: str = Field(min_length=1)
    """What to write: a job, a run, a model of the registry, or the folder of an adapter."""
    what: Export = Export.ADAPTER
    quantization: Quantization = Quantization.F16
    """Number format of the weights in a GGUF file."""
    dtype: Precision | None = None
    """Number format of a merged model. Open: that of the base."""
    zip: bool = False
    """Write the adapter as one .zip instead of its files."""
    output: str | None = Field(None, min_length=1)
    """New or empty folder for it. Open: one of its own beside the server's other exports."""
    replay: int = Field(20, ge=0, le=1000)
    """Prompts of the training that the export must answer as the model that was trained does; 0 compares nothing."""
    base: str | None = None
    """The model that the adapter belongs to, where the adapter names none or it has moved."""


class EvaluateSpec(Part):
    """A model that is to be measured."""

    kind: Literal["evaluate"] = "evaluate"
    model: str = Field(min_length=1)
    """What to measure: a job, a run, a model of the registry, a name that `tunesmith pull` knows, or a folder."""
    baseline: str | None = None
    """What to compare it with: a model, base (what it was tuned from) or none. Open: base for a tuned model."""
    data: list[DatasetRef] | None = Field(None, min_length=1)
    """Rows to measure on. Open: those that the model's own training held out."""
    prompts: list[Asked] = Field([], max_length=1000)
    """Further prompts to answer, with the answers that would be right where there are any."""
    rows: int = Field(200, ge=1, le=100_000)
    """Rows measured on, at most."""
    answered: int = Field(32, ge=0, le=100_000)
    """Of these, rows answered in full and compared with the expected answer, at most: writing takes far longer."""
    metrics: list[Metric] | None = Field(None, min_length=1)
    """What to measure. Open: everything that the model allows."""
    sampling: Answering = Answering()
    bootstrap: int = Field(1000, ge=100, le=100_000)
    """Resamples of the rows that the interval of a difference is taken from."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Share of the resamples that the interval of a difference holds."""
    seed: int = Field(42, ge=0, lt=2**32)
    """Decides which rows are taken, and the resamples."""
    device: Device = Device.AUTO
    """Where to compute. On a server auto is the CPU, beside its trainings; cuda takes a GPU as a training does."""
    precision: Precision | None = None
    """The number format that is computed in. Open: what suits the device."""


Work = Annotated[EvaluateSpec | ExportSpec, Field(discriminator="kind")]
"""What a job without a plan does."""


class ModelFolders(Part):
    """A model on this machine: a whole one, or an adapter with its base."""

    name: str
    """What reports call it."""
    model: str
    """Folder of the whole model, or of the base."""
    adapter: str | None = None
    """Folder of the adapter."""
    run: str | None = None
    """Folder of the training run that it is the result of: it tells the data, the template and the options. Where
    ``adapter`` is None and the run trained one, the adapter is written out of the run's best checkpoint first."""
    checkpoint: str | None = None
    """Folder of the checkpoint of ``run`` that is meant, instead of its result."""


class ExportRun(Part):
    """The request of an export run. Its output is where the run's header says."""

    what: Export
    source: ModelFolders
    dtype: Precision | None = None
    """Of a merged model, decided."""
    quantization: Quantization = Quantization.F16
    zip: str | None = None
    """Name of the archive that an adapter becomes, with its ending."""
    replay: int = 20


class EvaluateRun(Part):
    """The request of an evaluation run. The result is ``evaluation.json`` in its artifacts, and its summary."""

    model: ModelFolders
    baseline: ModelFolders | None = None
    data: list[DatasetRef] | None = None
    """Data sets whose uris are files of this machine. None: what the run of ``model`` held out; prompts alone where
    it has no run."""
    prompts: list[Asked] = []
    rows: int = 200
    answered: int = 32
    metrics: list[Metric] | None = None
    sampling: Answering = Answering()
    bootstrap: int = 1000
    confidence: float = 0.95
    seed: int = 42
    device: Literal[Device.CPU, Device.CUDA] = Device.CPU
    """Decided by whoever makes the run."""
    precision: Precision | None = None
