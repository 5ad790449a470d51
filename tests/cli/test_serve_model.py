from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import Call

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_is_taken_is_one_sentence(tunesmith: Call, tiny_model: Path, taken: int) -> None:
    said = tunesmith("serve-model", "--model", str(tiny_model), "--port", str(taken))
    assert said.status == 78
    assert str(taken) in said.err
    assert len(said.err.splitlines()) == 1


def test_it_does_not_open_itself_to_others_without_keys(tunesmith: Call, tiny_model: Path) -> None:
    said = tunesmith("serve-model", "--model", str(tiny_model), "--host", "0.0.0.0", "--port", "0")
    assert said.status == 78
    assert "--trusted-network" in said.err


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ([], 2, "--model MODEL, or --load-lora DIR"),
        (["--model", "MODEL", "--no-lora", "--load-lora", "x"], 2, "contradict"),
        (["--model", "MODEL", "--load-lora", "nowhere"], 78, "adapter_config.json"),
        (["--model", "nowhere"], 78, "nowhere"),
        (["--model", "MODEL", "--dtype", "int3"], 2, "bf16"),
        (["--model", "MODEL", "--dtype", "float16", "--device", "cpu"], 78, "--dtype fp16"),
        (["--model", "MODEL", "--device", "tpu"], 2, "cuda"),
        (["--model", "MODEL", "--port", "70000"], 2, "--port"),
        (["--model", "MODEL", "--rate-limit", "-1"], 2, "--rate-limit"),
        (["--model", "MODEL", "--port", "0", "--ui-file", "nowhere.html"], 78, "nowhere.html"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tunesmith: Call, tiny_model: Path, typed: list[str], status: int, said: str
) -> None:
    answer = tunesmith("serve-model", *(str(tiny_model) if word == "MODEL" else word for word in typed))
    assert (answer.status, len(answer.err.splitlines())) == (status, 1), answer.err
    assert said in answer.err
