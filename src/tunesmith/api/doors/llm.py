"""`/api/llm-finetuning`: a language model with an adapter, LoRA or QLoRA."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from tunesmith.api.doors.fields import job_of, model_label, typed_values
from tunesmith.api.doors.tasks import LLM, asked
from tunesmith.service.idempotency import job_id
from tunesmith.service.jobs.queue import Submission
from tunesmith.spec.errors import Contradiction
from tunesmith.spec.recipe import PRECISION_NAMES, Method, Part

Dtype = Literal["float16", "bfloat16", "float32"]
PATHS: Final = {
    "base_model": "model.source",
    "output_dir": "output.dir",
    "lora_r": "recipe.adapter.rank",
    "lora_alpha": "recipe.adapter.alpha",
    "lora_dropout": "recipe.adapter.dropout",
    "target_modules": "recipe.adapter.targets",
    "epochs": "recipe.epochs",
    "batch_size": "recipe.batch.size",
    "learning_rate": "recipe.learning_rate",
    "max_length": "recipe.length",
    "gradient_accumulation_steps": "recipe.batch.accumulation",
    "bnb_4bit_compute_dtype": "recipe.quantization.compute",
    "bnb_4bit_quant_type": "recipe.quantization.kind",
    "use_nested_quant": "recipe.quantization.double",
}
"""Where each field stands in a job; ``dataset_path``, ``use_4bit`` and ``use_8bit`` are read by ``submission``."""
PRINTED_COMPUTE: Final = "float16"
"""The number format that the document prints for weights in 4 bits: a wish that a CPU, which cannot have it, refuses
with a decision. Any other is meant."""
EXAMPLE: Final[JsonDict] = {
    "base_model": "llama-2-7b",
    "dataset_path": "data/train.jsonl",
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "target_modules": ["q_proj", "v_proj"],
    "batch_size": 4,
    "gradient_accumulation_steps": 4,
    "learning_rate": 2e-4,
    "epochs": 3,
}


def _names(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _form_names(value: object) -> object:
    """A form has one text, or the field several times."""
    parts = value if isinstance(value, list) else [value]
    return [name for part in parts for name in (_names(part) if isinstance(part, str) else [part])]  # type: ignore[attr-defined]


Targets = Annotated[list[str], BeforeValidator(_form_names), Field(min_length=1, max_length=100)]


class Adapter(Part):
    """The fields that every call has."""

    base_model: str = Field(min_length=1, max_length=4096)
    """A hub id, a folder or a short name such as llama-2-7b."""
    output_dir: str | None = Field(None, min_length=1, max_length=4096)
    """Folder that receives the result. Open: saved_models/llm/TASK."""
    lora_r: int | None = Field(None, ge=1, le=256)
    """Rank. Open: 8, from 13 billion parameters 16."""
    lora_alpha: float | None = Field(None, gt=0, le=512)
    """Scale. Open: 16, from 13 billion parameters 32."""
    lora_dropout: float | None = Field(None, ge=0, le=0.5)
    """Open: 0.05."""
    target_modules: Targets | None = None
    """Layers that get an adapter, as a list or between commas. Open: q_proj, v_proj, or the family's where it has none
    of that name."""
    epochs: int | None = Field(None, ge=1, le=100)
    """Open: 3."""
    batch_size: int | None = Field(None, ge=1, le=64)
    """Open: 4, from 13 billion parameters 2."""
    learning_rate: float | None = Field(None, ge=1e-7, le=1e-2)
    """Open: 2e-4, from 13 billion parameters 1e-4."""
    max_length: int | None = Field(None, ge=16, le=131_072)
    """Longest row in tokens. Open: 512."""
    gradient_accumulation_steps: int | None = Field(None, ge=1, le=64)
    """Open: 4, from 13 billion parameters 8."""
    use_4bit: bool | None = None
    """Keep the base in 4 bits."""
    use_8bit: bool | None = None
    """Keep the base in 8 bits."""
    bnb_4bit_compute_dtype: Dtype | None = None
    """Number format that 4-bit weights are computed in. Open: float16, and bfloat16 on a CPU."""
    bnb_4bit_quant_type: Literal["nf4", "fp4"] | None = None
    """Open: nf4."""
    use_nested_quant: bool | None = None
    """Quantise the scales too. Open: false."""


class AdapterJob(Adapter):
    """An adapter, trained on data that lies on the server."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    dataset_path: str = Field(min_length=1, max_length=4096)
    """A file, a folder, the name of a data set, or the path that an upload answered."""


class AdapterForm(Adapter):
    """An adapter, trained on data that comes with the request."""

    dataset: UploadFile
    """The rows: JSONL, JSON, CSV or another format that is known."""


def submission(request: BaseModel, dataset: str, method: Method, defaults: dict[str, Any]) -> Submission:
    """Turn a request into a job; ``defaults`` are what the document takes for a model of this size."""
    typed, id = typed_values(request), job_id()
    if typed.get("bnb_4bit_compute_dtype") == PRINTED_COMPUTE:
        del typed["bnb_4bit_compute_dtype"]
    compute = {"recipe.quantization.compute": PRECISION_NAMES[PRINTED_COMPUTE]} if method is Method.QLORA else {}
    fixed = {"datasets": [{"uri": dataset}], "output.dir": f"saved_models/llm/{id}", "recipe.method": method}
    spec = job_of(typed, PATHS, {**defaults, **compute}, fixed=fixed)
    shown = asked(spec.model.source, dataset, spec.output.dir)
    return Submission(
        spec=spec,
        door="llm",
        id=id,
        extra={"model_type": LLM, "asked": shown, "model_name": f"{model_label(spec.model.source)}-{id}"},
    )


def method_of(request: Adapter, path: Method) -> Method:
    """Return how the base is kept: what the path says, or what is typed.

    Raises:
        Contradiction: both 4 and 8 bits, or QLoRA without its 4 bits.
    """
    if request.use_4bit and request.use_8bit:
        raise Contradiction("use_4bit", "use_8bit")
    if path is Method.QLORA and (request.use_8bit or request.use_4bit is False):
        raise Contradiction(
            "QLoRA, which keeps the base in 4 bits,", "use_8bit" if request.use_8bit else "use_4bit: false"
        )
    return Method.QLORA if request.use_4bit else Method.LORA_8BIT if request.use_8bit else path
