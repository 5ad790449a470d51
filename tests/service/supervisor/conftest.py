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
