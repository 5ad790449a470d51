"""Rows that share a batch write what each writes alone, and leave nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tiny import make_tiny_model
from tunesmith.generation import decoder as decoding
from tunesmith.generation.asking import Penalties
from tunesmith.generation.decoder import Ask, Decoder, Ticket
from tunesmith.generation.families import passes_for
from tunesmith.spec.errors import (
    AdapterMismatch,
    AdapterNotLive,
    AdapterNotLoaded,
    AdapterNotPerRow,
    DecodingFailed,
    LogitsNotNumbers,
    ModelGone,
    NoMemoryLeft,
    NoRoomForAdapter,
    PromptTooLong,
    ServerBusy,
    UnreadableFile,
)
from tunesmith.spec.sampling import Sampling

WRITTEN = 24


def load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture
def decoder(tiny_model: Path) -> Iterator[Decoder]:
    """A decoder of four rows."""
    made = Decoder(load(tiny_model), rows=4, waiting=16)
    yield made
    made.close()


def prompt(length: int, seed: int = 0) -> list[int]:
    return torch.randint(250, (length,), generator=torch.Generator().manual_seed(100 * seed + length)).tolist()


def ask(ids: list[int], adapter: str | None = None, count: int = WRITTEN, **more: Any) -> Ask:
    return Ask(ids, Sampling(max_tokens=count), adapter=adapter, **more)


def ids_of(ticket: Ticket) -> list[int]:
    return [token.id for token in ticket]


def test_rows_of_all_lengths_and_adapters_write_what_each_writes_alone(tiny_model, make_adapter, alone, decoder):
    adapters = {
        "small": make_adapter(tiny_model, "small", seed=1, r=2, target_modules=["q_proj", "down_proj"]),
        "large": make_adapter(tiny_model, "large", seed=2, r=16, lora_alpha=4),
        "rooted": make_adapter(tiny_model, "rooted", seed=3, r=8, use_rslora=True),
        "mixed": make_adapter(tiny_model, "mixed", seed=4, rank_pattern={"q_proj": 7}, alpha_pattern={"v_proj": 32}),
        "fifth": make_adapter(tiny_model, "fifth", seed=5, strength=0.2),
    }
    for key, folder in adapters.items():
        decoder.load_adapter(key, folder)
    lengths = (1, 40, 17, 300, 5, 9, 254, 31, 2)
    keys = (None, "small", "large", "rooted", "mixed", "small", None, "large", "fifth")
    tickets = [decoder.submit(ask(prompt(length), key)) for length, key in zip(lengths, keys, strict=True)]
    for length, key, ticket in zip(lengths, keys, tickets, strict=True):
        assert ids_of(ticket) == alone(tiny_model, prompt(length), WRITTEN, adapters.get(key or "")), (length, key)
        assert (ticket.finish_reason, ticket.prompt_tokens) == ("length", length)


@pytest.mark.parametrize(
    ("architecture", "overrides"),
    [
        ("qwen2", {}),
        ("qwen3", {}),
        ("mistral", {"sliding_window": 6}),
        ("gemma2", {"sliding_window": 6}),
        ("gemma3_text", {"sliding_window": 6}),
        ("gpt2", {}),
        ("opt", {}),
        ("phi3", {}),
        ("bloom", {}),
        ("gemma3n_text", {}),
    ],
)
def test_every_kind_of_attention_is_the_models_own(tmp_path, make_adapter, alone, architecture, overrides):
    folder = make_tiny_model(tmp_path / "model", architecture=architecture, **overrides)
    adapter = make_adapter(folder, "lora", strength=0.05)
    decoder = Decoder(load(folder))
    decoder.load_adapter("lora", adapter)
    asked = [(3, None), (30, "lora"), (11, None), (140, "lora")]
    tickets = [decoder.submit(ask(prompt(length), key, 12)) for length, key in asked]
    for (length, key), ticket in zip(asked, tickets, strict=True):
        assert ids_of(ticket) == alone(folder, prompt(length), 12, adapter if key else None), (length, key)
    decoder.close()


def test_a_row_that_joins_late_changes_nobody(tiny_model, alone, decoder):
    early = decoder.submit(ask(prompt(10), count=60))
    begun = [next(early).id for _ in range(20)]
    late = [decoder.submit(ask(prompt(length), count=10)) for length in (150, 3)]
    assert begun + ids_of(early) == alone(tiny_model, prompt(10), 60)
    assert [ids_of(ticket) for ticket in late] == [alone(tiny_model, prompt(length), 10) for length in (150, 3)]


def test_a_long_prompt_holds_nobody_up(monkeypatch, decoder):
    monkeypatch.setattr(decoding, "STRETCH", 16)
    monkeypatch.setattr(decoding, "STRETCH_ALONE", 16)
    writing = decoder.submit(ask(prompt(4), count=400))
    next(writing)
    read = decoder.submit(ask(prompt(480), count=1))
    next(read)
    steps_since = decoder.stats().tokens - 2
    assert steps_since >= 480 // 16 - 1
    writing.close()


def test_a_stop_token_ends_the_answer_and_is_its_last(tiny_model, alone, decoder):
    whole = alone(tiny_model, prompt(6), WRITTEN)
    end = whole[5]
    ticket = decoder.submit(ask(prompt(6), stop_ids=frozenset({end})))
    assert ids_of(ticket) == whole[: whole.index(end) + 1]
    assert ticket.finish_reason == "stop"


def test_probabilities_are_the_models_own(tiny_model, decoder):
    tokens = list(decoder.submit(ask(prompt(6), count=3, logprobs=4)))
    model, ids = load(tiny_model), prompt(6)
    for token in tokens:
        own = model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        values, places = own.topk(4)
        assert token.logprob == pytest.approx(float(own[token.id]), abs=1e-4)
        assert [place for place, _ in token.top] == places.tolist()
        assert [value for _, value in token.top] == pytest.approx(values.tolist(), abs=1e-4)
        ids.append(token.id)


def test_a_seed_repeats_an_answer_whoever_else_is_answered(decoder):
    drawn = Ask(prompt(6), Sampling(max_tokens=12, temperature=1.5, seed=7))
    first = ids_of(decoder.submit(drawn))
    beside = [decoder.submit(ask(prompt(20, seed), count=30)) for seed in range(3)]
    again = decoder.submit(drawn)
    assert ids_of(again) == first
    assert ids_of(decoder.submit(Ask(prompt(6), Sampling(max_tokens=12, temperature=1.5, seed=8)))) != first
    for ticket in beside:
        ticket.close()


def test_an_answer_ends_where_the_model_sees_no_further(decoder):
    ticket = decoder.submit(ask(prompt(509), count=50))
    assert len(ids_of(ticket)) == 3
    with pytest.raises(PromptTooLong, match="512"):
        decoder.submit(ask(prompt(512)))


def test_nothing_is_held_when_all_have_left(tiny_model, make_adapter, decoder):
    decoder.load_adapter("a", make_adapter(tiny_model, "a"))
    tickets = [decoder.submit(ask(prompt(20 * length + 1), "a", 200)) for length in range(8)]
    for ticket in tickets:
        ticket.close()
    last = decoder.submit(ask(prompt(3), count=1))
    ids_of(last)
    assert decoder.unload_adapter("a")
    stats = decoder.stats()
    assert (stats.running, stats.waiting, stats.cache_bytes, stats.adapter_bytes) == (0, 0, 0, 0)


def test_closing_ends_whoever_waits_for_the_next_token(decoder):
    ticket = decoder.submit(ask(prompt(4), count=500))
    ended = threading.Event()

    def read() -> None:
        ids_of(ticket)
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    ticket.close()
    assert ended.wait(10)


def test_more_than_may_wait_are_turned_away(tiny_model):
    decoder = Decoder(load(tiny_model), rows=1, waiting=2)
    running = decoder.submit(ask(prompt(4), count=500))
    next(running)
    waiting = [decoder.submit(ask(prompt(4), count=500)) for _ in range(2)]
    with pytest.raises(ServerBusy) as refused:
        decoder.submit(ask(prompt(4)))
    assert refused.value.wait > 0
    for ticket in (running, *waiting):
        ticket.close()
    decoder.close()


def test_a_trained_adapter_that_says_nothing_is_refused(tiny_model, make_adapter, decoder):
    from safetensors.torch import load_file, save_file

    folder = make_adapter(tiny_model, "dead")
    weights = load_file(folder / "adapter_model.safetensors")
    save_file(
        {name: torch.zeros_like(weight) if "lora_A" in name else weight for name, weight in weights.items()},
        folder / "adapter_model.safetensors",
    )
    with pytest.raises(AdapterNotLive, match="dead"):
        decoder.load_adapter("dead", folder)
    assert decoder.adapters() == []


def test_an_untrained_adapter_says_so_and_answers_as_the_model(tiny_model, make_adapter, alone, decoder):
    facts = decoder.load_adapter("new", make_adapter(tiny_model, "new", strength=0.0))
    assert (facts.trained, facts.difference) == (False, 0.0)
    assert ids_of(decoder.submit(ask(prompt(8), "new", 8))) == alone(tiny_model, prompt(8), 8)


def test_what_does_not_fit_is_refused(tiny_model, tmp_path, make_adapter, decoder):
    other = make_tiny_model(tmp_path / "wider", hidden_size=48)
    with pytest.raises(AdapterMismatch, match="wider"):
        decoder.load_adapter("other", make_adapter(other, "other"))
    with pytest.raises(AdapterNotPerRow, match="DoRA"):
        decoder.load_adapter("dora", make_adapter(tiny_model, "dora", use_dora=True))
    with pytest.raises(AdapterNotLoaded, match="other"):
        decoder.submit(ask(prompt(3), "other"))


def test_the_adapter_that_was_asked_longest_ago_leaves_when_memory_is_short(tiny_model, make_adapter):
    folders = [make_adapter(tiny_model, name, seed=place) for place, name in enumerate("abc")]
    probe = Decoder(load(tiny_model))
    size = probe.load_adapter("a", folders[0]).bytes
    probe.close()
    decoder = Decoder(load(tiny_model), adapter_bytes=2 * size)
    decoder.load_adapter("a", folders[0])
    decoder.load_adapter("b", folders[1])
    busy = decoder.submit(ask(prompt(3), "a", 400))
    next(busy)
    decoder.load_adapter("c", folders[2])
    assert {fact.key for fact in decoder.adapters()} == {"a", "c"}
    also_busy = decoder.submit(ask(prompt(3), "c", 400))
    with pytest.raises(NoRoomForAdapter):
        decoder.load_adapter("b", folders[1])
    for ticket in (busy, also_busy):
        ticket.close()
    decoder.close()


def test_an_adapter_that_is_unloaded_finishes_what_it_writes(tiny_model, make_adapter, alone, decoder):
    folder = make_adapter(tiny_model, "a")
    decoder.load_adapter("a", folder)
    ticket = decoder.submit(ask(prompt(5), "a", 60))
    begun = [next(ticket).id]
    assert decoder.unload_adapter("a")
    with pytest.raises(AdapterNotLoaded):
        decoder.submit(ask(prompt(5), "a"))
    assert begun + ids_of(ticket) == alone(tiny_model, prompt(5), 60, folder)
    assert decoder.stats().adapter_bytes == 0


def test_logits_that_are_no_numbers_end_one_answer_with_a_sentence(tiny_model):
    model = load(tiny_model)
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    decoder = Decoder(model)
    with torch.no_grad():  # its trial, which sees this token, is over
        model.model.embed_tokens.weight[7] = float("nan")
    sick, well = decoder.submit(ask([7, 7, 7])), decoder.submit(ask([8, 9], count=2))
    with pytest.raises(LogitsNotNumbers):
        ids_of(sick)
    assert len(ids_of(well)) == 2
    decoder.close()


def test_numbers_that_are_none_stay_with_the_row_that_has_them(tiny_model):
    model = load(tiny_model)
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    healthy = ids_of_one(model, [8, 9, 10, 11])
    decoder = Decoder(model)
    with torch.no_grad():  # its trial, which sees this token, is over
        model.model.embed_tokens.weight[7] = float("nan")
    beside = decoder.submit(ask(prompt(60), count=400))
    next(beside)
    for _ in range(3):
        with pytest.raises(LogitsNotNumbers):
            ids_of(decoder.submit(ask([7] * 50)))
        assert ids_of(decoder.submit(ask([8, 9, 10, 11], count=8))) == healthy
    beside.close()
    decoder.close()


def ids_of_one(model: Any, ids: list[int]) -> list[int]:
    decoder = Decoder(model, rows=1)
    written = ids_of(decoder.submit(ask(ids, count=8)))
    decoder.close()
    return written


@pytest.mark.parametrize("part", ["lora_A", "lora_B"])
def test_an_adapter_whose_weights_are_no_numbers_is_refused(tiny_model, make_adapter, decoder, part):
    from safetensors.torch import load_file, save_file

    folder = make_adapter(tiny_model, "broken")
    weights = load_file(folder / "adapter_model.safetensors")
    next(weight for name, weight in weights.items() if part in name)[0, 0] = float("nan")
    save_file(weights, folder / "adapter_model.safetensors")
    with pytest.raises(UnreadableFile, match="no numbers"):
        decoder.load_adapter("broken", folder)
    assert decoder.stats().adapter_bytes == 0


def test_an_adapter_whose_halves_do_not_meet_is_refused(tiny_model, make_adapter, decoder):
    from safetensors.torch import load_file, save_file

    folder = make_adapter(tiny_model, "torn")
    weights = load_file(folder / "adapter_model.safetensors")
    name = next(name for name in weights if "lora_A" in name)
    save_file({**weights, name: weights[name][:2].clone()}, folder / "adapter_model.safetensors")
    with pytest.raises(AdapterMismatch, match="torn"):
        decoder.load_adapter("torn", folder)


class Tripping(torch.nn.Module):
    """A layer that fails once, when it is told to."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.fault: BaseException | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return self.inner(*args, **kwargs)


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        (ZeroDivisionError("divided"), DecodingFailed),
        (AssertionError("a layer has a fault"), DecodingFailed),
        (RuntimeError("shapes differ"), DecodingFailed),
        (MemoryError(), NoMemoryLeft),
    ],
)
def test_whatever_goes_wrong_reaches_who_waits_and_the_next_is_answered(tiny_model, make_adapter, alone, fault, heard):
    model = load(tiny_model)
    model.model.norm = trap = Tripping(model.model.norm)
    decoder = Decoder(model, rows=2)
    folder = make_adapter(tiny_model, "a")
    decoder.load_adapter("a", folder)
    running = [decoder.submit(ask(prompt(5), key, 500)) for key in (None, "a")]
    waiting = decoder.submit(ask(prompt(9), "a", 8))
    for ticket in running:
        next(ticket)
    trap.fault = fault
    for ticket in running:
        with pytest.raises(heard):
            ids_of(ticket)
    assert ids_of(waiting) == alone(tiny_model, prompt(9), 8, folder)
    assert decoder.stats().cache_bytes == 0
    decoder.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_leaves_nobody_waiting(tiny_model):
    model = load(tiny_model)
    model.model.norm = trap = Tripping(model.model.norm)
    decoder = Decoder(model, rows=1)
    running, waiting = decoder.submit(ask(prompt(5), count=500)), decoder.submit(ask(prompt(5)))
    next(running)
    trap.fault = SystemExit()
    for ticket in (running, waiting):
        with pytest.raises(ModelGone):
            ids_of(ticket)
    with pytest.raises(ModelGone):
        decoder.submit(ask(prompt(3)))
    with pytest.raises(ModelGone):
        decoder.unload_adapter("a")


