"""A model to talk to for as long as a ``with`` block lasts: starts a serve run, speaks to it, ends it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tunesmith.executors.local import LocalExecutor
from tunesmith.modalities.adapter_fit import base_names, check_adapter
from tunesmith.planning.facts import device_facts
from tunesmith.runs.control import ask
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.follow import follow
from tunesmith.service.models.resolve import resolve_model
from tunesmith.service.serving.client import Connection, Reply
from tunesmith.spec.errors import BadValue, ModelNotFound, Relayed, RunCrashed, RunError
from tunesmith.spec.events import Failed, Phase, Serving
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
        self._source = model or _base_of(adapter)
        self._adapter = adapter
        self._tell = tell
        folder = Path(self._source).expanduser()
        self.model = folder.resolve().name if folder.is_dir() else self._source
        """What the model is called."""
        self.warning: str | None = None
        """What may be wrong, though it works."""

    def __enter__(self) -> Self:
        """Start the run and wait until it answers.

        Raises:
            TunesmithError: whatever keeps the model from being served, in the run's own words.
        """
        folder = resolve_model(ModelRef(source=self._source), self._settings)
        if self._adapter is not None:
            check_adapter(self._adapter, folder)
            self.warning = _other_base(self._adapter, self.model, folder)
        self._run = RunFolder.create(self._settings.home, kind="serve", name=self.model, request=self._request(folder))
        self._executor = LocalExecutor()
        self._handle = self._executor.launch(self._run, env={})
        try:
            self._socket = self._wait()
        except BaseException as error:
            self._end(error)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """End the run; of one that went well nothing is kept."""
        shutil.rmtree(self._socket.parent, ignore_errors=True)
        self._end(error)

    def chat(self, messages: Sequence[Mapping[str, str]], **sampling: Any) -> Reply:
        """Start an answer to a conversation; iterate over it for the text, close it to end it early."""
        return Connection(self._socket).stream({"messages": list(messages), **sampling})

    def _end(self, error: BaseException | None) -> None:
        """End the process; the run's folder stays only if it tells of a fault."""
        ask(self._run, Request.CANCEL)
        self._executor.stop(self._handle, force=True)
        if not isinstance(error, RunError | Relayed):
            shutil.rmtree(self._run.path, ignore_errors=True)

    def _request(self, folder: Path) -> dict[str, Any]:
        device = device_facts(Resources())
        return {
            "model": str(folder),
            "adapter": None if self._adapter is None else str(self._adapter.resolve()),
            "name": self.model,
            "device": device.kind,
            "precision": "bf16" if device.bf16 else "fp32",
        }

    def _wait(self) -> Path:
        for event in follow(self._run):
            match event.body:
                case Serving(socket=socket):
                    return Path(socket)
                case Failed(message=message, code=code, exit_code=exit_code):
                    raise Relayed(message, code, exit_code)
                case Phase(name=message):
                    self._tell(message)
        raise RunCrashed(self._run.id, "the model's process ended without a word", f"Its log: {self._run.log}.")


def _base_of(adapter: Path | None) -> str:
    """Return the model of an adapter: the folder that it was trained on if that is there, else what it is called.

    Raises:
        BadValue: there is no adapter either.
        ModelNotFound: the folder is no adapter, or it does not name its base.
    """
    if adapter is None:
        raise BadValue("model", None, "a model, or an adapter that names its base")
    names = base_names(adapter)
    if not names:
        raise ModelNotFound(str(adapter), "No adapter that names its base is there: give --model too.")
    return next((name for name in names if _is_model(Path(name))), names[0])


def _is_model(folder: Path) -> bool:
    return folder.is_absolute() and (folder / "config.json").is_file()


def _other_base(adapter: Path, model: str, folder: Path) -> str | None:
    """Say so if the adapter names another model than the one it is used with, whose shapes are the same."""
    names = base_names(adapter)
    same = {model.lower(), folder.name.lower()}
    if not names or any(Path(name).name.lower() in same or name.lower() in same for name in names):
        return None
    return f"{adapter} was trained on '{names[0]}' and is used with '{model}'."
