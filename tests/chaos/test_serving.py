"""A thousand requests of two organisations to eight adapters, many given up; the model is killed on the way.

``CHAOS_REQUESTS`` and ``CHAOS_SEED`` change how many and when.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from fleet import until
from made_models import MEMBERS, Made
from tiny import make_tiny_model
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.runs.folder import run_folders
from tunesmith.runs.handle import handle_of
from tunesmith.runs.liveness import is_alive
from tunesmith.service.accounts import organisations
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service, open_service
from tunesmith.service.serving.pool import CHAT, ServingPool
from tunesmith.service.serving.targets import find_target
from tunesmith.settings import Settings
from tunesmith.spec.errors import ModelGone, NotFound
from tunesmith.spec.examples import Message

pytestmark = pytest.mark.chaos

REQUESTS = int(os.environ.get("CHAOS_REQUESTS", "1000"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
AT_ONCE = 24
ADAPTERS = {org: [f"{org}-{number}" for number in range(4)] for org in MEMBERS}
PROMPTS = [
    "Hello", "What are your opening hours?", "Where are you?", "x" * 200, "Grüße", "1 + 1", "a b c d e f", "Why?",
    "Tell me of the sea.", "z", "One, two, three", "y" * 90,
]  # fmt: skip
TOKENS = 16
CLEAR = 1e-3
"""Distance of the likeliest token's logit from the next one's that batches of different sizes do not change."""
BASE = "tiny"
Expected = dict[tuple[str, str], str]
"""What each model says to each prompt, by itself."""


def turns(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": TOKENS}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = open_service(Settings(home=tmp_path / "home"))
    # The number format of the models that its answers are compared with, whatever this processor is quickest with.
    vars(opened)["serving"] = ServingPool(opened.settings, device="cpu", precision="fp32")
    for org in MEMBERS:
        organisations.create(opened, OPERATOR, org)
    yield opened
    opened.close()


@pytest.fixture
def expected(service: Service) -> Expected:
    """Eight adapters of two organisations on one base, and what transformers and PEFT say with each alone."""
    base = make_tiny_model(service.settings.models_dir / BASE)
    said: Expected = {}
    for number, (org, name) in enumerate((org, name) for org, names in ADAPTERS.items() for name in names):
        made = Made(service, org, base)
        made.makes(name, files=lambda folder, number=number: trained_adapter(base, folder, number))
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(made.run.artifacts_dir))
        said |= spoken(model, base, name)
    said |= spoken(AutoModelForCausalLM.from_pretrained(base), base, BASE)
    for one, other in itertools.combinations(sorted({name for name, _ in said}), 2):
        both = [prompt for prompt in PROMPTS if (one, prompt) in said and (other, prompt) in said]
        assert any(said[one, prompt] != said[other, prompt] for prompt in both), (one, other)
    return said


def trained_adapter(base: Path, folder: Path, number: int) -> None:
    torch.manual_seed(number)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "up_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.5)
    model.save_pretrained(str(folder))


def spoken(model: Any, base: Path, name: str) -> Expected:
    """Return what a model says to each prompt at which no two tokens are so near that rounding decides."""
    decode, said = Tokenizer.from_file(str(base / "tokenizer.json")).decode, {}
    for prompt in PROMPTS:
        ids = TextEncoder(base).prompt((Message(role="user", content=prompt),))
        with torch.no_grad():
            written = model.generate(
                input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=TOKENS,
                do_sample=False, output_logits=True, return_dict_in_generate=True,
            )  # fmt: skip
        first, second = torch.cat(written.logits).topk(2).values.T
        if (first - second).min() > CLEAR:
            said[name, prompt] = decode(written.sequences[0, len(ids) :].tolist())
    assert len(said) > len(PROMPTS) / 2
    return said


class Storm:
    """Clients that ask, wait, leave, and look at what they got."""

    def __init__(self, service: Service, expected: Expected) -> None:
        self.service, self.expected = service, expected
        self.moments = random.Random(SEED)
        self.ends: Counter[str] = Counter()
        self.left = 0

    @property
    def answered(self) -> int:
        """Requests that were answered in full."""
        return self.ends["whole"] + self.ends["stream"]

    async def rage(self, requests: int) -> None:
        self.left = requests
        await asyncio.gather(*(self.client() for _ in range(AT_ONCE)))

    async def client(self) -> None:
        while self.left > 0:
            self.left -= 1
            try:
                self.ends[await self.request()] += 1
            except ModelGone:
                self.ends["gone"] += 1

    async def request(self) -> str:
        """Ask one model of one organisation one thing, in one of the ways in which clients do."""
        org = self.moments.choice(list(ADAPTERS))
        name = self.moments.choice([*ADAPTERS[org], BASE])
        prompt = self.moments.choice([prompt for known, prompt in self.expected if known == name])
        foreign = self.moments.choice([name for other, names in ADAPTERS.items() if other != org for name in names])
        with pytest.raises(NotFound):
            find_target(self.service, MEMBERS[org], foreign)
        target = find_target(self.service, MEMBERS[org], name)
        assert target.org == (None if name == BASE else org)
        way = self.moments.choice(["whole", "stream", "stream", "give up", "leave"])
        if way == "whole":
            answer = await self.service.serving.ask(target, CHAT, turns(prompt))
            assert answer["model"] == name
            self.check(name, prompt, answer["choices"][0]["message"]["content"])
        elif way == "give up":
            with suppress(TimeoutError):
                seconds = self.moments.uniform(0, 0.3)
                await asyncio.wait_for(self.service.serving.ask(target, CHAT, turns(prompt)), seconds)
        else:
            await self.stream(target, name, prompt, most=self.moments.randrange(TOKENS) if way == "leave" else None)
        return way

    async def stream(self, target: Any, name: str, prompt: str, most: int | None) -> None:
        chunks, text = await self.service.serving.stream(target, CHAT, turns(prompt)), ""
        try:
            count = 0
            async for chunk in chunks:
                assert chunk["model"] == name
                text += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
                count += 1
                if count == most:
                    assert self.expected[name, prompt].startswith(text.rstrip("\ufffd"))
                    return
            self.check(name, prompt, text)
        finally:
            await chunks.aclose()

    def check(self, name: str, prompt: str, text: str) -> None:
        assert text == self.expected[name, prompt], (name, prompt)


def worker(service: Service) -> psutil.Process:
    """Return the process that holds the model now."""
    handles = [handle_of(run) for run in run_folders(service.settings.runs_dir) if run.header().kind == "serve"]
    [found] = [handle.worker.pid for handle in handles if handle is not None and is_alive(handle.worker)]
    return psutil.Process(found)


def level(process: psutil.Process) -> dict[str, int]:
    return {"memory": process.memory_info().rss, "files": process.num_fds(), "threads": process.num_threads()}


def test_every_answer_is_that_of_its_adapter_whatever_happens(service: Service, expected: Expected) -> None:
    print(f"CHAOS_SEED={SEED}")
    storm = Storm(service, expected)

    async def all_of_it() -> None:
        for _ in range(2):
            raging = asyncio.create_task(storm.rage(REQUESTS // 5))
            answered = storm.answered + storm.moments.randrange(REQUESTS // 20)
            while storm.answered <= answered:
                await asyncio.sleep(0.01)
            worker(service).kill()
            await raging
        await storm.rage(REQUESTS // 5)
        before = level(worker(service)), level(psutil.Process())
        await storm.rage(REQUESTS - 3 * (REQUESTS // 5))
        until(lambda: service.serving.figures()["running"] == 0, "nothing is computed any more", 1.0)
        after = level(worker(service)), level(psutil.Process())
        for then, now in zip(before, after, strict=True):
            assert now["memory"] < then["memory"] * 1.1, (before, after)
            assert now["files"] <= then["files"] + 2 and now["threads"] <= then["threads"] + 2, (before, after)

    asyncio.run(all_of_it())
    print(dict(storm.ends), service.serving.figures())
    figures = service.serving.figures()
    assert storm.ends.total() == REQUESTS
    assert (figures["died"], figures["started"]) == (2, 3)
    assert 2 <= storm.ends["gone"] <= 2 * AT_ONCE
    assert {row.org for row in service.serving.loaded()} == {None, *ADAPTERS}
    assert service.serving.clear("acme") == len(ADAPTERS["acme"])
    assert {row.org for row in service.serving.loaded()} == {None, "other"}
