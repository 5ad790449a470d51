from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cli.conftest import Call


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.usefixtures("home")
def test_a_port_that_is_taken_is_one_sentence(tunesmith: Call, taken: int) -> None:
    said = tunesmith("serve", "--port", str(taken))
    assert said.status == 78
    assert str(taken) in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.usefixtures("home")
def test_it_does_not_open_itself_to_others_without_keys(tunesmith: Call) -> None:
    said = tunesmith("serve", "--host", "0.0.0.0", "--port", "0")
    assert said.status == 78
    assert "--trusted-network" in said.err


@pytest.mark.parametrize("flags", [["--role", "king"], ["--device", "tpu"], ["--port", "70000"], ["--cpu-slots", "-1"]])
def test_values_that_it_cannot_have_are_refused(tunesmith: Call, flags: list[str]) -> None:
    assert tunesmith("serve", *flags).status == 2
