"""Every reader is found by being there, and every name has one."""

from __future__ import annotations

from tunesmith.service.models.aliases import ALIASES, HubRepository, card
from tunesmith.service.models.readers import READERS


def test_every_name_that_comes_from_a_package_has_its_reader() -> None:
    wanted = {alias.reader for alias in ALIASES.values() if not isinstance(alias.source, HubRepository)}
    assert wanted == set(READERS)


def test_the_card_says_what_was_changed() -> None:
    assert READERS["mails"].changes in card(ALIASES["spam-assassin"])
    assert "Changes: none." in card(ALIASES["qwen3-0.6b"])
