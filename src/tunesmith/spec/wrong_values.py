"""pydantic's faults as our own sentences: which key or flag, what it holds, what it may hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

from tunesmith.spec.errors import BadEntry, TunesmithError, UnknownKey

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic.fields import FieldInfo

_KINDS: Final[dict[Any, str]] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "a map of names to values",
}
_MARKS: Final = ("ge", "gt", "le", "lt", "min_length", "pattern")


def translated(error: Exception) -> TunesmithError | None:
    """Return a validation fault that nobody gave a better name as a sentence of ours; None for any other exception."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not isinstance(error, pydantic.ValidationError):
        return None
    fault = error.errors()[0]
    return BadEntry(_dotted(fault["loc"]) or error.title, error.title, fault["input"], fault["msg"])


def explained(error: ValidationError, model: type[BaseModel], where: str) -> TunesmithError:
    """Return the first fault as an error that names the key, and what it may be; ``where`` is the file's name."""
    fault = error.errors()[0]
    place = fault["loc"]
    if fault["type"] == "extra_forbidden":
        inside = ", in ".join([where, *filter(None, [_dotted(place[:-1])])])
        return UnknownKey(str(place[-1]), inside, owner(model, place).model_fields)
    name = str(place[-1]) if place else ""
    _, field = field_named(owner(model, place), name)
    found = "missing" if fault["type"] == "missing" else fault["input"]
    return BadEntry(_dotted(place), where, found, wanted(field) if field else fault["msg"])


def field_named(model: type[BaseModel], key: str) -> tuple[str, FieldInfo | None]:
    """Return the name and the field that a key of a file means, by its name or its alias."""
    named = next((name for name, field in model.model_fields.items() if key in (name, field.alias)), key)
    return named, model.model_fields.get(named)


def wanted(field: FieldInfo) -> str:
    """Say in words what a field may hold, such as "a number above 0 and at most 1"."""
    kind = bare(field.annotation)
    return _named(kind) + _limits(field.metadata)


def bare(annotation: Any) -> Any:
    """Return the type without "or None"."""
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def _named(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(member.value) for member in kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(kind))
    if get_origin(kind) is list:
        return f"a list of {'names' if get_args(kind) == (str,) else 'entries'}"
    return _KINDS.get(get_origin(kind) or kind, "a map of settings")


def _limits(marks: Sequence[Any]) -> str:
    """Put the constraints of a field into words; the names are those of ``annotated_types`` and pydantic."""
    at = {name: getattr(mark, name) for mark in marks for name in _MARKS if getattr(mark, name, None) is not None}
    if "ge" in at and "le" in at:
        return f" from {_number(at['ge'])} to {_number(at['le'])}"
    words = {
        "ge": "of at least {}",
        "gt": "above {}",
        "le": "at most {}",
        "lt": "below {}",
        "pattern": "of the form {}",
    }
    limits = [text.format(_number(at[name])) for name, text in words.items() if name in at]
    limits += ["that is not empty"] if at.get("min_length") else []
    return " " + " and ".join(limits) if limits else ""


def _number(limit: Any) -> str:
    """Write a limit out in full: a whole number with all its digits."""
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def owner(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """Return the class that holds the last part of a fault's place."""
    from pydantic import BaseModel

    found = model
    for part in place[:-1]:
        field = found.model_fields.get(str(part))
        if field is None:
            continue
        kind = bare(field.annotation)
        kind = get_args(kind)[0] if get_origin(kind) is list else kind
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found = kind
    return found


def _dotted(place: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in place)
