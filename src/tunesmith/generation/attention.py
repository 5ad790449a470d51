"""Attention of the rows of one pass, each over its own keys and values, in place of transformers' own.

The tokens of a pass lie one behind the other in a single sequence: first one token of each row that writes, slab by
slab, then the stretches of the prompts that are being read. Linear layers, norms and rotations see no difference;
attention is the one place where rows must not see each other, and it is computed here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.generation.rows import Part
from tunesmith.generation.slabs import Slab

ATTENTION = "tunesmith_rows"
"""Name under which transformers knows this attention."""
PASS = "tunesmith_pass"
"""Name of the argument by which the layers hand the pass down."""
READ = frozenset({"scaling", "dropout", "sliding_window", "softcap", PASS})
"""Arguments of an attention that are computed here."""
HARMLESS = frozenset({"position_ids", "use_cache", "cache_position", "position_embeddings", "is_causal"})
"""Arguments that say nothing which the pass does not say."""

_passing = threading.local()


class CannotJoin(Exception):
    """The model's attention is more than what is computed here."""


class Writing:
    """The rows of one slab, which have one token each in the pass, from place ``begin`` on."""

    def __init__(self, slab: Slab, begin: int, device: torch.device) -> None:
        self.slab, self.begin, self.count = slab, begin, len(slab.rows)
        seen = [row.seen for row in slab.rows]
        self.longest = max(seen) + 1
        self._shortest = min(seen) + 1
        self._seen = torch.tensor(seen, device=device)
        self._masks: dict[tuple[int | None, torch.dtype], Tensor | None] = {}
        self._places: dict[int, Tensor] = {}

    def attend(self, layer: int, states: Sequence[Tensor], *, scaling: float, window: int | None, cap: float) -> Tensor:
        """Store keys and values and attend; all three states are (heads, count, size), so is what comes back."""
        query, key, value = states
        keys, values = self.slab.buffers(layer, key, value)
        groups = key.shape[0]
        places = self._stored_at(groups)
        for buffer, part in ((keys, key), (values, value)):
            buffer.view(-1, part.shape[-1]).index_copy_(0, places, part.reshape(-1, part.shape[-1]))
        begin = 0 if window is None else max(0, self._shortest - window)
        many = query.transpose(0, 1).reshape(self.count, groups, -1, query.shape[-1])
        out = _attend(
            many,
            keys[: self.count, :, begin : self.longest],
            values[: self.count, :, begin : self.longest],
            self._mask(window, begin, query.dtype),
            scaling,
            cap,
        )
        return out.reshape(self.count, query.shape[0], -1).transpose(0, 1)

    def _stored_at(self, groups: int) -> Tensor:
        """Where (groups, count) vectors go in a buffer of (slots, groups, capacity)."""
        if groups not in self._places:
            slots = torch.arange(self.count, device=self._seen.device)
            heads = torch.arange(groups, device=self._seen.device).unsqueeze(1)
            self._places[groups] = ((slots * groups + heads) * self.slab.capacity + self._seen).view(-1)
        return self._places[groups]

    def _mask(self, window: int | None, begin: int, dtype: torch.dtype) -> Tensor | None:
        """What is added to scores: (count, 1, 1, columns); None where every row sees every column."""
        if (window, dtype) not in self._masks:
            mask = None
            if self._shortest != self.longest or (window is not None and self.longest > window):
                seen, columns = self._seen.unsqueeze(1), torch.arange(begin, self.longest, device=self._seen.device)
                mask = _added(_visible(seen, columns, window), dtype)[:, None, None]
            self._masks[window, dtype] = mask
        return self._masks[window, dtype]


