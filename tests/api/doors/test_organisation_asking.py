from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tunesmith.api.doors.organisation_asking import GenerateRequest, chat_of
from tunesmith.service.jobs.organisation_defaults import OrganisationDefaults

DEFAULTS = OrganisationDefaults(_env_file=None)


def chat(settings: OrganisationDefaults = DEFAULTS, **fields: Any) -> dict[str, Any]:
    return chat_of(GenerateRequest(**{"message": "Hello", **fields}), settings)


def test_what_was_said_before_becomes_turns_of_the_chat() -> None:
    history = [{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hey!"}]
    turns = chat(system_prompt="You are a shop.", history=history)["messages"]
    assert turns == [
        {"role": "system", "content": "You are a shop."},
        *history,
        {"role": "user", "content": "Hello"},
    ]


def test_a_temperature_of_zero_is_zero() -> None:
    assert chat(temperature=0)["temperature"] == 0
    assert chat()["temperature"] == DEFAULTS.temperature == 0.8


def test_what_is_left_open_comes_from_the_environment() -> None:
    names = {"max_new_tokens": "max_tokens", "temperature": "temperature", "top_p": "top_p", "top_k": "top_k"}
    for name, value in {"max_new_tokens": 7, "temperature": 0.1, "top_p": 0.2, "top_k": 3}.items():
        settings = OrganisationDefaults(_env_file=None, **{name: value})  # type: ignore[arg-type]
        assert chat(settings)[names[name]] == value != chat()[names[name]]
    assert set(DEFAULTS.generation) == set(names)


def test_every_field_of_a_message_changes_the_chat() -> None:
    changed: dict[str, Any] = {
        "message": "Bye", "system_prompt": "Short.", "history": [{"role": "user", "content": "Hi!"}],
        "temperature": 0.3, "max_tokens": 9,
    }  # fmt: skip
    assert set(changed) == set(GenerateRequest.model_fields)
    for name, value in changed.items():
        assert chat(**{name: value}) != chat(), f"{name} changes nothing"


def test_who_the_model_is_to_be_is_said_once() -> None:
    with pytest.raises(ValidationError, match="system_prompt"):
        chat(system_prompt="A", history=[{"role": "system", "content": "B"}])
    assert [turn["role"] for turn in chat(history=[{"role": "system", "content": "B"}])["messages"]] == [
        "system", "user",
    ]  # fmt: skip
