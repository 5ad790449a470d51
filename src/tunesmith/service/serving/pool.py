"""The models that are loaded on this machine: a process for each base, started when somebody asks, ended when short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from tunesmith.executors.local import LocalExecutor
from tunesmith.modalities import folders
from tunesmith.modalities.adapter_fit import ADAPTER_WEIGHTS
from tunesmith.planning.facts import device_facts
from tunesmith.runs.folder import RunFolder
from tunesmith.service.serving.process import Held, Process, ServeRun, stamp_of
from tunesmith.service.serving.shelf import Entry, Shelf, Use
from tunesmith.service.serving.targets import Target
from tunesmith.service.serving.vllm import VllmServer
from tunesmith.spec.errors import AdapterNotPerRow, AdapterTooLarge, CheckpointSilent, ModelGone, TunesmithError
from tunesmith.spec.job import Resources

if TYPE_CHECKING:
    from tunesmith.executors.base import Executor
    from tunesmith.settings import Settings

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
PREDICT: Final = "/predict"
TRANSCRIBE: Final = "/v1/audio/transcriptions"
DRAW: Final = "/v1/images/generations"
IN_FEW_BITS: Final = frozenset({"talker", "diffusion"})
"""Kinds of model that are large, and compute in the machine's number format; others are small, and exact."""


@dataclass(frozen=True)
class Loaded:
    """Something that is loaded."""

    name: str
    org: str | None
    """Whose it is; None: everybody's."""
    base: str
    """Folder."""
    adapter: str | None
    """Folder."""
    model: str | None
    """Id in the registry."""
    bytes: int
    """Memory of the process, measured, for a base; of the weights for an adapter."""
    running: int
    """Requests that are being answered by it."""
    used_at: float
    """Seconds since the epoch."""


class Chunks(Protocol):
    """The chunks of a streamed answer, OpenAI's objects. Raises ModelGone or Relayed in the middle; close it always."""

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Begin."""
        ...

    async def __anext__(self) -> dict[str, Any]:
        """Return the next chunk."""
        ...

    async def aclose(self) -> None:
        """End the answer here; its computation ends within a second."""
        ...


class Engine(Protocol):
    """One loaded model for one request after another."""

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole answer to OpenAI's body."""
        ...

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the chunks of an answer; a generator, whose ``close`` ends the answer."""
        ...


class AsyncEngine(Protocol):
    """The same for coroutines."""

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole answer to OpenAI's body; cancelled, it ends the computation."""
        ...

    async def stream(self, path: str, body: Mapping[str, Any]) -> Chunks:
        """Return the chunks of an answer once it has begun; what is wrong with the request is raised here."""
        ...


