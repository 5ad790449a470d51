"""A process that holds one base: a serve run, from its start to its end."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import psutil

from tunesmith.planning.weight_headers import tensors, weight_files
from tunesmith.runs.control import ask
from tunesmith.runs.exits import exit_of, explain
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.liveness import is_alive
from tunesmith.service.jobs.follow import follow
from tunesmith.service.serving.wire import Restore, Wire, as_it_is, relayed
from tunesmith.spec.errors import ModelGone, RunCrashed, RunError
from tunesmith.spec.events import Failed, Serving
from tunesmith.spec.states import Request

if TYPE_CHECKING:
    from tunesmith.executors.base import Executor
    from tunesmith.runs.handle import Handle
    from tunesmith.service.serving.targets import Target
    from tunesmith.settings import Settings

BYTES: Final = {"fp32": 4, "bf16": 2, "fp16": 2}
"""Bytes of a weight by number format."""
ADAPTERS: Final = "/adapters"
"""Where a serve run loads and drops adapters."""
OVERHEAD: Final = 500_000_000
"""Bytes that a process takes before it holds any weights: the interpreter and its libraries."""


Sent = tuple[str, str, dict[str, Any]]
"""Method, path and body of a request."""


@dataclass(frozen=True)
class Held:
    """What a process holds: everything that makes its answers other ones than those of another process."""

    base: Path
    device: str
    """cpu or cuda."""
    precision: str
    engine: str = "transformers"
    """What computes: transformers, vllm, or a predictor of pictures or sounds."""
    merged: Path | None = None
    """Folder of an adapter that is merged into the base in memory, as it cannot share a batch with others."""
    checkpoint: Path | None = None
    """Folder of a checkpoint that has all weights."""
    sees: bool = False
    """Whether it is asked about pictures."""
    stamp: tuple[tuple[str, int, int], ...] = ()
    """Name, time and size of the files: what was trained anew into the same folder is something else."""


class Process(Protocol):
    """A process that holds a base. ``start`` is called once, everything else after it; any thread may call."""

    wire: Wire
    """How it is spoken to."""
    needs: int
    """Bytes that it will take, estimated before its start."""

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ModelGone: it was killed.
            TunesmithError: whatever keeps the model from being served, in its own words.
        """
        ...

    def stop(self) -> None:
        """End it at once, and whatever it started."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        ...

    def end(self) -> ModelGone:
        """Say why it is gone."""
        ...

    def memory(self) -> int:
        """Return the bytes that it takes now, measured."""
        ...

    def body(self, target: Target, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is sent for OpenAI's body."""
        ...

    def restored(self, target: Target) -> Restore:
        """Return what makes an answer OpenAI's."""
        ...

    def loading(self, target: Target) -> list[Sent]:
        """Return what is sent to load a target's adapter and see that it is live."""
        ...

    def loaded(self, target: Target, answers: Sequence[Mapping[str, Any]]) -> int:
        """Return the bytes of an adapter from the answers to that.

        Raises:
            AdapterNotLive: it is trained and changes nothing.
        """
        ...

    def unloading(self, target: Target) -> list[Sent]:
        """Return what is sent to drop it."""
        ...


