"""What the organisations' API takes for what a request leaves open: plain names in the environment and in ``.env``.

They are defaults of that way in alone, and read again for each job. The environment wins over ``.env``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tunesmith.spec.errors import BadValue
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.recipe import PRECISION_NAMES
from tunesmith.spec.wrong_values import wanted

FEW_SAMPLES: Final = 100
"""Answers below which a job is warned about."""
GRAD_NORM: Final = 0.3
"""Gradients with a larger norm are scaled down to it; this API has no setting for it."""


def _names(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class OrganisationDefaults(BaseSettings):
    """The settings, by their documented names in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    default_base_model: str = Field("meta-llama/Llama-2-7b-chat-hf", min_length=1)
    """Model to start from."""
    finetuned_model_dir: str = Field("./models/finetuned", min_length=1)
    """Folder of the results; ORGANISATION/TRAINING is made below it."""
    checkpoint_dir: str = Field("./models/checkpoints", min_length=1)
    """Folder in which TRAINING leads to the checkpoints of its newest run."""
    max_seq_length: int = Field(2048, ge=16, le=1_048_576)
    """Longest row in tokens."""
    batch_size: int = Field(4, ge=1, le=4096)
    gradient_accumulation_steps: int = Field(4, ge=1, le=4096)
    """Batches per optimizer step."""
    learning_rate: float = Field(2e-4, gt=0, le=1)
    num_train_epochs: float = Field(3, gt=0, le=10_000)
    warmup_steps: int | None = Field(None, ge=0, le=1_000_000)
    """Steps over which the learning rate rises. Open: a tenth of them, as most histories have fewer than the 100 that
    are usual."""
    save_steps: int = Field(500, ge=1)
    """Steps between two checkpoints."""
    eval_steps: int = Field(500, ge=1)
    """Steps between two evaluations; the end of each epoch is evaluated besides."""
    lora_r: int = Field(16, ge=1, le=1024)
    """Rank of the adapter."""
    lora_alpha: float = Field(32, gt=0)
    """Scale of the adapter."""
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    lora_target_modules: Annotated[list[str], NoDecode, BeforeValidator(_names)] = Field(
        ["q_proj", "v_proj"], min_length=1
    )
    """Names of the layers that get an adapter, with commas between them."""
    use_4bit: bool = True
    """Store the base in 4 bits."""
    use_8bit: bool = False
    """Store the base in 8 bits, where USE_4BIT is false."""
    bnb_4bit_compute_dtype: Literal["float16", "bfloat16", "float32", "fp16", "bf16", "fp32"] = "float16"
    """Number format that 4-bit weights are computed in."""
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    """Which 16 values a weight in 4 bits can have."""
    min_training_samples: int = Field(0, ge=0)
    """Answers to learn below which a job is refused."""
    validation_split: float = Field(0.1, ge=0, lt=1)
    """Share of the conversations held out."""
    max_new_tokens: int = Field(500, ge=1)
    """Longest answer of a tuned model, in tokens."""
    temperature: float = Field(0.8, ge=0, le=2)
    top_p: float = Field(0.9, gt=0, le=1)
    top_k: int = Field(50, ge=0)

    max_gpu_memory_gb: float | None = Field(None, gt=0)
    """Memory that a job may count on, in GiB. Open: what its device has."""

    logging_steps: int = Field(10, ge=1)
    max_concurrent_trainings: int = Field(2, ge=1)

    @property
    def method(self) -> str:
        """How the base is stored and what is trained."""
        return "qlora" if self.use_4bit else "lora-8bit" if self.use_8bit else "lora"

    @property
    def suggested(self) -> dict[str, Any]:
        """The values for fields of a job that a request leaves open, by dotted path."""
        compute = PRECISION_NAMES.get(self.bnb_4bit_compute_dtype, self.bnb_4bit_compute_dtype)
        quantization = {"kind": self.bnb_4bit_quant_type, "double": True, "compute": compute}
        return {
            "recipe.method": self.method,
            "recipe.adapter.rank": self.lora_r,
            "recipe.adapter.alpha": self.lora_alpha,
            "recipe.adapter.dropout": self.lora_dropout,
            "recipe.adapter.targets": self.lora_target_modules,
            **({f"recipe.quantization.{name}": value for name, value in quantization.items()} if self.use_4bit else {}),
            "recipe.length": self.max_seq_length,
            "recipe.batch.size": self.batch_size,
            "recipe.batch.accumulation": self.gradient_accumulation_steps,
            "recipe.learning_rate": self.learning_rate,
            "recipe.epochs": self.num_train_epochs,
            "recipe.max_grad_norm": GRAD_NORM,
            "recipe.checkpoints.every_steps": self.save_steps,
            "recipe.evaluate_every": self.eval_steps,
            **({} if self.warmup_steps is None else {"recipe.warmup_steps": self.warmup_steps}),
            **({} if self.max_gpu_memory_gb is None else {"resources.memory_limit_gb": self.max_gpu_memory_gb}),
        }

    @property
    def generation(self) -> dict[str, float]:
        """How a tuned model answers where a request says nothing of it."""
        names = ("max_new_tokens", "temperature", "top_p", "top_k")
        return {name: getattr(self, name) for name in names}

    def output(self, org: str, training: str, *, inside: bool) -> str:
        """Return the folder of a result; ``inside`` an organisation's own folder an absolute setting cannot count."""
        return str(self._folder("finetuned_model_dir", inside=inside) / org / training)

    def checkpoints(self, training: str, *, inside: bool) -> str:
        """Return the place that leads to the checkpoints of a training; ``inside`` as for ``output``."""
        return str(self._folder("checkpoint_dir", inside=inside) / training)

    def _folder(self, name: str, *, inside: bool) -> Path:
        base = Path(getattr(self, name))
        leaves = base.is_absolute() or ".." in base.parts
        return Path(type(self).model_fields[name].default) if inside and leaves else base

    @property
    def notes(self) -> list[str]:
        """Say which settings are there and do something else than their names promise."""
        return [f"{name.upper()} is set: {_ELSEWHERE[name]}." for name in _ELSEWHERE if name in self.model_fields_set]


_ELSEWHERE: Final = {
    "logging_steps": "every step is logged, whatever it says",
    "max_concurrent_trainings": "TUNESMITH_CPU_SLOTS, the GPUs and the quota max_running limit how many run at once",
}
"""Settings that are read and not followed, and what holds instead."""


class Places(BaseSettings):
    """The setting that is read when the server starts, and not for each job."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", protected_namespaces=())

    model_cache_dir: str | None = None


def use_model_cache() -> None:
    """Have what is fetched from the hub in MODEL_CACHE_DIR, unless the hub's own variables say where it goes."""
    folder = Places().model_cache_dir
    if folder and not (os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME")):
        os.environ["HF_HUB_CACHE"] = os.path.abspath(expanded(folder))


def read_organisation_defaults() -> OrganisationDefaults:
    """Read the settings as they are now.

    Raises:
        BadValue: one has a value that it cannot have.
    """
    try:
        return OrganisationDefaults()
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        field = OrganisationDefaults.model_fields.get(name)
        should = wanted(field) if field else fault["msg"]
        raise BadValue(f"{name.upper()} (in the environment or in .env)", fault["input"], should) from error