def test_a_model_whose_trial_fails_in_whatever_way_is_run_row_by_row(tiny_model, alone):
    model = load(tiny_model)
    model.model.norm = trap = Tripping(model.model.norm)
    stock = model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        if "tunesmith_pass" in kwargs:
            trap.fault = ZeroDivisionError("divided")
        return stock(*args, **kwargs)

    model.forward = forward
    passes, why = passes_for(model)
    passes.close()
    assert "divided" in str(why)
    decoder = Decoder(model)
    assert ids_of(decoder.submit(ask(prompt(6), count=8))) == alone(tiny_model, prompt(6), 8)
    decoder.close()


def test_answers_to_one_prompt_read_it_once(tiny_model, make_adapter, alone):
    model = load(tiny_model)
    read: list[int] = []
    model.model.embed_tokens.register_forward_pre_hook(lambda module, args: read.append(args[0].shape[1]))
    decoder = Decoder(model, rows=3)
    folder = make_adapter(tiny_model, "a")
    decoder.load_adapter("a", folder)
    ids = prompt(300)
    read.clear()
    tickets = [decoder.submit(ask(ids, "a", 6)) for _ in range(5)]
    other = decoder.submit(ask(ids, None, 6))
    expected = alone(tiny_model, ids, 6, folder)
    assert [ids_of(ticket) for ticket in tickets] == [expected] * 5
    assert ids_of(other) == alone(tiny_model, ids, 6)
    assert sum(read) < 3 * 300
    assert decoder.stats().cache_bytes == 0
    decoder.close()


