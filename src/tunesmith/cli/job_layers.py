"""What is asked of a job, layer upon layer: a model directory's defaults, a file, the command line; the last one wins.

A layer is a map of what was said by option variable (``recipe__adapter__rank``, ``data``, ``use_4bit``); it becomes
values by dotted path in the job (``recipe.adapter.rank``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tunesmith.spec.errors import TunesmithError
from tunesmith.spec.modes import ALIASES

Clash = Callable[[str, str], TunesmithError]
"""Makes the error of two words that contradict each other."""


@dataclass(frozen=True)
class Shorthand:
    """A switch that stands for a value of a field."""

    path: str
    value: object
    help: str
    agrees: tuple[str, ...] = ()
    """Values of the field, said beside it, that it may replace."""


SHORTHANDS: Final = {
    "circular": Shorthand("recipe.mode", "circular", "Cycle over a small data set (--mode circular)."),
    "use_4bit": Shorthand("recipe.method", "qlora", "Train an adapter on a 4-bit base (--method qlora).", ("lora",)),
    "use_8bit": Shorthand(
        "recipe.method", "lora-8bit", "Train an adapter on an 8-bit base (--method lora-8bit).", ("lora",)
    ),
}
"""Switches that say in a word what a field says too."""

DATASET_FLAGS: Final = {"format": "--dataset-format", "columns": "--columns", "limit": "--max-examples"}
"""Flags that hold for every ``--data``."""

ROLES: Final = {"data": None, "validation_data": "validation", "test_data": "test"}
"""Variables of the data flags, and the field of ``DatasetRef`` that marks what they name."""


def merged(
    layers: list[tuple[Mapping[str, Any], Clash]], fields: Mapping[str, str], nested: Mapping[str, object]
) -> dict[str, object]:
    """Return what the layers say by dotted path, the later ones over the earlier.

    ``fields`` gives the dotted path of each variable; ``nested`` is what the lowest layer says by dotted path already.

    Raises:
        TunesmithError: what two words of one layer make of each other, by the layer's ``Clash``.
    """
    asked: dict[str, object] = dict(nested)
    for said, clash in layers:
        asked |= _values(said, fields, clash)
        datasets = _datasets(said, asked.get("datasets"))
        asked |= {} if datasets is None else {"datasets": datasets}
    return asked


def directory_layer(directory: Path | None) -> dict[str, object]:
    """Return what a model directory says by dotted path: its own model, and ``lora`` for the result."""
    if directory is None:
        return {}
    return {
        "model.source": str(directory / "model"),
        "output.dir": str(directory / "lora"),
        "output.save_bin": True,
    }


def _values(said: Mapping[str, Any], fields: Mapping[str, str], clash: Clash) -> dict[str, object]:
    values = {path: said[name] for name, path in fields.items() if said.get(name) not in (None, ())}
    spoken = {path: _flag(name) for name, path in fields.items() if path in values}
    for name, shorthand in SHORTHANDS.items():
        if not said.get(name):
            continue
        beside = str(values.get(shorthand.path, shorthand.value))
        if ALIASES.get(beside, beside) not in (shorthand.value, *shorthand.agrees):
            raise clash(f"--{name.replace('_', '-')}", spoken[shorthand.path])
        values[shorthand.path] = shorthand.value
        spoken[shorthand.path] = f"--{name.replace('_', '-')}"
    if said.get("skip_test"):
        values |= {"evaluation.test_prompts": 0, "evaluation.prompts": []}
    return values


def _flag(variable: str) -> str:
    return "--" + variable.rpartition("__")[2].replace("_", "-")


def _datasets(said: Mapping[str, Any], listed: object) -> list[Any] | None:
    """Merge what a layer says of data with the list so far: its sources replace those of the same role."""
    old = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if isinstance(listed, list) and len(old) < len(listed):
        return listed  # not what a job file may hold: left for the job's own check to name
    shape = {name: said.get(f"data_{name}") for name in DATASET_FLAGS}
    shape = {name: value for name, value in shape.items() if value is not None}
    result: list[Any] = []
    for variable, role in ROLES.items():
        kept = [entry for entry in old if _role(entry) == role]
        found = [{"uri": uri, **({role: True} if role else {})} for uri in said.get(variable) or ()] or kept
        common = {name: value for name, value in shape.items() if name != "limit" or role is None}
        result += [{**entry, **common} for entry in found]
    return result or None


def _role(entry: Mapping[str, Any]) -> str | None:
    return next((role for role in ROLES.values() if role and entry.get(role)), None)
