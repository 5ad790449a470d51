"""Low-rank adapters of many rows in one batch, computed as two products a layer.

The A of all adapters at work lie one below the other in one matrix, and so do their B. One product gives every token
its projections by every adapter, a mask keeps those of its own, and a second product takes them up again: no loop over
adapters, no padding of ranks, and each adapter's numbers stand in memory once. (LoRA: https://arxiv.org/abs/2106.09685;
adapters side by side for serving: https://arxiv.org/abs/2310.18547.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.generation.attention import CannotJoin
from tunesmith.generation.lora import PREFIX, WEIGHTS, read_facts
from tunesmith.generation.rows import Part
from tunesmith.spec.errors import AdapterMismatch, UnreadableFile


@dataclass(eq=False)
class Adapter:
    """An adapter in memory: by layer A of (rank, inputs) and B of (rank, outputs), B with the scaling in it."""

    key: str
    rank: int
    trained: bool
    weights: dict[str, tuple[Tensor, Tensor]]
    bytes: int
    difference: float = 0.0
    used_at: float = field(default_factory=time.time)
    users: int = 0
    """Answers that wait for it or are written with it."""


def read_adapter(key: str, folder: Path, bank: Bank) -> Adapter:
    """Read an adapter's files for the model of a bank.

    Raises:
        AdapterNotPerRow: it cannot go per row.
        AdapterMismatch: a layer of it is not in the model, or has another size there.
        UnreadableFile: some of its weights are no numbers, or none in the model's number format.
    """
    from safetensors.torch import load_file

    facts = read_facts(folder)
    tensors = load_file(folder / WEIGHTS)
    by_layer: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        layer, _, half = name.removeprefix(PREFIX).rpartition(".lora_")
        by_layer.setdefault(layer, {})[half[0]] = tensor
    weights, trained = {}, False
    for layer, halves in by_layer.items():
        down, up = halves.get("A"), halves.get("B")
        if down is None or up is None or not _fit(down, up, bank.shape_of(layer)):
            raise AdapterMismatch(folder, facts.base or "another model", bank.name)
        trained = trained or bool(up.any())
        scaled = up.float().t() * facts.scaling[layer]
        weights[layer] = bank.fitted(down), bank.fitted(scaled)
        # Adapters share products, and nothing times "not a number" is no number: one would spoil everybody's answer.
        if not all(bool(half.isfinite().all()) for half in weights[layer]):
            raise UnreadableFile(folder / WEIGHTS, f"weights of '{layer}' are no numbers (did its training diverge?)")
    size = sum(half.nbytes for pair in weights.values() for half in pair)
    return Adapter(key, facts.rank, trained, weights, size)


def _fit(down: Tensor, up: Tensor, shape: tuple[int, int] | None) -> bool:
    return down.ndim == up.ndim == 2 and down.shape[0] == up.shape[1] and (down.shape[1], up.shape[0]) == shape


class Bank:
    """The adapters at work on one model. While it stands, the model's linear layers add what a pass asks of them."""

    def __init__(self, model: Any) -> None:
        self.name = Path(str(getattr(model.config, "name_or_path", "") or "this model")).name
        self._modules = {name: module for name, module in model.named_modules() if _is_linear(module)}
        self._device, self._dtype = model.device, model.dtype
        self._layers: dict[str, Layer] = {}
        self._places: dict[Adapter, int] = {}
        """First row of each adapter at work; every layer has the same rows of it, or none."""
        self._kinds: dict[tuple[object, ...], object] = {}
        """One object for all layers on which the same adapters have the same rows."""
        self._pass = threading.local()

    def shape_of(self, layer: str) -> tuple[int, int] | None:
        """Return the inputs and outputs of a linear layer; None where there is none of that name."""
        module = self._modules.get(layer)
        if module is None:
            return None
        if isinstance(module, nn.Linear):
            return module.in_features, module.out_features
        return module.weight.shape[0], module.weight.shape[1]

    def fitted(self, tensor: Tensor) -> Tensor:
        """Return a matrix in the model's number format, where the model lies."""
        return tensor.to(self._device, self._dtype).contiguous()

    def work_with(self, wanted: Iterable[Adapter], room: int) -> None:
        """Bring the adapters of a pass to work; up to ``room`` stay there, so that they need not be brought again."""
        wanted = list(dict.fromkeys(wanted))
        if all(adapter in self._places for adapter in wanted):
            return
        others = sorted(set(self._places) - set(wanted), key=lambda adapter: -adapter.used_at)
        self._rebuild([*wanted, *others[: max(0, room - len(wanted))]])

    def drop(self, adapter: Adapter) -> None:
        """Free the memory of an adapter."""
        if adapter in self._places:
            self._rebuild([other for other in self._places if other is not adapter])
        adapter.weights = {}

    def adding(self, parts: Sequence[Part]) -> Adding:
        """Say which tokens of a pass get which adapters; for use in a ``with`` statement around the pass."""
        return Adding(self, parts)

    def close(self) -> None:
        """Give the layers back as they were."""
        self._rebuild([])

    def _rebuild(self, adapters: Sequence[Adapter]) -> None:
        """Put these adapters side by side, layer by layer, so that no more than a layer is held twice."""
        staying = set(adapters)
        self._kinds.clear()
        places, self._places = self._places, {}  # none is at work until all are, should memory run out in between
        for adapter in places:
            if adapter not in staying:
                adapter.weights = {name: (down.clone(), up.clone()) for name, (down, up) in adapter.weights.items()}
        for name in {*self._layers, *(name for adapter in adapters for name in adapter.weights)}:
            having = [adapter for adapter in adapters if name in adapter.weights]
            self._place(name, having)
        self._places = {adapter: number for number, adapter in enumerate(adapters)}

    def _place(self, name: str, having: Sequence[Adapter]) -> None:
        layer = self._layers.pop(name, None)
        if layer is not None:
            layer.leave()
        if not having:
            return
        down = torch.cat([adapter.weights[name][0] for adapter in having])
        up = torch.cat([adapter.weights[name][1] for adapter in having])
        begin, spans = 0, {}
        for adapter in having:
            end = begin + adapter.weights[name][0].shape[0]
            adapter.weights[name] = down[begin:end], up[begin:end]
            spans[adapter] = (begin, end)
            begin = end
        kind = self._kinds.setdefault(tuple(spans.items()), object())
        self._layers[name] = Layer(self._modules[name], down, up, spans, kind, self._pass)


