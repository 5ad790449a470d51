from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.service.models.sizes import parameters_of
from tunesmith.settings import Settings


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("meta-llama/Llama-2-13b-chat-hf", 13),
        ("llama-2-13b", 13),
        ("Qwen/Qwen3-1.7B", 1.7),
        ("mistralai/Mixtral-8x7B-v0.1", 56),
        ("owner/name-v2.1", None),
        ("owner/13bits", None),
    ],
)
def test_a_name_tells_the_size(name: str, billions: float | None, home: Path) -> None:
    assert parameters_of(name, Settings(home=home)) == (None if billions is None else int(billions * 1e9))


def test_files_tell_it_better(tiny_model: Path, home: Path, tmp_path: Path) -> None:
    named = tmp_path / "tiny-13b"
    named.symlink_to(tiny_model)
    counted = parameters_of(str(named), Settings(home=home))
    assert counted is not None and counted < 1_000_000
