"""Keys: made and shown once, listed without their secrets, revoked."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Body, Response, status
from pydantic import Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.service.accounts import keys
from tunesmith.service.accounts.principal import Role
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/keys", tags=["keys"])

EXAMPLE: Final = {"org": "acme", "role": "member", "label": "nightly training"}


class RoleName(StrEnum):
    """What a key may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"

    @property
    def role(self) -> Role:
        """The role of this name."""
        return Role[self.name]


class NewKey(Part):
    """A key to be made."""

    org: str | None = Field(None, max_length=64)
    """Whose key it is. Open: the own organisation; for the operator a key to everything."""
    role: RoleName = RoleName.MEMBER
    label: str = Field("", max_length=keys.LABEL)
    """What it is for."""
    member: str | None = Field(None, max_length=128)
    """Who has it: it never does more than they may, and goes when they go."""


class KeyView(Part):
    """A key without its secret."""

    id: str
    org: str | None
    """None: an operator's, good for every organisation."""
    member: str | None
    role: RoleName
    prefix: str
    """How its secret begins."""
    label: str
    created_at: float
    used_at: float | None
    revoked_at: float | None


class KeyMade(KeyView):
    """A key that was just made."""

    secret: str
    """Send it as ``Authorization: Bearer``. It is shown this once."""


class Keys(Part):
    """Keys, revoked ones too."""

    keys: list[KeyView]


@router.post("", status_code=status.HTTP_201_CREATED)
def create(
    wanted: Annotated[NewKey, Body(examples=[EXAMPLE])], response: Response, service: Serving, by: Asker
) -> KeyMade:
    """Make a key. From the first one on every caller needs one."""
    org = wanted.org if wanted.org is not None else by.org
    key, secret = keys.create(service, by, org=org, role=wanted.role.role, label=wanted.label, member=wanted.member)
    response.headers["Cache-Control"] = "no-store"
    return KeyMade(**vars(key), secret=secret)


@router.get("")
def listed(service: Serving, by: Asker, org: str | None = None) -> Keys:
    """List the keys of an organisation, or all of them to the operator."""
    return Keys(keys=[KeyView(**vars(key)) for key in keys.listed(service, by, org)])


@router.delete("/{key_id}")
def revoke(key_id: str, service: Serving, by: Asker) -> KeyView:
    """Have a key open nothing any more, within two seconds on every server."""
    return KeyView(**vars(keys.revoke(service, by, key_id)))
