from __future__ import annotations

import os
from pathlib import Path

from tunesmith.runs.published_links import LINKS, is_ours, link_beside


def output(directory: Path, name: str = "lora") -> Path:
    for folder in ("checkpoints/checkpoint-4", "logs/training"):
        (directory / name / folder).mkdir(parents=True)
    (directory / name / "training_history.png").write_text(name)
    return directory / name


def test_each_name_leads_into_the_output_that_was_published_last(tmp_path: Path) -> None:
    assert link_beside(output(tmp_path)) == []
    assert (tmp_path / "checkpoints" / "checkpoint-4").is_dir()
    assert (tmp_path / "logs" / "training").is_dir()
    assert link_beside(output(tmp_path, "other")) == []
    assert (tmp_path / "training_history.png").read_text() == "other"
    assert sorted(os.listdir(tmp_path)) == ["checkpoints", "logs", "lora", "other", "training_history.png"]


def test_the_links_survive_a_move_of_the_directory(tmp_path: Path) -> None:
    link_beside(output(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    assert all((tmp_path / "there" / name).exists() for name in LINKS)


def test_what_somebody_else_put_there_stays(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "logs").symlink_to("mine")
    assert link_beside(output(tmp_path)) == ["checkpoints", "logs/training"]
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert list((tmp_path / "mine").iterdir()) == []


def test_what_the_new_output_lacks_leads_nowhere_else(tmp_path: Path) -> None:
    link_beside(output(tmp_path))
    (tmp_path / "bare").mkdir()
    link_beside(tmp_path / "bare")
    assert not any(os.path.lexists(tmp_path / name) for name in LINKS)


def test_a_link_to_another_place_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").symlink_to("/somewhere/checkpoints")
    assert not is_ours(tmp_path, "checkpoints")
    assert not is_ours(tmp_path, "training_history.png")
