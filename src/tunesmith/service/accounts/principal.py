"""Who asks: an organisation's member by a key, or the operator of the server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tunesmith.spec.errors import Forbidden
from tunesmith.spec.ids import DEFAULT_ORGANISATION


class Role(IntEnum):
    """What a key may do; each role may do what the ones before it may."""

    VIEWER = 1
    """Look."""
    MEMBER = 2
    """Submit and steer jobs, upload and delete data and models."""
    ADMIN = 3
    """Manage keys and members of the organisation too."""


@dataclass(frozen=True)
class Principal:
    """Who asks."""

    org: str | None
    """None: the operator, who may act for every organisation."""
    role: Role
    key: str | None = None
    """Id of the key; None without one."""

    @property
    def is_operator(self) -> bool:
        """Whether every organisation is open to them."""
        return self.org is None

    def acting_for(self, org: str | None) -> str:
        """Return the organisation that a request is for: the one it names, else their own.

        Raises:
            Forbidden: it names another one than their own.
        """
        if org is None:
            return self.org or DEFAULT_ORGANISATION
        if self.org is not None and org != self.org:
            raise Forbidden(f"this key belongs to organisation '{self.org}'")
        return org

    def sees(self, org: str) -> bool:
        """Whether what belongs to an organisation exists for them."""
        return self.org is None or self.org == org

    def needs(self, role: Role) -> None:
        """Refuse who has less than a role.

        Raises:
            Forbidden: they have less.
        """
        if self.role < role:
            raise Forbidden(f"it takes the role '{role.name.lower()}', and this key has '{self.role.name.lower()}'")


OPERATOR = Principal(org=None, role=Role.ADMIN)
"""Who runs the server: the command line on this machine, and everybody on loopback while there are no keys."""