class Reading:
    """A stretch of one row's prompt, from place ``begin`` of the pass on."""

    def __init__(self, part: Part, begin: int) -> None:
        self.begin, self.count = begin, len(part.ids)
        self._row = part.row
        self._masks: dict[tuple[int | None, torch.dtype], Tensor | None] = {}

    def attend(self, layer: int, states: Sequence[Tensor], *, scaling: float, window: int | None, cap: float) -> Tensor:
        """Store keys and values and attend; all three states are (heads, count, size), so is what comes back."""
        query, key, value = states
        slab, slot, start = self._row.slab, self._row.slot, self._row.seen
        assert slab is not None
        keys, values = slab.buffers(layer, key, value)
        keys[slot, :, start : start + self.count] = key
        values[slot, :, start : start + self.count] = value
        groups, many = key.shape[0], query.shape[0] // key.shape[0]
        end = start + self.count
        shape = (groups, many, end, -1)
        out = _attend(
            query.reshape(groups, many, self.count, -1),
            keys[slot, :, None, :end].expand(*shape),
            values[slot, :, None, :end].expand(*shape),
            self._mask(window, query),
            scaling,
            cap,
        )
        return out.reshape(query.shape[0], self.count, -1)

    def _mask(self, window: int | None, query: Tensor) -> Tensor | None:
        """What is added to scores: (count, columns); None for a single token that sees all."""
        start, end = self._row.seen, self._row.seen + self.count
        if (window, query.dtype) not in self._masks:
            mask = None
            if self.count > 1 or (window is not None and end > window):
                tokens = torch.arange(start, end, device=query.device).unsqueeze(1)
                mask = _added(_visible(tokens, torch.arange(end, device=query.device), window), query.dtype)
            self._masks[window, query.dtype] = mask
        return self._masks[window, query.dtype]


class Pass:
    """What attention has to know of one pass."""

    def __init__(self, groups: Sequence[Writing | Reading]) -> None:
        self.groups = groups
        self.layers: set[int] = set()
        """Layers that have attended."""
        self.windowed = False
        """Whether a layer named a window."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, **how: Any) -> Tensor:
        """Attend with states of (heads, tokens, size)."""
        self.layers.add(layer)
        self.windowed = self.windowed or how["window"] is not None
        parts = []
        for group in self.groups:
            place = slice(group.begin, group.begin + group.count)
            parts.append(group.attend(layer, (query[:, place], key[:, place], value[:, place]), **how))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def __enter__(self) -> Pass:
        _passing.now = self
        return self

    def __exit__(self, *_: object) -> None:
        _passing.now = None


def register_attention() -> None:
    """Make this attention known to transformers; a model computes as ever wherever no pass is under way."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, _no_mask)


def _no_mask(*args: Any, **kwargs: Any) -> Any:
    from transformers.masking_utils import sdpa_mask

    return None if getattr(_passing, "now", None) is not None else sdpa_mask(*args, **kwargs)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: (1, heads, tokens, size) in, (1, tokens, heads, size) out."""
    now: Pass | None = getattr(_passing, "now", None)
    if now is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    for name, given in kwargs.items():
        if name not in READ and name not in HARMLESS and given is not None and given is not False:
            raise CannotJoin(f"its attention takes '{name}'")
    if attention_mask is not None:
        raise CannotJoin("it makes its own mask")
    layer: Any = module
    scaling = kwargs.get("scaling")
    out = now.attend(
        layer.layer_idx, query[0], key[0], value[0],
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=kwargs.get("sliding_window"), cap=kwargs.get("softcap") or 0.0,
    )  # fmt: skip
    return out.transpose(0, 1).unsqueeze(0), None


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float, cap: float) -> Tensor:
    if not cap:
        return nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scaling)
    scores = torch.tanh((query @ keys.transpose(-1, -2)) * (scaling / cap)) * cap
    shares = (scores if mask is None else scores + mask).softmax(-1, dtype=torch.float32)
    return shares.to(values.dtype) @ values


def _visible(tokens: Tensor, columns: Tensor, window: int | None) -> Tensor:
    """Which columns a token at a position sees."""
    seen = columns <= tokens
    return seen if window is None else seen & (columns > tokens - window)


def _added(visible: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, float("-inf"))