class ServingPool:
    """Loaded models. One of each process of the service: ``service.serving``; safe for threads and coroutines.

    ``body`` is always what OpenAI documents; ``stream`` and ``model`` in it are set here. Raised by every call that
    answers, in the words of whoever found it: Relayed (with the status of the fault: an unknown key, a prompt that is
    too long), ServerBusy (429, with ``wait`` seconds), ModelGone (503), ModelTooLarge, AdapterTooLarge, AdapterNotLive.

    ``device`` and ``precision`` are chosen for the machine where they are left out; ``executor`` starts serve runs.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        device: str | None = None,
        precision: str | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._settings = settings
        self._executor = executor or LocalExecutor()
        self._chosen = (device, precision)
        self._merged: set[tuple[object, ...]] = set()
        self._shelf = Shelf(settings, self._made)

    @contextmanager
    def opened(self, target: Target) -> Iterator[Engine]:
        """Have a model loaded for as long as a ``with`` block lasts, waiting for it as long as it takes to load."""
        with ExitStack() as stack:
            while True:
                entry = self._joined(stack, target)
                entry.started.result()
                wire, steps = entry.process.wire, self._to_load(entry, target)
                try:
                    self._note(entry, target, [wire.ask(*sent) for sent in steps])
                except TunesmithError as error:
                    self._merge_instead(stack, target, error)
                    continue
                yield _Engine(entry.process, target)
                return

    @asynccontextmanager
    async def opened_async(self, target: Target) -> AsyncIterator[AsyncEngine]:
        """Do the same for coroutines."""
        with ExitStack() as stack:
            while True:
                entry = self._joined(stack, target)
                await asyncio.wrap_future(entry.started)
                wire, steps = entry.process.wire, self._to_load(entry, target)
                try:
                    self._note(entry, target, [await wire.ask_async(*sent) for sent in steps])
                except TunesmithError as error:
                    self._merge_instead(stack, target, error)
                    continue
                yield _AsyncEngine(entry.process, target)
                return

    async def ask(self, target: Target, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Load if need be, and return the whole answer."""
        async with self.opened_async(target) as engine:
            return await engine.ask(path, body)

    async def stream(self, target: Target, path: str, body: Mapping[str, Any]) -> Chunks:
        """Load if need be, and return the chunks of an answer once it has begun; closing them lets go of the model."""
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(self.opened_async(target))
            chunks = await engine.stream(path, body)
            stack.push_async_callback(chunks.aclose)
            return _Chunks(chunks, stack.pop_all())

    def load(self, target: Target) -> Loaded:
        """Load a model ahead, and see that its adapter is live."""
        with self.opened(target):
            return self._found(target)

    async def load_async(self, target: Target) -> Loaded:
        """Do the same for coroutines."""
        async with self.opened_async(target):
            return await asyncio.to_thread(self._found, target)

    def loaded(self) -> list[Loaded]:
        """Return what is loaded, whoever it belongs to: the caller leaves out what its principal must not see."""
        return [each.told() for each in self._all()]

    def unload(self, target: Target) -> bool:
        """Unload an adapter, or a base that nobody uses; return whether it was loaded."""
        return any([self._unload(each) for each in self._all() if each.is_of(target)])

    def clear(self, org: str | None = None) -> int:
        """Unload all that nobody is using (of one organisation: what is its own); return how many there were."""
        mine = [each for each in self._all() if org is None or each.target.org == org]
        return sum(self._unload(each) for each in sorted(mine, key=lambda each: each.is_process))

    def figures(self) -> dict[str, float]:
        """Return this process's numbers for monitoring, by name."""
        rows, told = self._all(), [entry.process.wire.get("/healthz") for entry in self._up()]
        sums = {name: float(sum(each.get(name) or 0 for each in told)) for name in ("running", "waiting", "tokens")}
        return {
            "processes": float(len(told)),
            "adapters": float(sum(not row.is_process for row in rows)),
            "memory_bytes": float(sum(entry.measured for entry in self._up())),
            **sums,
            **{name: float(self._shelf.counts[name]) for name in ("started", "died", "evicted", "idle")},
        }

    def look(self) -> None:
        """Bury what died, end what is idle, and give way to other servers; done by itself every second."""
        self._shelf.look()

    def close(self) -> None:
        """End every process."""
        self._shelf.close()

    def _made(self, held: Held, name: str) -> Process:
        if held.engine == "vllm":
            return VllmServer(self._settings, held, name)
        return ServeRun(self._settings, held, name, self._executor)

    def _joined(self, stack: ExitStack, target: Target) -> Entry:
        """Find or start the process for a target, and let go of it when the stack is unwound."""
        self._refuse_large(target)
        held = self._held(target)
        entry = self._shelf.join(held, target)
        stack.callback(self._shelf.leave, entry, target)
        return entry

    def _refuse_large(self, target: Target) -> None:
        limit = self._settings.max_adapter_mb
        file = target.adapter / ADAPTER_WEIGHTS if target.adapter is not None else None
        if file is not None and file.is_file() and (size := file.stat().st_size / 1e6) > limit:
            raise AdapterTooLarge(target.name, size, limit)

    def _held(self, target: Target) -> Held:
        """Say which process a target needs: that of its base, or one of its own."""
        device, precision = self._device()
        shown = _beside_its_result(target)
        use = folders.use_of(shown.base, shown.adapter, sees=target.sees)
        if use is not None:
            return _of_pictures_or_sounds(shown, use, device, precision)
        held = Held(target.base, device, precision, stamp=stamp_of(target.base))
        if target.whole:
            return replace(held, checkpoint=target.checkpoint)
        if stamp_of(target.weights) in self._merged:
            return replace(held, merged=target.weights, stamp=stamp_of(target.base, target.weights))
        # vLLM reads adapters, and no checkpoints.
        return replace(held, engine=self._settings.engine if target.checkpoint is None else "transformers")

    def _device(self) -> tuple[str, str]:
        if None in self._chosen:
            found = device_facts(Resources())
            device, precision = self._chosen
            self._chosen = (device or found.kind, precision or ("bf16" if found.bf16 else "fp32"))
        device, precision = self._chosen
        assert device is not None and precision is not None
        return device, precision

    def _to_load(self, entry: Entry, target: Target) -> list[tuple[str, str, dict[str, Any]]]:
        """Return the requests that load a target's adapter: none where it has been loaded as it is now."""
        use = entry.uses[target.weights]
        if not target.weights or entry.is_own or use.stamp == stamp_of(target.weights):
            return []
        return entry.process.loading(target)

    def _note(self, entry: Entry, target: Target, answers: Sequence[Mapping[str, Any]]) -> None:
        """Remember that an adapter is loaded, and that it is live."""
        if answers:
            use = entry.uses[target.weights]
            use.bytes = entry.process.loaded(target, answers)
            use.stamp = stamp_of(target.weights)

    def _merge_instead(self, stack: ExitStack, target: Target, error: TunesmithError) -> None:
        """Let go of the process that cannot load an adapter beside others, so that it gets one of its own."""
        if error.code != AdapterNotPerRow.code:
            raise error
        stack.close()
        self._merged.add(stamp_of(target.weights))

    def _found(self, target: Target) -> Loaded:
        """Return what is loaded for a target that is open."""
        found = next((each for each in self._all() if each.is_of(target)), None)
        if found is None:
            raise ModelGone
        return found.told()

    def _up(self) -> list[Entry]:
        return [entry for entry in self._shelf.entries() if entry.is_up and entry.process.alive]

    def _all(self) -> list[_Row]:
        return [row for entry in self._up() for row in self._rows(entry)]

    def _rows(self, entry: Entry) -> Iterator[_Row]:
        """Yield what a process has loaded: its base, and the adapters that have not left meanwhile."""
        told = entry.process.wire.get("/healthz").get("adapters")
        for folder, use in list(entry.uses.items()):
            left = told is not None and str(folder) not in {each["adapter"] for each in told}
            if folder is not None and (entry.is_own or (use.stamp is not None and not left)):
                yield _Row(entry, use)
        if not entry.is_own:
            yield _Row(entry, entry.uses.get(None) or Use(_base_of(entry)))

    def _unload(self, row: _Row) -> bool:
        if row.is_process:
            return self._shelf.take_down(row.entry)
        if row.use.running:
            return False
        row.use.stamp = None
        with suppress(ModelGone):  # With its process the adapter is gone too.
            for method, path, body in row.entry.process.unloading(row.target):
                row.entry.process.wire.ask(method, path, body)
        return True