class Layer:
    """One linear layer with the adapters at work on it."""

    def __init__(
        self,
        module: Any,
        down: Tensor,
        up: Tensor,
        spans: dict[Adapter, tuple[int, int]],
        kind: object,
        now: threading.local,
    ) -> None:
        self._module, self._now = module, now
        self.down, self.up = down, up
        """A of all adapters, (ranks, inputs), and B, (ranks, outputs)."""
        self.spans = spans
        """Rows of each adapter in both."""
        self.kind = kind
        """What it shares with layers that have the same spans: their masks are the same."""
        self._stock: Callable[[Tensor], Tensor] = module.forward
        module.forward = self._forward

    def leave(self) -> None:
        """Give the layer back as it was."""
        del self._module.forward

    def _forward(self, x: Tensor) -> Tensor:
        out = self._stock(x)
        adding: Adding | None = getattr(self._now, "adding", None)
        if adding is not None:
            adding.add(self, x.reshape(-1, x.shape[-1]), out.view(-1, out.shape[-1]))
        return out


class Adding:
    """Which tokens of one pass get which adapters."""

    def __init__(self, bank: Bank, parts: Sequence[Part]) -> None:
        self._bank = bank
        leading = list(takewhile(lambda part: len(part.ids) == 1, parts))
        self._single = [part.row.adapter for part in leading]
        """Adapters of the tokens at the beginning that are alone of their rows."""
        self._stretches: list[tuple[int, int, Adapter]] = []
        self._tokens = len(leading)
        for part in parts[len(leading) :]:
            if part.row.adapter is not None:
                self._stretches.append((self._tokens, self._tokens + len(part.ids), part.row.adapter))
            self._tokens += len(part.ids)
        self._some = any(adapter is not None for adapter in self._single)
        self._masks: dict[object, Tensor | None] = {}

    def add(self, layer: Layer, x: Tensor, out: Tensor) -> None:
        """Add to ``out`` of (tokens, outputs), in place, what the adapters make of ``x`` of (tokens, inputs)."""
        if len(x) != self._tokens:
            raise CannotJoin("a layer with an adapter sees only some of the tokens")
        if self._some:
            count = len(self._single)
            shares = x[:count] @ layer.down.t()
            mask = self._mask(layer, shares)
            out[:count].addmm_(shares if mask is None else shares.masked_fill_(mask, 0), layer.up)
        for begin, end, adapter in self._stretches:
            if adapter in layer.spans:
                first, last = layer.spans[adapter]
                out[begin:end].addmm_(x[begin:end] @ layer.down[first:last].t(), layer.up[first:last])

    def _mask(self, layer: Layer, shares: Tensor) -> Tensor | None:
        """False where a token meets its own adapter: (tokens, ranks); None where there is but one and all have it."""
        if layer.kind not in self._masks:
            alone = len(layer.spans) == 1 and all(adapter in layer.spans for adapter in self._single)
            self._masks[layer.kind] = None if alone else self._make_mask(layer, shares)
        return self._masks[layer.kind]

    def _make_mask(self, layer: Layer, shares: Tensor) -> Tensor:
        mask = torch.ones(shares.shape, dtype=torch.bool)
        for place, adapter in enumerate(self._single):
            if adapter is not None and adapter in layer.spans:
                first, last = layer.spans[adapter]
                mask[place, first:last] = False
        return mask.to(shares.device)

    def __enter__(self) -> Adding:
        self._bank._pass.adding = self if self._some or self._stretches else None
        return self

    def __exit__(self, *_: object) -> None:
        self._bank._pass.adding = None


def _is_linear(module: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, nn.Linear | Conv1D)
