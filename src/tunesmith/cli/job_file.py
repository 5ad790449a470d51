"""Reads a job file: the fields of a job by their own names, or flat keys that are named as the flags are.

``learning_rate``, ``lora_r`` or ``data`` mean what ``--learning-rate``, ``--lora-r`` and ``--data`` mean; ``recipe``,
``datasets`` and the other fields of a job are written as ``tunesmith plan --json`` shows them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from pydantic import BaseModel

from tunesmith.cli.field_option import FieldType
from tunesmith.spec.errors import BadEntry, BadValue, UnknownKey, UnreadableFile
from tunesmith.spec.job import JobSpec
from tunesmith.spec.recipe import Part
from tunesmith.spec.wrong_values import bare, field_named, wanted

OTHER_KEYS: Final = {
    "bnb_4bit_compute_dtype": "recipe__quantization__compute",
    "bnb_4bit_quant_type": "recipe__quantization__kind",
    "use_nested_quant": "recipe__quantization__double",
}
"""Names that bitsandbytes and those who configure it give to fields."""

COMMAND_KEYS: Final = {
    "resume": bool,
    "resume_from": str,
    "tensorboard_port": int,
}
"""Keys that are not about the job but about what `tunesmith train` does with it."""

_WORDS: Final = {bool: "true or false", str: "text", int: "a whole number"}


@dataclass(frozen=True)
class JobFile:
    """What a file says."""

    path: Path
    nested: dict[str, object]
    """By dotted path in the job."""
    flat: dict[str, Any]
    """By option variable, as the command line would give it."""
    command: dict[str, Any]
    """Of ``COMMAND_KEYS``."""


def read_job_file(path: Path, options: Sequence[click.Option]) -> JobFile:
    """Read YAML, of which JSON is a part; ``options`` are those whose names are keys.

    Raises:
        UnreadableFile: it cannot be read, or holds no keys.
        UnknownKey, BadEntry: a key that nothing reads, or a value that it cannot have.
    """
    by_key = {key: option for option in options for key in _keys(option)}
    by_name = {option.name: option for option in options}
    by_key |= {key: by_name[name] for key, name in OTHER_KEYS.items()}
    file = JobFile(path, {}, {}, {})
    tree: dict[str, Any] = {}
    for key, value in _content(path).items():
        if key in COMMAND_KEYS:
            file.command[key] = _command_value(key, value, path)
        elif key in by_key and (key not in JobSpec.model_fields or _is_flat(key, value)):
            name, converted = _flat_value(key, value, by_key[key], path)
            file.flat.update({} if converted is None else {name: converted})
        elif key in JobSpec.model_fields:
            tree[key] = value
        else:
            near = [] if isinstance(value, dict) else difflib.get_close_matches(str(key), by_key, n=1)
            raise UnknownKey(str(key), str(path), [*JobSpec.model_fields, *near])
    file.nested.update(_leaves(tree, JobSpec))
    return file


def _keys(option: click.Option) -> Iterator[str]:
    for flag in (*option.opts, *option.secondary_opts):
        if flag.startswith("--"):
            yield flag.removeprefix("--").replace("-", "_")


def _is_flat(key: str, value: object) -> bool:
    """Whether a value is not the map that the job's own field of this name is."""
    kind = bare(JobSpec.model_fields[key].annotation)
    return isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, str)


def _content(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnreadableFile(path, " ".join(str(error).split())) from error
    if not isinstance(content, dict):
        raise UnreadableFile(path, "it holds no keys")
    return content


def _command_value(key: str, value: object, path: Path) -> object:
    kind = COMMAND_KEYS[key]
    if value is not None and type(value) is not kind:
        raise BadEntry(key, str(path), value, _WORDS[kind])
    return value


def _flat_value(key: str, value: Any, option: click.Option, path: Path) -> tuple[str, Any]:
    """Return the variable that a key stands for, and its value as the command line would have it; None if open."""
    name = str(option.name)
    if value is None:
        return name, None
    if not isinstance(option.type, FieldType):
        if not isinstance(value, bool):
            raise BadEntry(key, str(path), value, _WORDS[bool])
        off = f"--{key.replace('_', '-')}" in option.secondary_opts
        return name, value is not off
    try:
        if option.multiple:
            entries = value if isinstance(value, list) else [value]
            return name, tuple(option.type.convert(entry, None, None) for entry in entries)
        return name, option.type.convert(value, None, None)
    except BadValue as error:
        raise BadEntry(key, str(path), value, wanted(option.type.field)) from error


def _leaves(tree: Mapping[Any, Any], part: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the leaves of a tree by dotted path; what the job does not know stays as it is."""
    for key, value in tree.items():
        name, field = field_named(part, str(key))
        kind = bare(field.annotation) if field else None
        inner = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        if isinstance(value, dict) and (inner or prefix + name == "options"):
            yield from _leaves(value, inner or Part, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
