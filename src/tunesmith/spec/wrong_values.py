"""pydantic's faults as our own sentences: which key or flag, what it holds, what it may hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin

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
_ENTRIES: Final[dict[Any, str]] = {
    (str, False): "names", (str, True): "texts", (int, False): "whole numbers", (int, True): "whole numbers",
}  # fmt: skip
"""What lists hold, by type and by whether it has limits of its own."""
_MARKS: Final = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")


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
    return _said(field.annotation, field.metadata)


def bare(annotation: Any) -> Any:
    """Return the type without "or None"."""
    kinds = alternatives(annotation)
    return kinds[0] if len(kinds) == 1 else annotation


def alternatives(annotation: Any) -> list[Any]:
    """Return the types of which a value may have one, without None."""
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        return [kind for kind in get_args(annotation) if kind is not type(None)]
    return [annotation]


def _said(annotation: Any, marks: Sequence[Any]) -> str:
    """Name a type with its limits; of several types each with its own, as a value need fit but one."""
    if get_origin(annotation) is Annotated:
        inside, *more = get_args(annotation)
        return _said(inside, [*marks, *_flat(more)])
    kinds = alternatives(annotation)
    if len(kinds) > 1:
        return ", or ".join(dict.fromkeys(_said(kind, ()) for kind in kinds))
    if kinds[0] is not annotation:
        return _said(kinds[0], marks)
    return _named(annotation) + _limits(marks, "" if get_origin(annotation) in (list, dict) else " characters")


def _flat(marks: Sequence[Any]) -> Iterator[Any]:
    """Yield constraints, those too that stand together in a ``Field``."""
    for mark in marks:
        yield from getattr(mark, "metadata", (mark,))


def _named(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(member.value) for member in kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(kind))
    if get_origin(kind) is list:
        inside = bare((get_args(kind) or (Any,))[0])
        limited = get_origin(inside) is Annotated
        return f"a list of {_ENTRIES.get((get_args(inside)[0] if limited else inside, limited), 'entries')}"
    return _KINDS.get(get_origin(kind) or kind, "a map of settings")


def _limits(marks: Sequence[Any], counted: str) -> str:
    """Put the constraints of a field into words; the names are those of ``annotated_types`` and pydantic.

    ``counted`` is what its length counts.
    """
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
    lengths = ["is not empty"] if at.get("min_length") else []
    if "max_length" in at:
        lengths += [f"has at most {at['max_length']}{counted}"] if at["max_length"] else ["is empty"]
    limits += [f"that {' and '.join(lengths)}"] if lengths else []
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


def written_place(model: type[BaseModel], place: Sequence[int | str]) -> list[int | str]:
    """Return the place of a fault as far as its sender wrote it.

    Where a value may have one of several types, pydantic goes on with the name of a type that it tried, which the
    sender never wrote; what stands after it is about that type alone.
    """
    for count in range(1, len(place)):
        _, field = field_named(owner(model, place[:count]), str(place[count - 1]))
        if field is not None and _is_of_several_types(field.annotation):
            return list(place[:count])
    return list(place)


def _is_of_several_types(annotation: Any) -> bool:
    """Whether it may be one of several values; of classes with fields the place says what is wrong inside."""
    kinds = [get_origin(kind) or kind for kind in alternatives(annotation)]
    return len(kinds) > 1 and not any(hasattr(kind, "model_fields") for kind in kinds)


def _dotted(place: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in place)
