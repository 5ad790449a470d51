"""Who turns the rows of data into what a model reads: the encoder of the modality that model and data belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef

if TYPE_CHECKING:
    from tunesmith.data.check import Settings
    from tunesmith.modalities.base import Encoder


@dataclass(frozen=True)
class Chosen:
    """An encoder, and how much its model sees."""

    encoder: Encoder
    longest: int | None
    """Tokens that the model can see; None where rows are never cut, as those of pictures are not."""

    def within(self, asked: Settings) -> Settings:
        """Return how data would be used: at the length that was asked for, else at the longest that the model sees."""
        if self.longest is None:
            return replace(asked, length=None)
        return asked if asked.length is not None else replace(asked, length=self.longest, length_chosen=True)


def encoder_of(folder: Path, source: str, datasets: Sequence[DatasetRef], **options: Any) -> Chosen:
    """Return the encoder for these data sets; ``source`` is what the user calls the model.

    ``options`` are those of text; a model of anything else has none of them.

    Raises:
        ConfigError: the folder holds no model that can be trained.
        DataError: the data cannot be found.
    """
    from tunesmith.planning.modality_choice import choose_modality
    from tunesmith.planning.model_files import longest_row

    modality = choose_modality(JobSpec(model=ModelRef(source=source), datasets=list(datasets)), folder)
    if modality.name == "text":
        longest = longest_row(folder, source)
        return Chosen(modality.encoder(folder, modality.options.model_validate(options)), longest)
    return Chosen(modality.encoder(folder, modality.options()), None)
