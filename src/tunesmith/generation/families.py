"""Which models can take many rows in one pass: what their configuration says, and a trial that proves it.

Nothing is believed of a family. A model that nothing speaks against is run with a few rows of unlike lengths, and its
logits are compared with its own for each row alone. Where they differ, or where it has parts that a short trial cannot
show, its rows go through it one after the other, which is right for every model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from tunesmith.generation.asking import Ask, Ticket
from tunesmith.generation.attention import ATTENTION, CannotJoin, register_attention
from tunesmith.generation.passes import Alone, Joined, Passes
from tunesmith.generation.rows import Part, Row
from tunesmith.spec.sampling import Sampling
from tunesmith.training.device import is_out_of_memory

ATTENTIONS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers that are computed row by row within a pass."""
SHARED_ROTATIONS = frozenset({"dynamic", "longrope"})
"""Rotations whose angles depend on the longest row of a batch, so that one row would change another."""
TRIAL = ((5, 3), (2, 1), (9, 8))
"""The trial's prompts: their lengths in tokens, and how much of each is read first."""
WRITTEN = 2
"""Tokens that follow each of the trial's prompts."""
ALIKE = {torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 1e-1}
"""How far logits may lie apart, as a part of the largest: rounding alone."""


def passes_for(model: Any) -> tuple[Passes, str | None]:
    """Return how rows go through a model, and why they cannot go together, where they cannot."""
    why = speaks_against(model)
    if why is not None:
        return Alone(model), why
    stock = [(config, config._attn_implementation) for config in _configs(model)]
    sequences = _sequences(model)
    with torch.inference_mode():
        own = [model(input_ids=ids[None], use_cache=False).logits[0].float() for ids in sequences]
    register_attention()
    for config, _ in stock:
        config._attn_implementation_internal = ATTENTION
    try:
        joined = Joined(model)
        _try(joined, model, sequences, own)
    except CannotJoin as error:
        for config, name in stock:
            config._attn_implementation_internal = name
        return Alone(model), str(error)
    return joined, None


def speaks_against(model: Any) -> str | None:
    """Say what of a model's configuration forbids rows to share a pass."""
    config = model.config.get_text_config()
    if not model._supports_attention_backend:
        return "its attention cannot be replaced"
    if any(own._attn_implementation not in ("sdpa", "eager") for own in _configs(model)):
        return "it was loaded with another attention"
    others = sorted(set(getattr(config, "layer_types", None) or ()) - ATTENTIONS)
    if others:
        return f"it has layers of another kind ({', '.join(others)})"
    if getattr(config, "num_kv_shared_layers", 0):
        return "some of its layers use the keys of others"
    rotations = getattr(config, "rope_parameters", None) or {}
    kinds = {str(part.get("rope_type")) for part in (rotations, *rotations.values()) if isinstance(part, dict)}
    if kinds & SHARED_ROTATIONS:
        return "its rotations depend on the longest row"
    return None


def _configs(model: Any) -> Iterator[Any]:
    """Yield the configurations by which the parts of a model choose their attention, each once."""
    found: dict[int, Any] = {}
    for part in model.modules():
        config = getattr(part, "config", None)
        if hasattr(config, "_attn_implementation_internal"):
            found[id(config)] = config
    yield from found.values()


def _sequences(model: Any) -> list[Tensor]:
    """Return tokens from all over the vocabulary, the same each time."""
    size = model.get_input_embeddings().weight.shape[0]
    lengths = [prompt + WRITTEN for prompt, _ in TRIAL]
    return [torch.arange(7, 7 + 131 * length, 131, device=model.device) % size for length in lengths]


def _try(joined: Joined, model: Any, sequences: Sequence[Tensor], own: Sequence[Tensor]) -> None:
    """Compare logits of rows that are read in stretches and written side by side with the model's own of each alone."""
    asks = [Ask(ids[:length].tolist(), Sampling()) for ids, (length, _) in zip(sequences, TRIAL, strict=True)]
    rows = [Row(ask, Ticket(len(ask.ids), lambda: None), WRITTEN) for ask in asks]
    tokens = {row: ids.tolist() for row, ids in zip(rows, sequences, strict=True)}
    expected = dict(zip(rows, own, strict=True))
    first = [Part(row, row.ask.ids[:count], wanted=False) for row, (_, count) in zip(rows, TRIAL, strict=True)]
    try:
        joined.run(first)
        _check(joined, [Part(row, row.ask.ids[row.seen :]) for row in rows[:2]], expected)
        late = Part(rows[2], rows[2].ask.ids[rows[2].seen :])
        _check(joined, [*_writing(joined, rows[:2], tokens), late], expected)
        _check(joined, _writing(joined, rows, tokens), expected)
        _check_attention(joined, model.config.get_text_config())
    except CannotJoin:
        raise
    except Exception as error:  # models are other people's code: what fails here, whatever it is, works row by row
        if is_out_of_memory(error):
            raise
        raise CannotJoin(f"its rows cannot be joined ({error})") from error
    finally:
        for row in rows:
            joined.drop(row)


def _writing(joined: Joined, rows: Sequence[Row], tokens: dict[Row, list[int]]) -> list[Part]:
    return [Part(row, [tokens[row][row.seen]]) for row in joined.order(rows)]


def _check(joined: Joined, parts: Sequence[Part], expected: dict[Row, Tensor]) -> None:
    for part, found in zip(parts, joined.run(parts), strict=True):
        own = expected[part.row][part.row.seen - 1]
        apart = (found - own).abs().max() / own.abs().max().clamp(min=1e-6)
        if not float(apart) <= ALIKE.get(joined.dtype, ALIKE[torch.float32]):
            raise CannotJoin("rows that share a pass change each other")


def _check_attention(joined: Joined, config: Any) -> None:
    """Every layer has to attend here, and to name its window, which the trial is too short to feel."""
    assert joined.last is not None
    if len(joined.last.layers) != config.num_hidden_layers:
        raise CannotJoin("some of its layers do not attend")
    kinds = getattr(config, "layer_types", None)
    windowed = "sliding_attention" in kinds if kinds else bool(getattr(config, "sliding_window", None))
    if windowed and not joined.last.windowed:
        raise CannotJoin("its attention does not name its window")
