"""Every short name is whole."""

from __future__ import annotations

import pytest

from tunesmith.service.models.aliases import ALIASES, Alias, HubRepository, Wheel, card
from tunesmith.service.models.hub import is_hub_id


@pytest.mark.parametrize("alias", ALIASES.values(), ids=ALIASES.keys())
def test_names_an_origin_and_a_licence(alias: Alias) -> None:
    text = card(alias)
    assert alias.origin in text
    assert alias.licence in text


@pytest.mark.parametrize("alias", ALIASES.values(), ids=ALIASES.keys())
def test_is_pinned_or_a_hub_id(alias: Alias) -> None:
    match alias.source:
        case Wheel() as wheel:
            assert len(wheel.sha256) == 64
        case HubRepository(repository=repository):
            assert is_hub_id(repository)
