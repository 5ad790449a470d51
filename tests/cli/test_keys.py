from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Call
from tunesmith.service.accounts import keys
from tunesmith.service.accounts.principal import Role
from tunesmith.service.context import open_service
from tunesmith.settings import Settings


def test_a_key_is_shown_once_and_works(tunesmith: Call, home: Path) -> None:
    made = tunesmith("keys", "create", "--org", "acme", "--role", "admin", "--label", "ci")
    secret = made.out.strip()
    service = open_service(Settings(home=home))
    principal = keys.authenticate(service, secret)
    service.close()
    assert (principal.org, principal.role) == ("acme", Role.ADMIN)
    listed = tunesmith("keys", "list").out
    assert "acme" in listed and "ci" in listed and secret not in listed


def test_only_the_first_key_changes_who_may_call(tunesmith: Call, home: Path) -> None:
    said = [tunesmith("keys", "create").err for _ in range(2)]
    assert ["from now on every call needs a key" in words for words in said] == [True, False]


def test_a_key_stands_in_one_line_of_a_narrow_terminal(
    tunesmith: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    tunesmith("keys", "create", "--org", "an-organisation-with-a-long-name", "--label", "build")
    line = next(line for line in tunesmith("keys", "list").out.splitlines() if line.startswith("key-"))
    assert "an-organisation-with-a-long-name" in line and "never" in line and "build" in line
    assert "member   " in line, "the role; the column of members is empty and left out"


def test_an_operators_key_is_for_every_organisation(tunesmith: Call, home: Path) -> None:
    made = json.loads(tunesmith("keys", "create", "--operator", "--json").out)
    assert (made["org"], made["role"]) == (None, "admin") and made["key"].startswith(made["prefix"])


def test_a_revoked_key_is_told_so(tunesmith: Call, home: Path) -> None:
    id = json.loads(tunesmith("keys", "create", "--json").out)["id"]
    assert "everybody on this machine" in tunesmith("keys", "revoke", id).err
    assert json.loads(tunesmith("keys", "list", "--json").out)["keys"][0]["revoked_at"] is not None


def test_what_cannot_be_is_one_sentence(tunesmith: Call, home: Path) -> None:
    both = tunesmith("keys", "create", "--operator", "--org", "acme")
    assert both.status == 2 and "contradict" in both.err
    assert tunesmith("keys", "revoke", "key-nothing").status == 78
    assert tunesmith("keys", "create", "--org", "../x").status == 2


def test_without_keys_the_list_says_what_that_means(tunesmith: Call, home: Path) -> None:
    assert "everybody on this machine" in tunesmith("keys", "list").out
