"""A serve run: what it answers with, and when it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tunesmith.spec.sampling import Sampling
from tunesmith.runs.control import ask
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import Header, RunFolder
from tunesmith.runs.liveness import process
from tunesmith.service.serving.client import Connection
from tunesmith.spec.errors import Cancelled
from tunesmith.spec.events import Finished, Serving
from tunesmith.spec.examples import Message
from tunesmith.spec.states import Request as Asked
from tunesmith.worker.completions import Request
from tunesmith.worker.reporting import Reporter
from tunesmith.worker.serve import load_engine
from tunesmith.worker.serve import run as serve

WAIT = 20.0


def request_for(model: Path, adapter: Path | None = None) -> dict[str, str | None]:
    return {"model": str(model), "adapter": adapter and str(adapter), "device": "cpu", "precision": "fp32"}


@pytest.fixture
def serving(tiny_model: Path, tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, kind="serve", name="tiny", request=request_for(tiny_model))


def test_ends_when_the_process_that_made_it_is_gone(serving: RunFolder) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = process(child.pid)
    child.communicate(b"\n")
    header: Header = serving.header().model_copy(update={"creator": gone})
    (serving.path / "run.json").write_text(header.model_dump_json())
    serve(serving, Reporter(serving))
    told = [event.body for event in read(serving.events, 0)[0]]
    assert isinstance(told[-1], Finished)
    [socket] = [Path(body.socket) for body in told if isinstance(body, Serving)]
    assert not socket.parent.exists()


class Ear(Reporter):
    """Tells when the run serves."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__(run)
        self.serving = threading.Event()
        self.socket = ""

    def say(self, body: object) -> None:
        super().say(body)  # type: ignore[arg-type]
        if isinstance(body, Serving):
            self.socket = body.socket
            self.serving.set()


def test_ends_when_it_is_asked_to(serving: RunFolder) -> None:
    ear = Ear(serving)
    ended: list[BaseException] = []

    def work() -> None:
        try:
            serve(serving, ear)
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert ear.serving.wait(WAIT)
    assert len(ear.socket) < 100
    assert Path(ear.socket).parent.stat().st_mode & 0o077 == 0
    reply = Connection(Path(ear.socket)).stream({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3})
    assert "".join(reply) == reply.text
    assert reply.usage["completion_tokens"] == 3
    ask(serving, Asked.CANCEL)
    thread.join(WAIT)
    assert len(ended) == 1


def test_a_bare_text_is_continued_and_a_chat_is_rendered(tiny_model: Path) -> None:
    engine = load_engine(request_for(tiny_model))
    few = Sampling(max_tokens=2)
    bare = engine.answer(Request(chat=False, prompt="Hello", sampling=few, stream=False, with_usage=False))
    chat = engine.answer(
        Request(chat=True, prompt=(Message("user", "Hello"),), sampling=few, stream=False, with_usage=False)
    )
    assert bare.prompt_tokens == len("Hello")
    assert chat.prompt_tokens > bare.prompt_tokens


def test_an_adapter_brings_its_own_template(tiny_model: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    adapter = tmp_path / "lora"
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(target_modules=["q_proj"]))
    model.save_pretrained(adapter)
    shutil.copyfile(tiny_model / "tokenizer.json", adapter / "tokenizer.json")
    config = json.loads((tiny_model / "tokenizer_config.json").read_text())
    config["chat_template"] = "{% for m in messages %}{{ m.content + eos_token }}{% endfor %}"
    (adapter / "tokenizer_config.json").write_text(json.dumps(config))
    request = Request(
        chat=True, prompt=(Message("user", "Hello"),), sampling=Sampling(), stream=False, with_usage=False
    )
    assert load_engine(request_for(tiny_model, adapter)).answer(request).prompt_tokens == len("Hello") + 1
