"""``config/training_config.yaml``: what `POST /train` and the encoder pages take for what a request leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from tunesmith.spec.errors import UnreadableFile
from tunesmith.spec.recipe import Part
from tunesmith.spec.wrong_values import explained


class CategoryConfig(Part):
    """The defaults of one category: the keys that every category has."""

    model_name: str = Field(min_length=1)
    """The model to start from."""
    max_length: int | None = Field(None, ge=16, le=1_048_576)
    """Longest row in tokens."""
    num_labels: int | None = Field(None, ge=1)
    """Number of classes; it gives way to the classes in the data."""

    @property
    def suggested(self) -> dict[str, Any]:
        """The values for fields of a job that a request leaves open, by dotted path."""
        return {"recipe.length": self.max_length} if self.max_length else {}


class TrainingParameters(Part):
    """The defaults of every category."""

    epochs: int = Field(3, ge=1, le=10_000)
    batch_size: int = Field(8, ge=1, le=4096)
    learning_rate: float = Field(2e-5, gt=0, le=0.1)


class LangTextConfig(CategoryConfig):
    """Text."""

    model_name: str = Field("microsoft/DialoGPT-medium", min_length=1)
    max_length: int | None = Field(512, ge=16, le=1_048_576)


class VisionConfig(CategoryConfig):
    """Images."""

    model_name: str = Field("google/vit-base-patch16-224", min_length=1)
    num_labels: int | None = Field(1000, ge=1)


class AudioConfig(CategoryConfig):
    """Recordings."""

    model_name: str = Field("openai/whisper-small", min_length=1)
    language: str | None = Field("en", min_length=1)
    """Language of the recordings."""

    @property
    def suggested(self) -> dict[str, Any]:
        """The values for fields of a job that a request leaves open, by dotted path."""
        return {**super().suggested, **({"options.language": self.language} if self.language else {})}


class MultiModalConfig(CategoryConfig):
    """Images with text."""

    model_name: str = Field("openai/clip-vit-base-patch32", min_length=1)


class TrainingConfig(Part):
    """The whole file; a key that it leaves out keeps the value that stands here."""

    langtext: LangTextConfig = LangTextConfig()
    vision: VisionConfig = VisionConfig()
    audio: AudioConfig = AudioConfig()
    multimodal: MultiModalConfig = MultiModalConfig()
    training: TrainingParameters = TrainingParameters()

    def category(self, name: str) -> CategoryConfig:
        """Return the defaults of a category, such as LangText."""
        found: CategoryConfig = getattr(self, name.lower())
        return found


def read_training_config(path: Path) -> TrainingConfig:
    """Read the file as it is now; where there is none, return the documented defaults.

    Raises:
        UnreadableFile: it is not YAML, or holds no keys.
        UnknownKey: a key that nothing reads.
        BadEntry: a value of the wrong type or out of range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return TrainingConfig()
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise UnreadableFile(path, " ".join(str(error).split())) from error
    if not isinstance(content, dict | None):
        raise UnreadableFile(path, "it holds no keys")
    try:
        return TrainingConfig.model_validate(_without_empty_sections(content or {}))
    except ValidationError as error:
        raise explained(error, TrainingConfig, str(path)) from error


def _without_empty_sections(content: dict[object, object]) -> dict[str, object]:
    """Take a section whose keys are all commented out as one that says nothing."""
    return {str(key): value for key, value in content.items() if value is not None}
