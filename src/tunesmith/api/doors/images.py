"""`/api/training`: image classifiers, object detectors and adapters of image makers."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from tunesmith.api.doors.fields import job_of, typed_values
from tunesmith.api.doors.tasks import IMAGES, asked
from tunesmith.service.idempotency import job_id
from tunesmith.service.jobs.queue import Submission
from tunesmith.spec.recipe import Part

ModelType = Literal["image_classifier", "object_detector", "text_to_image"]
TASKS: Final = IMAGES
"""The task that each model type stands for."""
TITLES: Final[dict[str, str]] = {
    "image_classifier": "An image classifier",
    "object_detector": "An object detector",
    "text_to_image": "A text-to-image adapter",
}
PATHS: Final = {
    "base_model": "model.source",
    "output_dir": "output.dir",
    "epochs": "recipe.epochs",
    "batch_size": "recipe.batch.size",
    "learning_rate": "recipe.learning_rate",
    "save_steps": "recipe.checkpoints.every_steps",
    "eval_steps": "recipe.evaluate_every",
    "warmup_steps": "recipe.warmup_steps",
    "weight_decay": "recipe.weight_decay",
    "max_grad_norm": "recipe.max_grad_norm",
    "seed": "seed",
}
"""Where each field stands in a job; ``model_type`` and the data set are read by ``submission``."""
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "image_classifier": {"recipe.epochs": 10, "recipe.batch.size": 8, "recipe.learning_rate": 1e-4},
    "object_detector": {"recipe.epochs": 100, "recipe.batch.size": 16},
    "text_to_image": {
        "recipe.epochs": 10,
        "recipe.batch.size": 8,
        "recipe.learning_rate": 1e-4,
        "recipe.method": "lora",
        "recipe.adapter.rank": 4,
        "recipe.adapter.alpha": 8,
    },
}
"""What the document takes for what is left open."""
FORM_RATE: Final = 5e-5
"""Learning rate of the form for image classifiers."""
EXAMPLE: Final[JsonDict] = {
    "model_type": "image_classifier",
    "base_model": "resnet50",
    "dataset_path": "/datasets/my_images",
    "epochs": 15,
    "batch_size": 16,
    "learning_rate": 0.0001,
}


class _Common(Part):
    """The fields that every call has."""

    epochs: int | None = Field(None, ge=1, le=100)
    """Open: 10; for object detectors 100."""
    batch_size: int | None = Field(None, ge=1, le=64)
    """Open: 8; for object detectors 16."""


class ImageJob(_Common):
    """A model, trained on images that lie on the server."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    model_type: ModelType
    base_model: str = Field(min_length=1, max_length=4096)
    """A hub id, a folder or a short name such as resnet50."""
    dataset_path: str = Field(min_length=1, max_length=4096)
    """A folder, an archive, or the id of a data set that was uploaded."""
    output_dir: str | None = Field(None, min_length=1, max_length=4096)
    """Folder that receives the result. Open: saved_models/MODEL_TYPE/TASK."""
    learning_rate: float | None = Field(None, ge=1e-7, le=0.1)
    """Open: 1e-4; of object_detector what is usual for the model's family."""
    save_steps: int | None = Field(None, ge=1, le=1_000_000)
    """Steps between two checkpoints."""
    eval_steps: int | None = Field(None, ge=1, le=1_000_000)
    """Steps between two evaluations."""
    warmup_steps: int | None = Field(None, ge=0, le=1_000_000)
    """Steps over which the learning rate rises."""
    weight_decay: float | None = Field(None, ge=0, le=1)
    max_grad_norm: float | None = Field(None, gt=0, le=1000)
    seed: int | None = Field(None, ge=0, lt=2**32)


class ClassifierForm(_Common):
    """An image classifier, trained on an archive that comes with the request."""

    dataset: UploadFile
    """ZIP, tar or tar.gz with a folder for each class below train/ and val/."""
    base_model: str = Field("google/vit-base-patch16-224", min_length=1, max_length=4096)
    learning_rate: float | None = Field(None, ge=1e-7, le=0.1)
    """Open: 5e-5."""
    num_labels: int | None = Field(None, ge=1, le=100_000)
    """Number of classes; it gives way to the classes in the data."""


class DetectorForm(_Common):
    """An object detector, trained on an archive that comes with the request."""

    dataset: UploadFile
    """ZIP, tar or tar.gz with images/, labels/ and data.yaml in YOLO's layout."""
    base_model: str = Field("yolov8n.pt", min_length=1, max_length=4096)


def submission(request: BaseModel, model_type: str, dataset: str, **defaults: Any) -> Submission:
    """Turn a request into a job; ``defaults`` are those of the form, by the last part of their path."""
    typed, id = typed_values(request), job_id()
    further = {f"recipe.{name}": value for name, value in defaults.items()}
    fixed = {
        "model.source": getattr(request, "base_model", None),
        "task": TASKS[model_type],
        "datasets": [{"uri": dataset}],
        "output.dir": f"saved_models/{model_type}/{id}",
    }
    suggested = {"recipe.method": "full", "recipe.batch.accumulation": 1, **DEFAULTS[model_type], **further}
    spec = job_of(typed, PATHS, suggested, fixed=fixed)
    labels = f"num_labels {typed.get('num_labels')} of the request gives way to the classes in the data."
    return Submission(
        spec=spec,
        door="training",
        id=id,
        warnings=[labels] if "num_labels" in typed else [],
        extra={"model_type": model_type, "asked": asked(spec.model.source, dataset, spec.output.dir)},
    )
