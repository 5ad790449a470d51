"""`POST /train`: eight fields and a name; whatever is left out comes from ``config/training_config.yaml``."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from tunesmith.api.doors.fields import job_of, model_label, typed_values
from tunesmith.api.doors.incoming import named
from tunesmith.service.idempotency import job_id
from tunesmith.service.jobs.queue import Submission
from tunesmith.service.jobs.training_config import TrainingConfig
from tunesmith.spec.job import Device, JobSpec
from tunesmith.spec.recipe import Part

Category = Literal["LangText", "Vision", "Audio", "MultiModal"]
MODALITIES: Final[dict[str, Category]] = {
    "text": "LangText", "vision": "Vision", "audio": "Audio", "multimodal": "MultiModal",
}  # fmt: skip
SHOWN: Final[dict[str, Category]] = {**MODALITIES, "diffusion": "MultiModal"}
"""The category in which jobs of other ways in are shown."""
TYPES: Final = {category: modality for modality, category in MODALITIES.items()}
"""The model type that each category stands for."""
PATHS: Final = {
    "run_name": "name",
    "model_name": "model.source",
    "output_dir": "output.dir",
    "epochs": "recipe.epochs",
    "batch_size": "recipe.batch.size",
    "learning_rate": "recipe.learning_rate",
}
"""Where each field stands in a job; ``category``, ``dataset_path`` and ``gpu`` are read by ``submission``."""
DEVICES: Final = {True: Device.CUDA, False: Device.CPU, None: Device.AUTO}
EXAMPLE: Final[JsonDict] = {
    "category": "LangText",
    "model_name": "microsoft/DialoGPT-medium",
    "dataset_path": "data/llm_training/LangText/langtext_data.jsonl",
    "output_dir": "saved_models/LangText",
    "gpu": True,
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.00002,
}


class TrainRequest(Part):
    """What to train, and on what."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    category: Category
    """LangText, Vision, Audio or MultiModal."""
    dataset_path: str = Field(min_length=1, max_length=4096)
    """A file, a folder or the name of a data set; a relative path starts from the server's working folder."""
    model_name: str | None = Field(None, min_length=1, max_length=4096)
    """A hub id, a folder or a short name. Open: the category's in config/training_config.yaml."""
    output_dir: str | None = Field(None, min_length=1, max_length=4096)
    """Folder that receives the result. Open: saved_models/CATEGORY/RUN."""
    gpu: bool | None = None
    """true: on a GPU; false: on a CPU. Open: wherever there is room."""
    epochs: int | None = Field(None, ge=1, le=10_000)
    """Passes over the data. Open: that of the file."""
    batch_size: int | None = Field(None, ge=1, le=4096)
    """Rows per step. Open: that of the file."""
    learning_rate: float | None = Field(None, gt=0, le=0.1)
    """Highest learning rate. Open: that of the file."""
    run_name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """What the run is called."""


def submission(request: TrainRequest, config: TrainingConfig) -> Submission:
    """Turn a request into a job, with the defaults that are in force now."""
    typed, id = typed_values(request), job_id()
    defaults = config.category(request.category)
    output = f"saved_models/{request.category}/{request.run_name or id}"
    spec = job_of(
        typed,
        PATHS,
        {
            "recipe.method": "full",
            "recipe.epochs": config.training.epochs,
            "recipe.batch.size": config.training.batch_size,
            "recipe.batch.accumulation": 1,
            "recipe.learning_rate": config.training.learning_rate,
            **defaults.suggested,
        },
        fixed={
            "model.source": defaults.model_name,
            "datasets": [{"uri": named(request.dataset_path)}],
            "output.dir": output,
            "resources.device": DEVICES[request.gpu],
        },
    )
    labels = f"num_labels {defaults.num_labels} of the configuration gives way to the classes in the data."
    return Submission(
        spec=spec,
        door="train",
        id=id,
        warnings=[labels] if defaults.num_labels else [],
        extra={
            "category": request.category,
            "modality": TYPES[request.category],
            "asked": _asked(spec),
            "model_name": request.run_name or f"{model_label(spec.model.source)}-{id}",
        },
    )


def _asked(spec: JobSpec) -> dict[str, str]:
    """Keep paths as the client wrote them: where they lie on the server is nobody else's business."""
    return {"model": spec.model.source, "dataset": spec.datasets[0].uri, "output": spec.output.dir}
