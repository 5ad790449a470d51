"""Work that reads what users bring (plans, checks, previews) is done in child processes that may die of it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from tunesmith.runs.exits import explain
from tunesmith.spec.errors import Relayed, RunError, SubtaskDied, SubtaskTooSlow

FUNCTIONS: Final[dict[str, str]] = {
    "get_ready": "tunesmith.service.jobs.planned:get_ready",
    "plan": "tunesmith.service.jobs.planned:planned",
    "work": "tunesmith.service.jobs.planned:settled_work",
    "count_rows": "tunesmith.service.datasets.counting:counted",
    "check": "tunesmith.service.datasets.reading:checked",
    "preview": "tunesmith.service.datasets.reading:previewed",
    "unpack": "tunesmith.service.datasets.unpack:unpacked",
}
"""What a child does by name: ``module:function``. Arguments come as keywords, both ways only what JSON can say."""
GET_READY: Final = 60.0
"""Seconds after which a child is not waited for any more before there is anything to do."""
SIZE: Final = max(2, min(4, os.cpu_count() or 1))
"""Children at once; each is started when it is first needed."""


class Subtasks:
    """Child processes that each do one thing at a time; one that dies or takes too long is replaced."""

    def __init__(self, size: int = SIZE, functions: Mapping[str, str] = FUNCTIONS) -> None:
        self._functions = dict(functions)
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)  # A place for a child that is not started yet.
        self._closed = False

    def call(self, name: str, /, *, timeout: float, **arguments: Any) -> Any:
        """Have a function of the table called and return what it returned.

        ``timeout`` counts from now, in seconds: waiting for a child is part of it.

        Raises:
            KeyError: the table has no such name (a fault of the program).
            SubtaskTooSlow: the time is up; the child that worked on it is ended.
            SubtaskDied: the child died, most often of too large an input.
            Relayed: the error that the function raised, in its words and with its code.
        """
        reference, end = self._functions[name], time.monotonic() + timeout
        try:
            child = self._free.get(timeout=timeout)
        except queue.Empty:
            raise SubtaskTooSlow(name, timeout) from None
        try:
            child = child if child is not None and child.lives else _Child()
            answer = child.ask({"call": reference, "arguments": arguments}, end - time.monotonic())
        except BaseException:
            if child is not None:
                child.kill()
                child = None
            raise
        finally:
            self._give_back(child)
        return _result(answer, name, timeout)

    def get_ready(self) -> None:
        """Have a child started that has loaded what plans need: the first job does not wait for it then."""
        with contextlib.suppress(RunError):  # It is tried again, and told, when there is something to do.
            self.call("get_ready", timeout=GET_READY)

    def close(self) -> None:
        """End the children; those that work end with what they do."""
        self._closed = True
        while True:
            try:
                child = self._free.get_nowait()
            except queue.Empty:
                return
            if child is not None:
                child.kill()

    def _give_back(self, child: _Child | None) -> None:
        if child is not None and (self._closed or not child.lives):
            child.kill()
            child = None
        self._free.put(child)


class _Child:
    """A process that reads a line of JSON, answers with one, and ends when its input does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tunesmith.service.system.subtask"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the server, which ends its children by itself.
        )
        self._is_late = False

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any], timeout: float) -> Mapping[str, Any]:
        """Return the answer, or how it came that there is none."""
        alarm = threading.Timer(max(0.0, timeout), self._be_late)
        alarm.daemon = True
        alarm.start()
        try:
            return self._exchange(json.dumps(request).encode() + b"\n")
        finally:
            alarm.cancel()

    def kill(self) -> None:
        """End it and let go of it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # What it had not read yet is of no use to anybody.
                pipe.close()

    def _be_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _exchange(self, line: bytes) -> Mapping[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if answer.endswith(b"\n"):
            found: Mapping[str, Any] = json.loads(answer)
            return found
        code = self._process.wait()
        return {"late": True} if self._is_late else {"died": code}


def _result(answer: Mapping[str, Any], name: str, timeout: float) -> Any:
    match answer:
        case {"result": result}:
            return result
        case {"late": True}:
            raise SubtaskTooSlow(name, timeout)
        case {"died": int(code)}:
            raise SubtaskDied(name, explain(code if code >= 0 else None, -code if code < 0 else None).reason)
        case {"error": {"message": message, "code": str(word), "exit_code": int(exit_code), "status": int(status)}}:
            raise Relayed(message, word, exit_code, status)
    raise ValueError(f"a subtask answered {answer!r}")
