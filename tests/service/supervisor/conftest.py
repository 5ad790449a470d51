from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from scripted_worker import WORKER
from shop import Shop
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.context import Service
from tunesmith.service.supervisor.supervisor import Supervisor

FOLDER = Path(__file__).parent
ON_BOTH = ("test_claiming.py", "test_recovery.py", "test_runs_by_hand.py")
"""What databases might do differently: who takes a job, and what is known after a death."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to ``make slow`` what a supervisor does on PostgreSQL as on SQLite."""
    for item in items:
        if item.path.parent == FOLDER and item.path.name not in ON_BOTH and "[postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def shop(service: Service, tiny_model: Path, chat_file: Path, tmp_path: Path) -> Iterator[Shop]:
    """A supervisor with one CPU to lend."""
    made = Shop(service, tiny_model, chat_file, tmp_path, Supervisor(service, LocalExecutor(worker=WORKER)))
    yield made
    for supervisor in [made.supervisor, *made.others]:
        supervisor.close()
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            if any(str(service.settings.runs_dir) in word for word in process.info["cmdline"] or ()):
                process.kill()
