"""Checks and previews of data as subtasks do them: what goes in and comes out is JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.data import check
from tunesmith.data.mixture import read
from tunesmith.planning.model_files import longest_row
from tunesmith.service.datasets.preview import Shown, as_dict, encoded
from tunesmith.service.models.resolve import resolve_datasets, resolve_model
from tunesmith.settings import Settings
from tunesmith.spec.errors import NoUsableRow, RowFault
from tunesmith.spec.job import DatasetRef, ModelRef

if TYPE_CHECKING:
    from tunesmith.modalities.text.encode import TextEncoder


def checked(
    *,
    datasets: list[dict[str, Any]],
    model: str | None,
    length: int | None,
    split: float | None,
    home: str,
    folder: str,
) -> dict[str, Any]:
    """Return what a check of data found, with a model also what that would make of it.

    ``folder`` is where a model's name is taken for a path.

    Raises:
        DataError, ConfigError: as ``check.check`` and ``resolve_model``.
    """
    settings = Settings(home=Path(home), offline=True)
    found = resolve_model(ModelRef(source=model), settings, Path(folder)) if model is not None else None
    longest = longest_row(found, str(model)) if found is not None else None
    chosen = length is None and longest is not None
    report = check.check(
        _found(datasets, settings),
        _encoder(found),
        check.Settings(length=longest if chosen else length, split=split, length_chosen=chosen),
    )
    return report.as_dict()


def previewed(
    *, datasets: list[dict[str, Any]], model: str | None, length: int | None, rows: int, home: str, folder: str
) -> dict[str, Any]:
    """Return the first rows: as they are read, or with a model as it would see them; ``folder`` as for ``checked``.

    Raises:
        NoUsableRow: there is none.
        DataError, ConfigError: as ``read`` and ``resolve_model``.
    """
    settings = Settings(home=Path(home), offline=True)
    source = ModelRef(source=model) if model is not None else None
    encoder = _encoder(resolve_model(source, settings, Path(folder))) if source is not None else None
    found = _found(datasets, settings)
    shown: list[dict[str, Any]] = []
    faults: list[str] = []
    for row in encoded(found, encoder, length) if encoder is not None else read(found):
        if isinstance(row, RowFault):
            faults.append(row.message)
        elif isinstance(row, Shown):
            assert encoder is not None
            shown.append(as_dict(row, encoder))
        else:
            shown.append({"where": str(row.where), "kind": type(row).__name__, "content": _content(row)})
        if len(shown) == rows:
            break
    if not shown:
        raise NoUsableRow(datasets[0]["uri"], len(faults), faults[0] if faults else "")
    return {"rows": shown, "faults": faults[:rows]}


def _found(datasets: list[dict[str, Any]], settings: Settings) -> list[DatasetRef]:
    return resolve_datasets([DatasetRef.model_validate(each) for each in datasets], settings).datasets


def _encoder(folder: Path | None) -> TextEncoder | None:
    from tunesmith.modalities.text.encode import TextEncoder

    return TextEncoder(folder) if folder is not None else None


def _content(row: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "where"}
