from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from integration.jobs import begin, tiny_job, until_over
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs import submit
from tunesmith.settings import Settings

STEPS = 80
"""Optimizer steps of ``trained``."""


class Here(LocalExecutor):
    """Runs the worker inside the test's own process: all but the process is real, and nothing is imported again."""

    def launch(self, run: RunFolder, *, env: Mapping[str, str], processes: int = 1) -> None:  # type: ignore[override]
        import torch

        from tunesmith.worker.__main__ import main

        threads = torch.get_num_threads()
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.code = main(run.path)
        finally:
            torch.set_num_threads(threads)
            for number, handler in before.items():
                signal.signal(number, handler)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """From now on runs are done within this process; ``here.code`` is the exit status of the last one."""
    executor = Here()
    monkeypatch.setattr(submit, "LocalExecutor", lambda: executor)
    return executor


@pytest.fixture(scope="session")
def chat_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty short conversations that begin alike, as OpenAI messages (read only)."""
    return write_chat(tmp_path_factory.mktemp("data") / "chat.jsonl")


def write_chat(path: Path, rows: int = 40) -> Path:
    with path.open("w") as file:
        for i in range(rows):
            messages = [
                {"role": "system", "content": "You add."},
                {"role": "user", "content": f"What is {i} plus {i}?"},
                {"role": "assistant", "content": f"It is {2 * i}."},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture(scope="session")
def shared_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def trained(tiny_model: Path, chat_data: Path, shared_settings: Settings) -> RunFolder:
    """An uninterrupted LoRA run, dropout on; it published into a folder that holds a file of somebody else's."""
    output = shared_settings.home.parent / "lora-of-trained"
    output.mkdir(exist_ok=True)
    (output / "notes.txt").write_text("mine")
    spec = tiny_job(tiny_model, chat_data, output, epochs=10)
    return until_over(begin(spec, shared_settings))
