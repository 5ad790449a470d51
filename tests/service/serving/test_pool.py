"""Processes that hold models: started when somebody asks, shared by adapters, ended when memory is short."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from bare_models import make_adapter, make_base
from fleet import until
from tunesmith.runs.folder import RunFolder, run_folders
from tunesmith.runs.handle import handle_of
from tunesmith.runs.liveness import is_alive
from tunesmith.service.serving.pool import CHAT, COMPLETIONS, ServingPool
from tunesmith.service.serving.targets import NOBODYS, Target
from tunesmith.settings import Settings
from tunesmith.spec.errors import (
    AdapterTooLarge,
    CheckpointSilent,
    ModelGone,
    ModelTooLarge,
    NoMemoryYet,
    Relayed,
    ServerBusy,
)

Pools = Callable[..., ServingPool]
ENDLESS: dict[str, Any] = {"messages": [{"role": "user", "content": "for ever"}]}
ONE = 0.55
"""GB that one large process of these tests fits in, and no second one beside it."""
TWO = 1.0
"""GB that two fit in, which take 0.35 each when they are loaded, and no third one."""


def turns(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def said(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def ask(pool: ServingPool, target: Target, text: str = "hi") -> str:
    with pool.opened(target) as engine:
        return said(engine.ask(CHAT, turns(text)))


def ask_again(pool: ServingPool, wanted: Target) -> str:
    """Ask after a death; who asks before the process has ended wholly is told so once more."""
    with suppress(ModelGone):
        return ask(pool, wanted)
    time.sleep(0.2)
    return ask(pool, wanted)


def unless_busy(pool: ServingPool, wanted: Target) -> str | None:
    """Ask; None while the process has not yet seen that an answer was left."""
    with suppress(ServerBusy):
        return ask(pool, wanted)
    return None


def target(base: Path, adapter: Path | None = None, *, org: str | None = None, **facts: Any) -> Target:
    return Target((adapter or base).name, org, base, adapter=adapter, **facts)


def runs(pool_home: Path) -> list[RunFolder]:
    return run_folders(pool_home / "home" / "runs")


def worker_of(run: RunFolder) -> psutil.Process:
    handle = handle_of(run)
    assert handle is not None
    return psutil.Process(handle.worker.pid)


def large(folder: Path) -> Target:
    """Have a base that takes more than 100 MB."""
    if not folder.exists():
        make_base(folder)
    (folder / "large").touch()
    return target(folder)


@contextmanager
def answering(pool: ServingPool, wanted: Target) -> Iterator[None]:
    """Have an answer written that does not end by itself."""
    with pool.opened(wanted) as engine, closing(engine.stream(CHAT, ENDLESS)) as chunks:  # type: ignore[type-var]
        next(chunks)
        yield


def test_adapters_share_the_process_of_their_base_and_each_answers_for_itself(
    pool: ServingPool, base: Path, tmp_path: Path
) -> None:
    adapters = [make_adapter(tmp_path / name, base) for name in ("red", "green", "blue")]
    assert [ask(pool, target(base, adapter)) for adapter in (*adapters, None)] == [
        "red: hi", "green: hi", "blue: hi", "base: hi",
    ]  # fmt: skip
    assert len(runs(tmp_path)) == 1
    assert ask(pool, target(make_base(tmp_path / "two"))) == "base: hi"
    assert len(runs(tmp_path)) == 2


def test_an_answer_names_the_model_as_it_was_asked(pool: ServingPool, base: Path) -> None:
    with pool.opened(Target("acme/support", "acme", base)) as engine:
        assert engine.ask(COMPLETIONS, {"model": "what the client wrote", "prompt": "x"})["model"] == "acme/support"


def test_threads_and_coroutines_hear_the_same_piece_by_piece(pool: ServingPool, base: Path) -> None:
    def text(chunks: list[dict[str, Any]]) -> str:
        return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])

    async def heard() -> list[dict[str, Any]]:
        chunks = await pool.stream(target(base), CHAT, turns("hello"))
        async with aclosing(chunks):  # type: ignore[type-var]
            return [chunk async for chunk in chunks]

    async def whole() -> dict[str, Any]:
        return await pool.ask(target(base), CHAT, turns("hello"))

    with pool.opened(target(base)) as engine:
        assert text(list(engine.stream(CHAT, turns("hello")))) == "base: hello"
    assert text(asyncio.run(heard())) == "base: hello"
    assert said(asyncio.run(whole())) == "base: hello"


def test_a_request_that_is_refused_keeps_its_words_code_and_status(pool: ServingPool, base: Path) -> None:
    async def streamed() -> None:
        await pool.stream(target(base), CHAT, {**turns("x"), "temprature": 1})

    with pool.opened(target(base)) as engine, pytest.raises(Relayed, match="temprature") as raised:
        engine.ask(CHAT, {**turns("x"), "temprature": 1})
    assert (raised.value.status, raised.value.code) == (422, "unknown_key")
    with pytest.raises(Relayed, match="temprature"):
        asyncio.run(streamed())
    assert pool.loaded()[0].running == 0


def test_settings_reach_the_process(pools: Pools, base: Path, tmp_path: Path) -> None:
    pool = pools(serve_rows=3, serve_waiting=5, serve_adapters_gb=1.5)
    ask(pool, target(base))
    request = runs(tmp_path)[0].header().request
    assert request is not None
    assert (request["rows"], request["waiting"], request["adapter_bytes"]) == (3, 5, 1_500_000_000)


def test_more_than_may_wait_are_refused_and_told_when_to_come_again(pools: Pools, base: Path) -> None:
    pool = pools(serve_rows=1, serve_waiting=0)
    with answering(pool, target(base)), pool.opened(target(base)) as engine:
        with pytest.raises(ServerBusy, match="Try again in 3 seconds") as raised:
            engine.ask(CHAT, turns("x"))
        assert raised.value.wait == 3.0
    assert until(lambda: unless_busy(pool, target(base)), "the answer that was left has ended") == "base: hi"


def test_more_than_may_wait_for_a_model_that_loads_are_refused(pools: Pools, base: Path) -> None:
    (base / "slow").touch()
    pool = pools(serve_rows=1, serve_waiting=1)
    threads = [threading.Thread(target=ask, args=(pool, target(base))) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: sum(entry.users for entry in pool._shelf.entries()) == 2, "both wait")
    with pytest.raises(ServerBusy), pool.opened(target(base)):
        pass
    (base / "go").touch()
    for thread in threads:
        thread.join()
    assert ask(pool, target(base)) == "base: hi"


def test_whoever_leaves_ends_the_answer_and_lets_go_of_the_model(pool: ServingPool, base: Path) -> None:
    async def hear_a_little() -> None:
        chunks = await pool.stream(target(base), CHAT, ENDLESS)
        await anext(chunks)
        assert pool.loaded()[0].running == 1
        await chunks.aclose()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.ask(target(base), CHAT, ENDLESS), 0.2)

    for leaving in (hear_a_little, give_up):
        asyncio.run(leaving())
        assert pool.loaded()[0].running == 0
        until(lambda: pool.figures()["running"] == 0, "the computation has ended", 1.0)


def test_whoever_leaves_while_the_model_loads_is_forgotten(pool: ServingPool, base: Path) -> None:
    (base / "slow").touch()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.ask(target(base), CHAT, turns("x")), 0.05)

    asyncio.run(give_up())
    (base / "go").touch()
    until(pool.loaded, "the model is there for the next one")
    assert pool._shelf.entries()[0].users == 0


def test_a_process_that_is_killed_says_so_and_the_next_request_has_another(
    pool: ServingPool, base: Path, tmp_path: Path
) -> None:
    async def hear() -> None:
        chunks = await pool.stream(target(base), CHAT, ENDLESS)
        await anext(chunks)
        worker_of(runs(tmp_path)[0]).kill()
        async for _ in chunks:
            pass

    with pytest.raises(ModelGone, match="Ask again") as raised:
        asyncio.run(hear())
    assert raised.value.status == 503
    assert ask_again(pool, target(base)) == "base: hi"
    assert pool.figures()["died"] == 1
    with pool.opened(target(base)) as engine, pytest.raises(ModelGone):
        chunks = engine.stream(CHAT, ENDLESS)
        next(chunks)
        worker_of(runs(tmp_path)[0]).kill()
        list(chunks)
    assert ask_again(pool, target(base)) == "base: hi"


def test_a_model_that_cannot_be_loaded_says_why_and_is_not_tried_again_at_once(
    pool: ServingPool, base: Path, tmp_path: Path
) -> None:
    (base / "broken").touch()
    for _ in range(3):
        with pytest.raises(Relayed, match="it is broken") as raised:
            ask(pool, target(base))
        assert raised.value.status == 422
    assert len(runs(tmp_path)) == 0
    assert pool.figures()["started"] == 0


def test_a_process_that_dies_while_it_loads_is_explained(pool: ServingPool, base: Path) -> None:
    (base / "mute").touch()
    with pytest.raises(ModelGone, match=r"while it loaded the model \(killed, most likely out of memory\)") as raised:
        ask(pool, target(base))
    assert raised.value.status == 503


def test_what_is_trained_anew_into_a_folder_is_another_model(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    ask(pool, target(base))
    os.utime(base / "model.safetensors", (1, 1))
    os.utime(base / "config.json", (1, 1))
    ask(pool, target(base))
    assert len(runs(tmp_path)) == 2


def test_an_adapter_that_cannot_share_a_batch_gets_a_process_of_its_own(
    pool: ServingPool, base: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(tmp_path / "dora", base)
    (adapter / "not-per-row").touch()
    for _ in range(2):
        assert ask(pool, target(base, adapter)) == "dora: hi"
    assert ask(pool, target(base)) == "base: hi"
    requests = [run.header().request for run in runs(tmp_path)]
    assert sorted(str(request["merge"]) for request in requests if request) == sorted(["None", str(adapter)])
    assert {(row.name, row.adapter) for row in pool.loaded()} == {("dora", str(adapter)), ("one", None)}


def test_a_checkpoint_of_all_weights_has_a_process_of_its_own(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    saved = tmp_path / "checkpoint-20"
    saved.mkdir()
    assert ask(pool, Target("ft:x", "acme", base, checkpoint=saved, whole=True)) == "checkpoint-20: hi"
    assert ask(pool, target(base)) == "base: hi"
    assert len(runs(tmp_path)) == 2


def test_a_checkpoint_of_an_adapter_answers_beside_the_others(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    saved = tmp_path / "checkpoint-20"
    saved.mkdir()
    assert ask(pool, Target("ft:x", "acme", base, checkpoint=saved)) == "checkpoint-20: hi"
    assert ask(pool, target(base)) == "base: hi"
    assert len(runs(tmp_path)) == 1


def test_an_adapter_that_is_too_large_is_refused(pools: Pools, base: Path, tmp_path: Path) -> None:
    pool = pools(max_adapter_mb=0.0001)
    with pytest.raises(AdapterTooLarge, match="MB"):
        ask(pool, target(base, make_adapter(tmp_path / "red", base)))
    assert ask(pool, target(base)) == "base: hi"


def test_the_least_recently_used_model_leaves_when_memory_is_short(pools: Pools, tmp_path: Path) -> None:
    pool = pools(serve_memory_gb=TWO)
    first, second, third = (large(tmp_path / name) for name in ("one", "two", "three"))
    ask(pool, first)
    ask(pool, second)
    ask(pool, first)
    assert pool.figures()["evicted"] == 0
    ask(pool, third)
    assert {row.name for row in pool.loaded()} == {"one", "three"}
    assert pool.figures()["evicted"] == 1


def test_a_model_that_answers_is_not_ended_for_another(pools: Pools, base: Path, tmp_path: Path) -> None:
    pool, other = pools(serve_memory_gb=ONE, serve_wait_seconds=0.3), large(tmp_path / "two")
    with pool.opened(large(base)) as engine:
        chunks = engine.stream(CHAT, ENDLESS)
        next(chunks)
        with pytest.raises(NoMemoryYet) as raised:
            ask(pool, other)
        assert (raised.value.status, raised.value.wait) == (429, 5.0)
        assert next(chunks)["choices"]
        chunks.close()  # type: ignore[attr-defined]
    assert ask(pool, other) == "base: hi"


def test_a_model_that_waits_gets_the_memory_that_comes_free(pools: Pools, base: Path, tmp_path: Path) -> None:
    pool, heard = pools(serve_memory_gb=ONE), []
    other = large(tmp_path / "two")
    with answering(pool, large(base)):
        thread = threading.Thread(target=lambda: heard.append(ask(pool, other)))
        thread.start()
        until(lambda: len(pool._shelf.entries()) == 2, "the other one waits")
    thread.join()
    assert heard == ["base: hi"]


def test_a_model_that_is_always_busy_lets_another_in(
    pools: Pools, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.service.serving.shelf.PATIENCE", 0.0)
    pool, busy, other = pools(serve_memory_gb=ONE), large(base), large(tmp_path / "two")
    over, heard, asked = threading.Event(), [], []

    def keep_busy() -> None:
        while not over.is_set():
            asked.append(ask(pool, busy))

    threads = [threading.Thread(target=keep_busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(asked) > 3, "it is busy")
    waiting = threading.Thread(target=lambda: heard.append(ask(pool, other)))
    waiting.start()
    waiting.join(60)
    over.set()
    for thread in threads:
        thread.join()
    assert heard == ["base: hi"]
    assert set(asked) == {"base: hi"}


def test_a_model_that_is_larger_than_the_memory_for_models_is_refused(pools: Pools, base: Path) -> None:
    with pytest.raises(ModelTooLarge, match="TUNESMITH_SERVE_MEMORY_GB"):
        ask(pools(serve_memory_gb=0.01), target(base))


def test_another_server_of_the_machine_gives_way(pools: Pools, base: Path, tmp_path: Path) -> None:
    ours, theirs = pools(serve_memory_gb=ONE), pools(serve_memory_gb=ONE)
    ask(theirs, large(base))
    assert ask(ours, large(tmp_path / "two")) == "base: hi"
    assert theirs.loaded() == []
    assert theirs.figures()["evicted"] == 1


def test_a_model_that_nobody_asks_leaves(pools: Pools, base: Path) -> None:
    pool = pools(serve_idle_minutes=1e-6)
    with answering(pool, target(base)):
        pool.look()
        assert len(pool.loaded()) == 1
    until(lambda: pool.look() or not pool.loaded(), "it has left")
    assert pool.figures()["idle"] == 1


def test_what_is_loaded_says_whose_it_is_and_how_large(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "red", base)
    loaded = pool.load(target(base, adapter, org="acme", model="model-1", base_org="acme"))
    assert (loaded.name, loaded.org, loaded.model, loaded.bytes) == ("red", "acme", "model-1", 1234)
    [own] = [row for row in pool.loaded() if row.adapter is None]
    [run] = runs(tmp_path)
    assert (own.name, own.org) == ("one", "acme")
    assert own.bytes == pytest.approx(worker_of(run).memory_info().rss, rel=0.5)


def test_unloading_takes_an_adapter_and_leaves_its_base(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    red = target(base, make_adapter(tmp_path / "red", base))
    assert pool.unload(red) is False
    ask(pool, red)
    assert pool.unload(red) is True
    assert [row.adapter for row in pool.loaded()] == [None]
    assert ask(pool, red) == "red: hi"
    with answering(pool, red):
        assert pool.unload(red) is False
        assert pool.unload(target(base)) is False
    assert pool.unload(target(base)) is True
    assert pool.loaded() == []


def test_an_organisation_clears_its_own(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    for org in ("acme", "other"):
        ask(pool, target(base, make_adapter(tmp_path / org, base), org=org))
    assert pool.clear("acme") == 1
    assert {row.name for row in pool.loaded()} == {"one", "other"}
    assert pool.clear() == 2
    assert pool.loaded() == []


def test_a_folder_that_the_operator_asked_is_its_owners_as_soon_as_they_ask_it(
    pool: ServingPool, base: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(tmp_path / "red", base)
    ask(pool, target(base, adapter, org=NOBODYS))
    assert {(row.name, row.org) for row in pool.loaded()} == {("red", NOBODYS), ("one", None)}
    ask(pool, Target("acme/red", "acme", base, adapter=adapter))
    assert {(row.name, row.org) for row in pool.loaded()} == {("acme/red", "acme"), ("one", None)}


def test_loading_ahead_by_a_coroutine_says_what_is_loaded(pool: ServingPool, base: Path) -> None:
    assert asyncio.run(pool.load_async(target(base))).name == "one"


def test_figures_count_what_there_is(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    ask(pool, target(base, make_adapter(tmp_path / "red", base)))
    with answering(pool, target(base)):
        figures = pool.figures()
    assert figures["tokens"] > len("red: hi")
    assert {name: figures[name] for name in ("processes", "adapters", "running", "started", "died")} == {
        "processes": 1, "adapters": 1, "running": 1, "started": 1, "died": 0,
    }  # fmt: skip
    assert figures["memory_bytes"] > 10_000_000


def test_the_end_of_a_pool_ends_its_processes_and_leaves_nothing(pools: Pools, base: Path, tmp_path: Path) -> None:
    pool = pools()
    ask(pool, target(base))
    [run] = runs(tmp_path)
    handle = handle_of(run)
    pool.close()
    assert handle is not None and not is_alive(handle.worker)
    assert runs(tmp_path) == []
    assert list((tmp_path / "home" / "serving").glob("*.json")) == []
    with pytest.raises(ModelGone):
        ask(pool, target(base))


def test_a_pool_chooses_device_and_precision_for_the_machine(base: Path, tmp_path: Path) -> None:
    held = ServingPool(Settings(home=tmp_path / "home"))._held(target(base))
    assert held.device in ("cpu", "cuda") and held.precision in ("fp32", "bf16")


def looks_like_vit(folder: Path) -> Path:
    base = make_base(folder)
    (base / "config.json").write_text('{"model_type": "vit", "architectures": ["ViTForImageClassification"]}')
    return base


def test_what_was_trained_on_a_model_of_pictures_has_a_process_of_its_own(pool: ServingPool, tmp_path: Path) -> None:
    base = looks_like_vit(tmp_path / "vit")
    first, second = (make_adapter(tmp_path / name, base) for name in ("first", "second"))
    held = [pool._held(target(base, each)) for each in (None, first, second)]
    assert [each.merged for each in held] == [None, first, second]
    assert {each.engine for each in held} == {"predictor"} and len(set(held)) == 3


def test_a_checkpoint_of_pictures_without_a_result_does_not_answer(pool: ServingPool, tmp_path: Path) -> None:
    base = looks_like_vit(tmp_path / "vit")
    with pytest.raises(CheckpointSilent, match="result of its run"), pool.opened(target(base, checkpoint=tmp_path)):
        pass


def test_a_checkpoint_of_a_model_of_pictures_is_held_beside_the_result_of_its_run(
    pool: ServingPool, tmp_path: Path
) -> None:
    base = looks_like_vit(tmp_path / "vit")
    saved = tmp_path / "runs" / "a" / "checkpoints" / "checkpoint-2"
    adapter = make_adapter(tmp_path / "runs" / "a" / "artifacts", base)
    held = pool._held(target(base, checkpoint=saved))
    assert (held.engine, held.base, held.merged, held.checkpoint) == ("predictor", base, adapter, saved)
    whole = looks_like_vit(tmp_path / "runs" / "b" / "artifacts")
    resumed = target(base, checkpoint=tmp_path / "runs" / "c" / "checkpoints" / "checkpoint-2", result=adapter)
    assert pool._held(resumed).merged == adapter
    saved = tmp_path / "runs" / "b" / "checkpoints" / "checkpoint-2"
    held = pool._held(target(base, checkpoint=saved, whole=True))
    assert (held.engine, held.base, held.merged, held.checkpoint) == ("predictor", whole, None, saved)
