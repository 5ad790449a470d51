"""A process that does nothing but supervise: ``python lone_supervisor.py HOME DATABASE_URL``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from scripted_worker import WORKER
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.context import open_service
from tunesmith.service.supervisor.supervisor import Supervisor
from tunesmith.settings import Settings

if __name__ == "__main__":
    settings = Settings(home=Path(sys.argv[1]), database_url=sys.argv[2], poll_seconds=0.01, retry_seconds=0.0)
    Supervisor(open_service(settings), LocalExecutor(worker=WORKER)).run(threading.Event())