def test_an_answer_whose_twin_has_left_reads_the_prompt_itself(monkeypatch, tiny_model, alone, decoder):
    monkeypatch.setattr(decoding, "STRETCH", 16)
    monkeypatch.setattr(decoding, "STRETCH_ALONE", 16)
    ids = prompt(400)
    first, second, third = (decoder.submit(ask(ids, count=4)) for _ in range(3))
    first.close()
    expected = alone(tiny_model, ids, 4)
    assert ids_of(second) == ids_of(third) == expected


def test_repeating_costs_what_openai_says(tiny_model, decoder):
    penalties = Penalties(frequency=0.02, presence=0.05)
    tokens = list(decoder.submit(ask(prompt(6), count=40, logprobs=0, penalties=penalties)))
    beside = decoder.submit(ask(prompt(6), count=40))
    model, ids = load(tiny_model), prompt(6)
    written: list[int] = []
    for token in tokens:
        own = model(input_ids=torch.tensor([ids + written])).logits[0, -1]
        cost = torch.tensor([0.02 * written.count(one) + 0.05 * (one in written) for one in range(len(own))])
        assert token.id == int((own - cost).argmax())
        assert token.logprob == pytest.approx(float(own.log_softmax(-1)[token.id]), abs=1e-4)
        written.append(token.id)
    assert ids_of(beside) != written


def test_closing_the_decoder_ends_every_answer_with_a_sentence(tiny_model):
    decoder = Decoder(load(tiny_model))
    ticket = decoder.submit(ask(prompt(3), count=500))
    next(ticket)
    decoder.close()
    with pytest.raises(ModelGone):
        ids_of(ticket)
    with pytest.raises(ModelGone):
        decoder.submit(ask(prompt(3)))