class ServeRun:
    """A run of the kind serve."""

    def __init__(self, settings: Settings, held: Held, name: str, executor: Executor) -> None:
        self._settings = settings
        self._held = held
        self._name = name
        self._executor = executor
        self._run: RunFolder | None = None
        self._handle: Handle | None = None
        self.needs = weights_of(held) + OVERHEAD

    def start(self) -> None:
        """Make the run, launch it and wait until it has its socket."""
        self._run = RunFolder.create(self._settings.home, kind="serve", name=self._name, request=self._request())
        try:
            self._handle = self._executor.launch(self._run, env={})
            self._socket = self._wait(self._run)
        except BaseException as error:
            self._end(keep=isinstance(error, RunError | ModelGone))
            raise
        self.wire = Wire("http://model", self.end, waiting=self._settings.serve_waiting, socket=str(self._socket))

    def stop(self) -> None:
        """End the processes; of a run that went well nothing is kept."""
        died = self._handle is not None and not self.alive
        self._end(keep=died)

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._handle is not None and is_alive(self._handle.worker)

    def end(self) -> ModelGone:
        """Say why the worker is gone, as far as its parent has written it down by now."""
        found = exit_of(self._run) if self._run is not None else None
        return ModelGone(explain(found.code, found.signal).reason) if found is not None else ModelGone()

    def memory(self) -> int:
        """Return the resident bytes of the worker and what it started; on a GPU, what the worker says that it holds."""
        if self._handle is None or not self.alive:
            return 0
        if self._held.device != "cpu":
            return int(self.wire.get("/healthz").get("memory_bytes") or self.needs)
        return memory_of(self._handle.worker.pid)

    def body(self, target: Target, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return OpenAI's body with the folder of the adapter and the name that answers give."""
        sent = {name: value for name, value in body.items() if name != "model"}
        adapter = None if self._alone or target.weights is None else str(target.weights)
        return {**sent, "adapter": adapter, "served_as": target.name}

    def restored(self, target: Target) -> Restore:
        """Leave answers as they are: they are OpenAI's."""
        return as_it_is

    def loading(self, target: Target) -> list[Sent]:
        """Have the worker load the adapter; its answer says that it is live."""
        return [("POST", ADAPTERS, {"adapter": str(target.weights)})]

    def loaded(self, target: Target, answers: Sequence[Mapping[str, Any]]) -> int:
        """Return the bytes of the adapter in memory; the worker has seen that it is live."""
        return int(answers[0]["bytes"])

    def unloading(self, target: Target) -> list[Sent]:
        """Have the worker drop the adapter."""
        return [("DELETE", ADAPTERS, {"adapter": str(target.weights)})]

    @property
    def _alone(self) -> bool:
        """Whether what was trained is in the weights themselves."""
        return self._held.merged is not None or self._held.checkpoint is not None

    def _request(self) -> dict[str, Any]:
        settings, held = self._settings, self._held
        return {
            "model": str(held.base),
            "adapter": None,
            "merge": str(held.merged) if held.merged else None,
            "checkpoint": str(held.checkpoint) if held.checkpoint else None,
            "name": self._name,
            "device": held.device,
            "precision": held.precision,
            "sees": held.sees,
            "rows": settings.serve_rows,
            "waiting": settings.serve_waiting,
            "adapter_bytes": int(settings.serve_adapters_gb * 1e9),
        }

    def _wait(self, run: RunFolder) -> Path:
        for event in follow(run):
            match event.body:
                case Serving(socket=socket):
                    return Path(socket)
                case Failed(message=message, code=code):
                    raise relayed(message, code)
        found = exit_of(run)
        if found is None or found.signal is not None:  # Somebody ended it: nothing is wrong with the model.
            raise ModelGone(explain(None, found.signal if found else None).reason, when="while it loaded the model")
        why = explain(found.code).reason
        raise RunCrashed(run.id, why, f"`tunesmith runs logs {run.id}` shows what it said last.")

    def _end(self, *, keep: bool) -> None:
        """End the process; the run's folder stays only if it tells of a fault."""
        if self._run is None:
            return
        if self._handle is not None:
            with contextlib.suppress(OSError):
                ask(self._run, Request.CANCEL)
            self._executor.stop(self._handle, force=True)
        if (socket := getattr(self, "_socket", None)) is not None:
            shutil.rmtree(socket.parent, ignore_errors=True)
        if not keep:
            shutil.rmtree(self._run.path, ignore_errors=True)


def stamp_of(*folders: Path | None) -> tuple[tuple[str, int, int], ...]:
    """Return name, time and size of the files that make a model or an adapter what it is."""
    return tuple(sorted(_stamps(folder) for folder in folders if folder is not None)) if folders else ()


def _stamps(folder: Path) -> tuple[str, int, int]:
    newest, total = 0, 0
    for entry in _files(folder):
        about = entry.stat()
        newest, total = max(newest, about.st_mtime_ns), total + about.st_size
    return str(folder), newest, total


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.endswith((".safetensors", ".json", ".jinja")) and entry.is_file():
                yield entry


def weights_of(held: Held) -> int:
    """Return the bytes of a base's weights as they will be in memory."""
    files = weight_files(held.base) or sorted(held.base.glob("*/*.safetensors"))  # a pipeline has them by part
    return BYTES[held.precision] * sum(tensor.size for file in files for tensor in tensors(file))


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process and of all that it started."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += each.memory_info().rss
    return total
