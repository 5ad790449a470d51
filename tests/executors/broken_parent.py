"""The worker's parent process, killed at a moment: ``python broken_parent.py RUN_FOLDER FOLDER -- COMMAND``.

``BREAK_AT`` is the file of the run folder, ``BREAK`` whether it ends before or after that is written.
"""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Mapping
from pathlib import Path

PARENT = Path(__file__).parents[2] / "src/tunesmith/executors/parent.py"
loading = importlib.util.spec_from_file_location("parent", PARENT)
assert loading is not None and loading.loader is not None
parent = importlib.util.module_from_spec(loading)
loading.loader.exec_module(parent)
whole = parent.write


def write(folder: str, name: str, content: Mapping[str, object], *, once: bool = False) -> bool:
    if name == os.environ["BREAK_AT"] and os.environ["BREAK"] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    written: bool = whole(folder, name, content, once=once)
    if name == os.environ["BREAK_AT"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return written


parent.write = write
parent.main()
