"""``tunesmith export``: what it refuses, in one sentence; what it writes is in tests/integration/test_export.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Call


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["merged", "--output", "out"], 2, "--run RUN, or --adapter DIR"),
        (["merged", "--run", "a", "--adapter", "b", "--output", "out"], 2, "--run RUN, or --adapter DIR"),
        (["adapter", "--run", "nothing", "--output", "out"], 78, "There is no run 'nothing'"),
        (["merged", "--adapter", ".", "--output", "out"], 78, "adapter_config.json"),
    ],
)
def test_what_is_not_there_is_refused(
    arguments: list[str], status: int, words: str, tunesmith: Call, home: Path
) -> None:
    said = tunesmith("export", *arguments)
    assert said.status == status
    assert words in said.err
    assert "Traceback" not in said.err
    assert not Path("out").exists()


def test_an_unknown_number_format_is_refused_with_the_known_ones(tunesmith: Call, home: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    said = tunesmith("export", "merged", "--adapter", str(tmp_path / "adapter"), "--output", "out", "--dtype", "bf17")
    assert said.status == 2
    assert "bf17" in said.err and "bf16" in said.err


def test_an_adapter_that_names_no_base_asks_for_it(tunesmith: Call, home: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    said = tunesmith("export", "merged", "--adapter", str(tmp_path / "adapter"), "--output", "out")
    assert said.status == 78
    assert "--model" in said.err
