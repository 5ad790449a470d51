"""Organisations for tests of what belongs to them."""

from __future__ import annotations

import pytest

from tunesmith.service.accounts import organisations
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service


@pytest.fixture
def two_organisations(service: Service) -> None:
    """The organisations acme and other."""
    for name in ("acme", "other"):
        organisations.create(service, OPERATOR, name)
