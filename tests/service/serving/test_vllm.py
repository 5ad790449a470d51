"""vLLM as the process that holds a base, by its documented interface (``tests/scripted_vllm.py``)."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import scripted_vllm
from bare_models import make_adapter
from fleet import until
from tunesmith.service.serving.pool import CHAT, ServingPool
from tunesmith.service.serving.targets import Target
from tunesmith.settings import Settings
from tunesmith.spec.errors import AdapterNotLive, ModelGone, PackageMissing, Relayed, RunCrashed

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of the name `vllm` on the path."""
    script = tmp_path / "bin" / "vllm"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {scripted_vllm.__file__} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[ServingPool]:
    settings = Settings(home=tmp_path / "home", engine="vllm", vllm_max_rank=32, serve_rows=5)
    made = ServingPool(settings, device="cpu", precision="bf16")
    yield made
    made.close()


def ask(pool: ServingPool, target: Target) -> dict[str, Any]:
    with pool.opened(target) as engine:
        return engine.ask(CHAT, HELLO)


def sent(answer: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(answer["system_fingerprint"])
    return told


pytestmark = pytest.mark.usefixtures("vllm")


def test_base_and_adapters_answer_under_the_names_by_which_they_were_asked(
    pool: ServingPool, base: Path, tmp_path: Path
) -> None:
    for adapter in (make_adapter(tmp_path / name, base) for name in ("red", "green")):
        answer = ask(pool, Target(f"acme/{adapter.name}", "acme", base, adapter=adapter))
        assert (answer["model"], answer["choices"][0]["message"]["content"]) == (f"acme/{adapter.name}", adapter.name)
    assert ask(pool, Target("one", None, base))["choices"][0]["message"]["content"] == "base"
    with pool.opened(Target("one", None, base)) as engine:
        chunks = list(engine.stream(CHAT, HELLO))
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == "base"
    assert {chunk["model"] for chunk in chunks} == {"one"}
    assert {(row.name, row.bytes > 0) for row in pool.loaded()} == {
        ("acme/red", True),
        ("acme/green", True),
        ("one", True),
    }


def test_it_listens_on_loopback_and_the_settings_reach_it(pool: ServingPool, base: Path) -> None:
    arguments = sent(ask(pool, Target("one", None, base)))["arguments"]
    assert arguments[:3] == ["serve", str(base), "--enable-lora"]
    given = dict(zip(arguments[3::2], arguments[4::2], strict=True))
    del given["--port"]
    assert given == {
        "--host": "127.0.0.1", "--served-model-name": "base", "--dtype": "bfloat16", "--max-num-seqs": "5",
        "--max-loras": "5", "--max-lora-rank": "32",
    }  # fmt: skip


def test_no_organisation_shares_prefixes_with_another(pool: ServingPool, base: Path) -> None:
    salts = [sent(ask(pool, Target("one", org, base)))["cache_salt"] for org in ("acme", "other", None, "acme")]
    assert salts[0] == salts[3] and len(set(salts)) == 3 and all(salts)


def test_a_salt_that_a_client_sends_is_not_the_one_that_counts(pool: ServingPool, base: Path) -> None:
    with pool.opened(Target("one", "acme", base)) as engine:
        own, told = (sent(engine.ask(CHAT, {**HELLO, **more}))["cache_salt"] for more in ({}, {"cache_salt": "other"}))
    assert own == told


def test_an_adapter_that_changes_nothing_is_an_error_unless_it_is_untrained(
    pool: ServingPool, base: Path, tmp_path: Path
) -> None:
    dead = make_adapter(tmp_path / "dead", base)
    (dead / "dead").touch()
    with pytest.raises(AdapterNotLive, match="dead"):
        ask(pool, Target("dead", None, base, adapter=dead))
    fresh = make_adapter(tmp_path / "fresh", base, trained=False)
    (fresh / "dead").touch()
    assert ask(pool, Target("fresh", None, base, adapter=fresh))["model"] == "fresh"


def test_an_adapter_that_it_refuses_keeps_its_words(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "wide", base)
    (adapter / "refused").touch()
    with pytest.raises(Relayed, match="max_lora_rank 64") as raised:
        ask(pool, Target("wide", None, base, adapter=adapter))
    assert raised.value.status == 400


def test_an_adapter_is_dropped_and_loaded_again(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    target = Target("red", None, base, adapter=make_adapter(tmp_path / "red", base))
    ask(pool, target)
    assert pool.unload(target)
    assert [row.name for row in pool.loaded()] == ["one"]
    assert ask(pool, target)["model"] == "red"


def test_one_that_dies_is_started_again(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    target = Target("red", None, base, adapter=make_adapter(tmp_path / "red", base))
    with pool.opened(target) as engine:
        for child in psutil.Process().children(recursive=True):
            if "scripted_vllm.py" in " ".join(child.cmdline()):
                child.kill()
        until(lambda: not pool.loaded(), "it is gone")
        with pytest.raises(ModelGone):
            engine.ask(CHAT, HELLO)
    assert ask(pool, target)["model"] == "red"


def test_one_that_cannot_start_leaves_a_log_and_says_so(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    (base / "broken").touch()
    with pytest.raises(RunCrashed) as raised:
        ask(pool, Target("one", None, base))
    [log] = (tmp_path / "home" / "serving").glob("vllm-*.log")
    assert log.name in raised.value.message and "not supported" in log.read_text()


def test_the_end_of_the_pool_ends_it(pool: ServingPool, base: Path, tmp_path: Path) -> None:
    ask(pool, Target("one", None, base))
    children = [child for child in psutil.Process().children(recursive=True) if "vllm" in " ".join(child.cmdline())]
    assert len(children) == 2
    pool.close()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert list((tmp_path / "home" / "serving").glob("*.log")) == []


def test_without_vllm_the_sentence_names_the_extra(
    pool: ServingPool, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PackageMissing, match=r"tunesmith\[vllm\]"):
        ask(pool, Target("one", None, base))
