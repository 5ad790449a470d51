"""A loaded model of pictures or sounds: one request after another, and each as its kind of model is asked."""

from __future__ import annotations

import base64
import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from tunesmith.modalities.folders import Use, use_of
from tunesmith.spec.errors import (
    AskedOtherwise,
    BadValue,
    CheckpointSilent,
    RowFault,
    ServerBusy,
    UnreadableContent,
    UnreadableMedia,
)
from tunesmith.worker.serving.answers import Answers
from tunesmith.worker.serving.embeddings import EmbeddingRequest, rendered
from tunesmith.worker.serving.engine import memory_bytes
from tunesmith.worker.serving.requests import Request
from tunesmith.worker.serving.seeing import SeenAnswer, Stopped, asked_about
from tunesmith.worker.serving.showing import Drawing, Shown, read_drawing, read_shown

AGAIN: Final = 5.0
"""Seconds after which it is worth asking again where too many wait."""
WAITING: Final = 64
"""Requests that may wait where the run's request does not say."""
T = TypeVar("T")


def load_predictor_engine(request: Mapping[str, Any], use: Use) -> PredictorEngine:
    """Load a model of pictures or sounds, with the adapter that the run's request names.

    Raises:
        CheckpointSilent: the adapter is a checkpoint without the result of its run, which knows what the model is.
        TunesmithError: the model cannot answer.
    """
    base = Path(request["model"])
    adapter = request.get("merge") or request.get("adapter")
    name = str(request.get("name") or base.name)
    if adapter and Path(adapter).parent.name == "checkpoints":
        raise CheckpointSilent(name, use.does)
    module = importlib.import_module(f"tunesmith.modalities.{use.modality}.predictor")
    predictor = module.load_predictor(
        base,
        adapter=Path(adapter) if adapter else None,
        device=request["device"],
        precision=request["precision"],
    )
    return PredictorEngine(name, predictor, use, waiting=int(request.get("waiting") or WAITING))


def use_asked(request: Mapping[str, Any]) -> Use | None:
    """Return how the model of a run's request is asked; None for one of text."""
    adapter = request.get("merge") or request.get("adapter")
    return use_of(Path(request["model"]), Path(adapter) if adapter else None, sees=bool(request.get("sees")))


class PredictorEngine:
    """Shows one request after another to a model; what the model does not do is refused by what it does."""

    def __init__(self, name: str, predictor: Any, use: Use, *, waiting: int) -> None:
        """``waiting`` requests may wait for the one that is being answered."""
        self.name = name
        self._predictor = predictor
        self._use = use
        self._most = waiting
        self._waiting = 0
        self._running = 0
        self._counting = threading.Lock()
        self._computing = threading.Lock()

    def predict(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer about a picture or a recording.

        Raises:
            UnreadableContent: it cannot be decoded.
            AskedOtherwise: models of this kind answer nothing about what they are shown.
        """
        self._refuse_unless("predict")
        asked = read_shown(body, self._use)
        return {"model": asked.served_as or self.name, **self._in_turn(lambda: self._about(asked))}

    def transcribe(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Write down what is said in a recording."""
        self._refuse_unless("transcribe")
        asked = read_shown(body, self._use)
        return {"model": asked.served_as or self.name, **self._in_turn(lambda: self._about(asked))}

    def draw(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make pictures; they are PNG files, as base64."""
        self._refuse_unless("draw")
        wanted = read_drawing(body)
        made = self._in_turn(lambda: self._drawn(wanted))
        return {"model": wanted.served_as or self.name, "images": [base64.b64encode(one).decode() for one in made]}

    def embed(self, request: EmbeddingRequest) -> dict[str, Any]:
        """Return the vectors of texts, of length 1."""
        self._refuse_unless("embed")
        if not all(isinstance(text, str) for text in request.inputs):
            raise BadValue("input", "tokens", "texts: this model is asked by texts alone")
        vectors = self._in_turn(lambda: self._predictor.embed_text(list(request.inputs)))
        return rendered(vectors, request, request.served_as or self.name)

    def write(self, request: Request) -> Answers:
        """Start the answers to a chat about pictures, or to one without."""
        self._refuse_unless("chat")
        question = asked_about(request)

        def answer(seed: int | None, stopped: Stopped) -> dict[str, Any]:
            options = question.options | ({} if seed is None else {"seed": seed})
            found: dict[str, Any] = self._in_turn(
                lambda: self._predictor.chat(question.messages, question.pictures, stopped=stopped, **options)
            )
            return found

        return SeenAnswer.answers(request, answer)

    def load(self, adapter: str) -> NoReturn:
        """Refuse: such a model has its process for itself."""
        self._refuse()

    def unload(self, adapter: str) -> bool:
        """Say that no adapter is there."""
        return False

    def health(self) -> dict[str, Any]:
        """Say what is loaded and how much there is to do."""
        return {
            "status": "ok",
            "model": self.name,
            "adapters": [],
            "running": self._running,
            "waiting": self._waiting,
            "memory_bytes": memory_bytes(),
            "tokens": 0,
        }

    def close(self) -> None:
        """Do nothing: what is being computed ends with the process."""

    def _about(self, asked: Shown) -> dict[str, Any]:
        predict: Callable[..., dict[str, Any]] = self._predictor.predict
        if self._use.modality == "multimodal":
            labels = {"candidates": list(asked.labels)} if asked.labels else {}
            return predict(asked.content, asked.text, **labels, **asked.options)
        if asked.content is None:
            raise BadValue("content", "nothing", "a picture or a recording: a file, base64, or a path")
        return predict(asked.content, **asked.options)

    def _drawn(self, wanted: Drawing) -> list[bytes]:
        made: list[bytes] = self._predictor.generate(wanted.prompt, n=wanted.n, **wanted.options)
        return made

    def _in_turn(self, compute: Callable[[], T]) -> T:
        """Compute when those are done that came before.

        Raises:
            ServerBusy: too many wait.
            UnreadableContent: what is shown cannot be decoded.
        """
        with self._counted(), self._computing:
            with self._counting:
                self._waiting -= 1
                self._running += 1
            try:
                return compute()
            except UnreadableMedia as error:
                raise UnreadableContent(error.why) from error
            except RowFault as error:
                raise UnreadableContent(error.message) from error
            finally:
                with self._counting:
                    self._waiting += 1
                    self._running -= 1

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._counting:
            if self._waiting + self._running > self._most:
                raise ServerBusy(self._waiting, AGAIN)
            self._waiting += 1
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= 1

    def _refuse_unless(self, way: str) -> None:
        if way not in self._use.ways:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise AskedOtherwise(self.name, self._use.does, self._use.doors)
