"""A loaded model and any number of adapters on it: what the requests of a socket ask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

import psutil
import torch

from tunesmith import __version__
from tunesmith.generation.asking import Ask, Ticket
from tunesmith.generation.decoder import AdapterFacts, Decoder
from tunesmith.modalities.folders import TEXT_DOORS, WRITES
from tunesmith.spec.errors import AdapterNotLoaded, AskedOtherwise, BadValue
from tunesmith.worker.serving.adapters import Adapters
from tunesmith.worker.serving.answers import Answers, Silence, Written
from tunesmith.worker.serving.embeddings import EmbeddingRequest, Vectors
from tunesmith.worker.serving.requests import LONGEST, OWN_ADAPTER, Request, seeds
from tunesmith.worker.serving.texts import Texts
from tunesmith.worker.serving.writing import Writing

TRIES: Final = 3
"""How often an adapter is loaded anew that left for others between its loading and its asking."""
UNTOLD: Final = 4096
"""Longest answer in tokens where neither the request nor the model says where it ends."""


@dataclass(frozen=True)
class Voice:
    """Who answers: the model as it is, or one of its adapters."""

    adapter: str | None
    """Folder of the adapter, as requests name it."""
    key: str | None
    """What the decoder calls it."""
    texts: Texts


class Engine:
    """Writes answers."""

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        texts: Texts,
        adapters: Adapters,
        vectors: Vectors,
        *,
        base: Path,
        own: str | None = None,
    ) -> None:
        """``own`` is the folder of the adapter that answers requests which name none."""
        self.name = name
        self._decoder = decoder
        self._texts = texts
        self._adapters = adapters
        self._vectors = vectors
        self._base = base
        self._own = own

    def write(self, request: Request) -> Answers:
        """Start the answers to a request.

        Raises:
            BadValue: more answers are asked for than may wait.
            PromptTooLong: the model sees fewer tokens than a prompt has.
            ServerBusy: too many requests wait.
            TunesmithError: the adapter cannot be used, or the prompt cannot be read.
        """
        if request.n * len(request.prompts) > self._decoder.room:
            raise BadValue("n", request.n, f"a number that asks for {self._decoder.room} answers at most")
        if request.pictures:
            raise BadValue("messages", "a picture", f"text alone: model '{self.name}' sees no pictures")
        voice = self._voice(self._own if request.adapter == OWN_ADAPTER else request.adapter)
        prompts = [voice.texts.ids(prompt) for prompt in request.prompts]
        echoes = [voice.texts.echo(prompt) if request.echo else "" for prompt in request.prompts]
        with ExitStack() as undo:
            written: list[Written] = []
            for ids in prompts:
                for seed in seeds(request.sampling, request.n):
                    written.append(self._written(request, voice, ids, seed))
                    undo.callback(written[-1].close)
            undo.pop_all()
        return Answers(request, written, echoes, voice.texts.spelling, self._fingerprint(voice))

    def embed(self, request: EmbeddingRequest) -> dict[str, Any]:
        """Return the vectors of texts, which are the model's own.

        Raises:
            BadValue: the model that was asked is an adapter.
        """
        if request.adapter is not None:
            # Its sender named a model; which adapter that is was found out on the way here.
            asked = request.served_as or request.adapter
            raise BadValue("model", asked, f"a base such as '{self.name}', whose vectors no adapter changes")
        return self._vectors.answer(request, self.name)

    def load(self, adapter: str) -> dict[str, Any]:
        """Load an adapter ahead, and see that it is live."""
        _, facts = self._adapters.load(adapter)
        return {
            "adapter": adapter,
            "bytes": facts.bytes,
            "rank": facts.rank,
            "live": {"trained": facts.trained, "difference": facts.difference},
        }

    def unload(self, adapter: str) -> bool:
        """Drop an adapter once its answers are complete; say whether it was there."""
        return self._adapters.unload(adapter)

    def health(self) -> dict[str, Any]:
        """Say what is loaded and how much there is to do."""
        stats = self._decoder.stats()
        return {
            "status": "ok",
            "model": self.name,
            "adapters": [_row(folder, facts) for folder, facts in self._adapters.listed()],
            "running": stats.running,
            "waiting": stats.waiting,
            "memory_bytes": memory_bytes(),
            "tokens": stats.tokens,
        }

    def predict(self, body: Mapping[str, Any]) -> NoReturn:
        """Refuse."""
        raise AskedOtherwise(self.name, WRITES, TEXT_DOORS)

    transcribe = draw = predict

    def close(self) -> None:
        """End every answer."""
        self._decoder.close()

    def _voice(self, adapter: str | None) -> Voice:
        if adapter is None:
            return Voice(None, None, self._texts)
        known = self._adapters.find(adapter)
        return Voice(adapter, known.key, known.texts)

    def _written(self, request: Request, voice: Voice, ids: Sequence[int], seed: int | None) -> Written:
        if request.max_tokens == 0:
            return Silence(len(ids))
        room = request.max_tokens or min(self._decoder.limit or UNTOLD, LONGEST)
        ask = Ask(
            ids=ids,
            sampling=replace(request.sampling, max_tokens=room, seed=seed),
            stop_ids=voice.texts.stop_ids,
            adapter=voice.key,
            logprobs=request.logprobs,
            penalties=request.penalties,
        )
        ticket = self._submit(ask, voice)
        return Writing(ticket, voice.texts.decode, stop_ids=ask.stop_ids, stop=request.sampling.stop)

    def _submit(self, ask: Ask, voice: Voice) -> Ticket:
        for _ in range(TRIES):
            try:
                return self._decoder.submit(ask)
            except AdapterNotLoaded:
                assert voice.adapter is not None
                ask = replace(ask, adapter=self._adapters.load(voice.adapter)[0].key)
        return self._decoder.submit(ask)

    def _fingerprint(self, voice: Voice) -> str:
        """Name everything that decides what a seed draws: the weights, and what computes with them."""
        stamps = [(file.name, file.stat().st_mtime_ns) for file in sorted(self._base.glob("*.safetensors"))]
        content = repr((str(self._base), stamps, voice.key, torch.__version__, __version__))
        return f"fp_{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def memory_bytes() -> int:
    """Return what this process takes of the machine's memory and of the GPU's."""
    held: int = psutil.Process().memory_info().rss
    return held + (torch.cuda.memory_reserved() if torch.cuda.is_available() else 0)


def _row(folder: str, facts: AdapterFacts) -> dict[str, Any]:
    return {"adapter": folder, "bytes": facts.bytes, "used_at": facts.used_at}
