"""Checks and previews of data as subtasks do them: what goes in and comes out is JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.data import check
from tunesmith.data.mixture import read
from tunesmith.service.datasets.described import content, described, folders_of, told
from tunesmith.service.datasets.encoder import Chosen, encoder_of
from tunesmith.service.datasets.preview import Shown, as_dict, encoded
from tunesmith.service.models.resolve import resolve_datasets, resolve_model
from tunesmith.settings import Settings
from tunesmith.spec.errors import NoUsableRow, RowFault
from tunesmith.spec.job import DatasetRef, ModelRef

if TYPE_CHECKING:
    from tunesmith.spec.examples import Example


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
    sets = _found(datasets, settings)
    chosen = _chosen(model, sets, settings, Path(folder))
    asked = check.Settings(length=length, split=split)
    if chosen is None:
        return check.check(sets, None, asked).as_dict()
    return check.check(sets, chosen.encoder, chosen.within(asked)).as_dict()


def previewed(
    *, datasets: list[dict[str, Any]], model: str | None, length: int | None, rows: int, home: str, folder: str
) -> dict[str, Any]:
    """Return the first rows: as they are read, or with a model as it would see them; ``folder`` as for ``checked``.

    Raises:
        NoUsableRow: there is none.
        DataError, ConfigError: as ``read`` and ``resolve_model``.
    """
    settings = Settings(home=Path(home), offline=True)
    found = _found(datasets, settings)
    chosen = _chosen(model, found, settings, Path(folder))
    folders = folders_of(found[0].uri)
    shown: list[dict[str, Any]] = []
    faults: list[str] = []
    for row in encoded(found, chosen.encoder, length) if chosen is not None else read(found):
        try:
            if isinstance(row, RowFault):
                raise row
            if isinstance(row, Shown):
                assert chosen is not None
                shown.append(as_dict(row, chosen.encoder, folders))
            else:
                shown.append(_plain(row, folders))
        except RowFault as fault:
            faults.append(told(fault, folders))
        if len(shown) == rows:
            break
    if not shown:
        raise NoUsableRow(datasets[0]["uri"], len(faults), faults[0] if faults else "")
    return {"rows": shown, "faults": faults[:rows]}


def _plain(row: Example, folders: tuple[str, ...]) -> dict[str, Any]:
    files = described(row, folders)
    seen = {"files": files} if files else {}
    return {"where": str(row.where), "kind": type(row).__name__, "content": content(row, folders), **seen}


def _found(datasets: list[dict[str, Any]], settings: Settings) -> list[DatasetRef]:
    return resolve_datasets([DatasetRef.model_validate(each) for each in datasets], settings).datasets


def _chosen(model: str | None, datasets: list[DatasetRef], settings: Settings, start: Path) -> Chosen | None:
    if model is None:
        return None
    return encoder_of(resolve_model(ModelRef(source=model), settings, start), model, datasets)
