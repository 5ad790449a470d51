"""The fields of a pydantic model as rows: type, default, limits and the docstring below each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scripts.reference.page import Row

NAMES = {int: "whole number", float: "number", bool: "yes or no", str: "text", Path: "path", Any: "anything"}
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted names and fields of a model and of the models inside it, in order."""
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from leaves(inner, f"{prefix}{name}{'[]' if get_origin(field.annotation) is list else ''}.")
        else:
            yield prefix + name, field


def row(name: str, field: FieldInfo, *more: str, needs_text: bool = True) -> Row:
    """One field as a row: ``more`` cells, then its type with its limits, then its default."""
    kind = ", ".join([kind_of(field.annotation), *_limits(field)])
    return Row(name, (*more, kind, _default(field)), field.description or "", needs_text)


def kind_of(annotation: Any) -> str:
    """Say in words which values an annotation admits; "or nothing" is left to the default."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(kind_of(part) for part in arguments if part is not NoneType))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (list, tuple):
        return f"list of {kind_of(arguments[0])}"
    if origin is dict:
        return f"{kind_of(arguments[0])} to {kind_of(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    return NAMES.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    candidates = get_args(annotation) if get_origin(annotation) is list else (annotation,)
    found = [part for part in candidates if isinstance(part, type) and issubclass(part, BaseModel)]
    return found[0] if found else None


def _limits(field: FieldInfo) -> Iterator[str]:
    for part in field.metadata:
        for attribute, word in LIMITS.items():
            if (value := getattr(part, attribute, None)) is not None:
                yield f"{word} {value:,}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True) if field.default is PydanticUndefined else field.default
    if default is None:
        return "open"
    if isinstance(default, Path):
        return f"`{_from_home(default)}`"
    return f"`{default.value if isinstance(default, Enum) else _plain(default)}`"


def _from_home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
