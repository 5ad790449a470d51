"""``python -m tunesmith.service.system.subtask``: does what lines of JSON ask, one after another, until they end.

    {"call": "module:function", "arguments": {...}}  ->  {"result": ...} or {"error": {"code", "message", ...}}

Its memory is limited, so that a hostile file takes this process and not the machine.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import resource
import sys
import threading
import traceback
from typing import Any, BinaryIO, Final

import psutil

from tunesmith.spec.errors import RunError, SubtaskDied, TunesmithError

LEAST_MEMORY: Final = 2 * 2**30
"""Bytes that a subtask may have on the smallest machine; on others it is half of the memory."""


def main() -> None:
    """Answer line by line; end when the input does, whatever is being worked on."""
    os.chdir("/")  # The folder that the server was started in may go away; paths come whole.
    _limit_memory()
    answers = _own_output()
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while True:
        answer = json.dumps(_answer(requests.get()))
        answers.write(answer.encode() + b"\n")
        answers.flush()


def _limit_memory() -> None:
    """Limit what is allocated, not what is mapped of files: those cost nothing that the system cannot take back."""
    most = max(LEAST_MEMORY, psutil.virtual_memory().total // 2)
    with contextlib.suppress(ValueError, OSError):  # A lower limit is in force already.
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _own_output() -> BinaryIO:
    """Return the output for answers alone; whatever else is printed goes to the log."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _listen(requests: queue.SimpleQueue[bytes]) -> None:
    """Pass lines on; with the last one the process ends, as the server that asked is gone."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _answer(line: bytes) -> dict[str, Any]:
    request = json.loads(line)
    module, _, name = request["call"].partition(":")
    try:
        return {"result": getattr(importlib.import_module(module), name)(**request["arguments"])}
    except TunesmithError as error:
        return _told(error)
    except MemoryError:
        return _told(SubtaskDied(name, "it wanted more memory than it may have"))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the server that asked must hear of it.
        traceback.print_exc()
        return _told(RunError(f"{type(error).__name__}: {error}"))


def _told(error: TunesmithError) -> dict[str, Any]:
    facts = {"code": error.code, "message": error.message, "exit_code": error.exit_code, "status": error.status}
    return {"error": facts}


if __name__ == "__main__":
    main()
