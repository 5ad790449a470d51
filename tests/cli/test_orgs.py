from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Call


def test_an_organisation_is_made_changed_and_shown(tunesmith: Call, home: Path) -> None:
    assert tunesmith("orgs", "create", "acme", "--weight", "2", "--max-running", "3").status == 0
    assert tunesmith("orgs", "set", "acme", "--max-running", "none", "--max-device-hours", "1.5").status == 0
    shown = json.loads(tunesmith("orgs", "show", "acme", "--json").out)
    assert (shown["weight"], shown["max_running"], shown["max_device_hours"]) == (2, None, 1.5)
    assert "acme" in tunesmith("orgs", "list").out


def test_members_come_and_go(tunesmith: Call, home: Path) -> None:
    tunesmith("orgs", "create", "acme")
    added = json.loads(tunesmith("orgs", "members", "add", "acme", "Ann Müller", "--role", "viewer", "--json").out)
    assert (added["org"], added["name"], added["role"]) == ("acme", "Ann Müller", "viewer")
    assert "Ann Müller (viewer)" in tunesmith("orgs", "show", "acme").out
    assert tunesmith("orgs", "members", "remove", "acme", "Ann Müller").status == 0
    assert "nobody" in tunesmith("orgs", "show", "acme").out
    tunesmith("orgs", "members", "add", "acme", "Bo")
    removed = json.loads(tunesmith("orgs", "members", "remove", "acme", "Bo", "--json").out)
    assert removed == {"org": "acme", "name": "Bo", "removed": True}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("create", "../x"), 2),
        (("create", "acme", "--weight", "0"), 2),
        (("create", "acme", "--max-bytes", "lots"), 2),
        (("set", "acme"), 2),
        (("set", "nobody", "--weight", "1"), 78),
        (("show", "nobody"), 78),
        (("members", "remove", "nobody", "ann"), 78),
    ],
)
def test_what_cannot_be_is_one_sentence(tunesmith: Call, home: Path, words: tuple[str, ...], status: int) -> None:
    said = tunesmith("orgs", *words)
    assert said.status == status and said.err.startswith("Error: ") and "Traceback" not in said.err