@dataclass(frozen=True)
class _Row:
    """A line of what is loaded."""

    entry: Entry
    use: Use

    @property
    def target(self) -> Target:
        return self.use.target

    def is_of(self, target: Target) -> bool:
        """Whether it is what a target means, by whatever name."""
        return (self.target.base, self.target.weights) == (target.base, target.weights)

    @property
    def is_process(self) -> bool:
        """Whether it has its process for itself: a base, or what was merged into one."""
        return self.target.weights is None or self.entry.is_own

    def told(self) -> Loaded:
        """Return what others are told."""
        target = self.target
        return Loaded(
            name=target.name,
            org=target.org,
            base=str(target.base),
            adapter=str(target.weights) if target.weights else None,
            model=target.model,
            bytes=self.entry.measured if self.is_process else self.use.bytes,
            running=self.use.running,
            used_at=self.use.used_at,
        )


def _of_pictures_or_sounds(target: Target, use: folders.Use, device: str, precision: str) -> Held:
    """Return the process of such a model; what was trained on it is merged into it there.

    Raises:
        CheckpointSilent: the target is a checkpoint of a run that has no result.
    """
    if target.checkpoint is not None and not _has_result(target):
        raise CheckpointSilent(target.name, use.does)
    return Held(
        target.base,
        device,
        precision if use.kind in IN_FEW_BITS else "fp32",
        engine="predictor",
        merged=target.adapter,
        checkpoint=target.checkpoint,
        sees=target.sees,
        stamp=stamp_of(target.base, target.adapter),
    )


def _beside_its_result(target: Target) -> Target:
    """Return a checkpoint with the result of its run, which says what the model is; other targets are as they are."""
    if target.checkpoint is None or not _has_result(target):
        return target
    result = _result_of(target)
    return replace(target, base=result) if target.whole else replace(target, adapter=result)


def _has_result(target: Target) -> bool:
    """Whether the run of a checkpoint, or one that resumed it, came to a result."""
    return (folders.is_model if target.whole else folders.is_adapter)(_result_of(target))


def _result_of(target: Target) -> Path:
    assert target.checkpoint is not None
    return target.result or RunFolder(target.checkpoint.parents[1]).artifacts_dir


def _base_of(entry: Entry) -> Target:
    """Return the base that nobody has asked by itself, as its adapters say whose it is."""
    use = next(iter(entry.uses.values()))
    return Target(entry.held.base.name, use.target.base_org, entry.held.base)


class _Engine:
    """A process, for one target."""

    def __init__(self, process: Process, target: Target) -> None:
        self._process = process
        self._target = target

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole answer."""
        sent = self._process.body(self._target, _unstreamed(body))
        return self._process.wire.ask("POST", path, sent, self._process.restored(self._target))

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the chunks of an answer."""
        sent = self._process.body(self._target, {**body, "stream": True})
        return self._process.wire.stream(path, sent, self._process.restored(self._target))


class _AsyncEngine:
    """The same for coroutines."""

    def __init__(self, process: Process, target: Target) -> None:
        self._process = process
        self._target = target

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole answer."""
        sent = self._process.body(self._target, _unstreamed(body))
        return await self._process.wire.ask_async("POST", path, sent, self._process.restored(self._target))

    async def stream(self, path: str, body: Mapping[str, Any]) -> Chunks:
        """Return the chunks of an answer once it has begun."""
        sent = self._process.body(self._target, {**body, "stream": True})
        async with AsyncExitStack() as stack:
            wire = self._process.wire
            chunks = await stack.enter_async_context(
                wire.stream_async(path, sent, self._process.restored(self._target))
            )
            return _Chunks(chunks, stack.pop_all())


def _unstreamed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the word for a stream, which embeddings do not know; options of one are the engine's to refuse."""
    return {name: value for name, value in body.items() if name != "stream"}


class _Chunks:
    """Chunks, and what is to be let go of after them."""

    def __init__(self, chunks: AsyncIterator[dict[str, Any]] | Chunks, after: AsyncExitStack) -> None:
        self._chunks = chunks
        self._after = after

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            return await self._chunks.__anext__()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Hang up."""
        await self._after.aclose()
