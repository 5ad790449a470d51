"""What all of `/v1` shares: lists with a cursor, and the organisation that a header may name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Generic, Literal, TypeVar

from fastapi import Depends, Header, Query

from tunesmith.api.deps import Asker
from tunesmith.spec.recipe import Part

T = TypeVar("T", bound=Part)
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str | None, Query(max_length=300, description="Id of the last entry of the page before.")]
MODEL_FORM: Final = "ft:"
"""Begins the name of a tuned model."""


class Page(Part, Generic[T]):
    """A part of a list."""

    object: Literal["list"] = "list"
    data: list[T]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None


class Deleted(Part):
    """What is gone."""

    id: str
    object: str
    deleted: Literal[True] = True


def page(found: Sequence[T], limit: int) -> Page[T]:
    """Make a page of one entry more than it may have, which tells whether another page follows."""
    shown = list(found[:limit])
    ids = [str(getattr(each, "id", "")) for each in shown]
    return Page[T](
        data=shown,
        has_more=len(found) > limit,
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
    )


def _organisation(by: Asker, openai_organization: Annotated[str | None, Header(max_length=64)] = None) -> str | None:
    if openai_organization:
        return by.acting_for(openai_organization)
    return None


Acting = Annotated[str | None, Depends(_organisation)]
"""The organisation that the header OpenAI-Organization names; only the key's own may be named."""
