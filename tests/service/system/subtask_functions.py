"""What the tests of subtasks have a child do."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from tunesmith.spec.errors import DataNotFound


def echo(**arguments: Any) -> dict[str, Any]:
    print("said on stdout, which is not the answer")
    return arguments


def pid() -> int:
    return os.getpid()


def folder() -> str:
    return os.getcwd()


def get_ready() -> None:
    os.environ["READY_SINCE"] = str(os.getpid())


def ready_since() -> int:
    return int(os.environ["READY_SINCE"])


def loaded(*, names: list[str]) -> list[str]:
    return [name for name in names if name in sys.modules]


def hang(*, mark: str = "") -> None:
    if mark:
        with open(mark, "w") as file:
            file.write(str(os.getpid()))
    threading.Event().wait()


def lack_data() -> None:
    raise DataNotFound("nothing.jsonl")


def crash() -> None:
    raise ZeroDivisionError("by nothing")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_memory() -> int:
    return len(bytearray(1 << 46))
