"""A model to talk to for as long as a ``with`` block lasts: starts a serve run, speaks to it, ends it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tunesmith.executors.local import LocalExecutor
from tunesmith.modalities.text.adapter_fit import base_name, check_adapter
from tunesmith.planning.facts import device_facts
from tunesmith.runs.control import ask
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.follow import follow
from tunesmith.service.models.resolve import resolve_model
from tunesmith.service.serving.client import Connection, Reply
from tunesmith.spec.errors import BadValue, ModelNotFound, Relayed, RunCrashed, TunesmithError
from tunesmith.spec.events import Failed, Phase, Serving, Warned
from tunesmith.spec.job import ModelRef, Resources
from tunesmith.spec.states import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunesmith.settings import Settings


class ServeSession:
    """Answers from a model, with or without an adapter, in a process of its own.

    ``model`` may be left out where ``adapter`` says which model it was trained on. ``tell`` hears what is being done
    while the model loads.
    """

    def __init__(
        self,
        settings: Settings,
        model: str | None,
        adapter: Path | None = None,
        *,
        tell: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._settings = settings
        self._model = model
        self._adapter = adapter
        self._tell = tell
        self._run: RunFolder | None = None

    def __enter__(self) -> Self:
        """Start the run and wait until it answers.

        Raises:
            TunesmithError: whatever keeps the model from being served, in the run's own words.
        """
        folder = resolve_model(ModelRef(source=self._source()), self._settings)
        if self._adapter is not None:
            check_adapter(self._adapter, folder)
        self.model = folder.name
        self._run = RunFolder.create(self._settings.home, kind="serve", name=folder.name, request=self._request(folder))
        self._executor = LocalExecutor()
        self._handle = self._executor.launch(self._run, env={})
        try:
            self._socket = self._wait(self._run)
            self._lease = Connection(self._socket).lease()
        except BaseException:
            self._executor.stop(self._handle, force=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """End the run; of one that went well nothing is kept."""
        assert self._run is not None
        self._lease.close()
        ask(self._run, Request.CANCEL)
        self._executor.stop(self._handle, force=True)
        shutil.rmtree(self._socket.parent, ignore_errors=True)
        if error is None or not isinstance(error, TunesmithError):
            shutil.rmtree(self._run.path, ignore_errors=True)

    def chat(self, messages: Sequence[Mapping[str, str]], **sampling: Any) -> Reply:
        """Start an answer to a conversation; iterate over it for the text, close it to end it early."""
        return Connection(self._socket).stream({"messages": list(messages), **sampling})

    def _source(self) -> str:
        if self._model is not None:
            return self._model
        if self._adapter is None:
            raise BadValue("--model", None, "a model, or an adapter that names its base")
        base = base_name(self._adapter)
        if base is None:
            raise ModelNotFound(str(self._adapter), "No adapter that names its base is there: give --model too.")
        return base

    def _request(self, folder: Path) -> dict[str, Any]:
        device = device_facts(Resources.model_validate({}))
        return {
            "model": str(folder),
            "adapter": None if self._adapter is None else str(self._adapter.resolve()),
            "name": folder.name if self._adapter is None else f"{folder.name}+{self._adapter.name}",
            "device": device.kind,
            "precision": "bf16" if device.bf16 else "fp32",
            "leased": True,
        }

    def _wait(self, run: RunFolder) -> Path:
        for event in follow(run):
            match event.body:
                case Serving(socket=socket):
                    return Path(socket)
                case Failed() as failed:
                    raise Relayed(failed.message, failed.code, failed.exit_code)
                case Phase(name=message) | Warned(message=message):
                    self._tell(message)
        raise RunCrashed(run.id, "the model server ended without a word", f"Its log: {run.path / 'output.log'}.")
