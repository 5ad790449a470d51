"""Organisations: what they may have, and who belongs to them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, status
from pydantic import Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.routes.keys import RoleName
from tunesmith.service.accounts import organisations
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/orgs", tags=["orgs"])

EXAMPLE: Final = {"id": "acme", "weight": 2, "max_running": 4}
CHANGE: Final = {"max_queued": 500, "max_device_hours": 100}
MOST: Final = 2**31 - 1
"""Largest number of jobs that every database stores."""


class Quotas(Part):
    """What an organisation may have; null means the server's setting."""

    weight: float | None = Field(None, gt=0, le=1000)
    """Its part of the devices' time, beside that of the others."""
    max_queued: int | None = Field(None, ge=0, le=MOST)
    max_running: int | None = Field(None, ge=0, le=MOST)
    max_device_hours: float | None = Field(None, ge=0, le=1e9)
    """In 30 days."""
    max_bytes: int | None = Field(None, ge=0, le=2**53 - 1)
    """Of data and models."""

    def given(self) -> dict[str, Any]:
        """Return what was sent; a weight cannot be none."""
        sent = self.model_dump(include=set(Quotas.model_fields), exclude_unset=True)
        return {name: value for name, value in sent.items() if name != "weight" or value is not None}


class NewOrganisation(Quotas):
    """An organisation to be made."""

    id: str = Field(max_length=64)


class OrganisationView(Part):
    """An organisation."""

    id: str
    created_at: float
    weight: float
    max_queued: int | None
    max_running: int | None
    max_device_hours: float | None
    max_bytes: int | None
    serves: str | None
    """The job whose model answers for it at /api/v1; null: the newest that succeeded."""


class Organisations(Part):
    """Those that the caller may see."""

    orgs: list[OrganisationView]


class NewMember(Part):
    """What somebody may do."""

    role: RoleName


class MemberView(Part):
    """Somebody who belongs to an organisation."""

    org: str
    name: str
    role: RoleName
    created_at: float


class Members(Part):
    """Those who belong to an organisation."""

    members: list[MemberView]


class Removed(Part):
    """Somebody who belongs to it no more."""

    name: str
    removed: bool = True


@router.post("", status_code=status.HTTP_201_CREATED)
def create(
    wanted: Annotated[NewOrganisation, Body(examples=[EXAMPLE])], service: Serving, by: Asker
) -> OrganisationView:
    """Make an organisation; for the operator."""
    return _view(organisations.create(service, by, wanted.id, wanted.given()))


@router.get("")
def listed(service: Serving, by: Asker) -> Organisations:
    """List the organisations that the caller may see."""
    return Organisations(orgs=[_view(org) for org in organisations.listed(service, by)])


@router.get("/{org_id}")
def get(org_id: str, service: Serving, by: Asker) -> OrganisationView:
    """Return an organisation."""
    return _view(organisations.get(service, by, org_id))


@router.patch("/{org_id}")
def change(
    org_id: str, quotas: Annotated[Quotas, Body(examples=[CHANGE])], service: Serving, by: Asker
) -> OrganisationView:
    """Set what an organisation may have; for the operator."""
    return _view(organisations.change(service, by, org_id, quotas.given()))


@router.get("/{org_id}/members")
def members(org_id: str, service: Serving, by: Asker) -> Members:
    """List the members of an organisation."""
    found = organisations.members_of(service, by, org_id)
    return Members(members=[MemberView(**vars(member)) for member in found])


@router.put("/{org_id}/members/{name}")
def put_member(
    org_id: str,
    name: str,
    wanted: Annotated[NewMember, Body(examples=[{"role": "member"}])],
    service: Serving,
    by: Asker,
) -> MemberView:
    """Make somebody a member, or give a member another role."""
    return MemberView(**vars(organisations.put_member(service, by, org_id, name, wanted.role.role)))


@router.delete("/{org_id}/members/{name}")
def remove_member(org_id: str, name: str, service: Serving, by: Asker) -> Removed:
    """Remove a member and revoke their keys."""
    organisations.remove_member(service, by, org_id, name)
    return Removed(name=name)


def _view(org: organisations.Organisation) -> OrganisationView:
    return OrganisationView(**vars(org))
