"""From tokens of several rows to logits: all rows in one pass, or, for models that cannot, one row after the other."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from tunesmith.generation.attention import PASS, Pass, Reading, Writing
from tunesmith.generation.bank import Bank
from tunesmith.generation.rows import Part, Row
from tunesmith.generation.slabs import Slabs

SLOW, QUICK = 4, 16
"""In 32 bits on a processor, more rows than the first and fewer than the second keep a large head busy longer than
as many as the second do: 45 and 59 ms for 8 and 12, 33 for 16 (MKL, one core)."""


class Passes(Protocol):
    """A model that rows go through."""

    bank: Bank
    """The adapters at work on it."""
    together: bool
    """Whether rows share a pass; then prompts may be read in stretches between other rows' tokens."""

    def order(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows that write in the order in which their tokens must come."""
        ...

    def run(self, parts: Sequence[Part]) -> Tensor:
        """Run the tokens of some rows, those of writing rows first, and return the logits of the parts that want them.

        Either all writing rows are there, each once, in their order, or none. The result is (wanted, vocabulary) in 32
        bits.
        """
        ...

    def share(self, row: Row, other: Row) -> None:
        """Let a row that has seen nothing begin with what another has seen of the same prompt, but for its last token.

        Asked only where rows are ``together``.
        """
        ...

    def drop(self, row: Row) -> None:
        """Forget what is stored for a row."""
        ...

    def clear(self) -> None:
        """Forget what is stored for all rows, whatever state it is in."""
        ...

    @property
    def cache_bytes(self) -> int:
        """Memory of stored keys and values."""
        ...

    def close(self) -> None:
        """Take all adapters off the model."""
        ...


class Joined:
    """All rows in one pass, their tokens one behind the other."""

    together = True

    def __init__(self, model: Any) -> None:
        self.bank = Bank(model)
        self.last: Pass | None = None
        """The pass that was run last."""
        self.dtype: torch.dtype = model.dtype
        self._model = model
        self._slabs = Slabs()
        self._wanted_only = _takes(model, "logits_to_keep")

    def order(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows slab by slab."""
        return [row for slab in self._slabs for row in slab.rows]

    def run(self, parts: Sequence[Part]) -> Tensor:
        """Run tokens of several rows."""
        device = self._model.device
        self.last = Pass(self._groups(parts, device))
        ids = torch.tensor([[token for part in parts for token in part.ids]], device=device)
        positions = [place for part in parts for place in range(part.row.seen, part.row.seen + len(part.ids))]
        ends = _ends(parts)
        wanted = torch.tensor(self._filled(ends), dtype=torch.long, device=device)
        kept = {"logits_to_keep": wanted} if self._wanted_only else {}
        with torch.inference_mode(), self.bank.adding(parts), self.last:
            out = self._model(
                input_ids=ids, position_ids=torch.tensor([positions], device=device), use_cache=False,
                **{PASS: self.last}, **kept,
            )  # fmt: skip
            logits: Tensor = out.logits[0] if self._wanted_only else out.logits[0].index_select(0, wanted)
            self._settle(parts)
        return logits[: len(ends)].float()

    def share(self, row: Row, other: Row) -> None:
        """Copy keys and values."""
        with torch.inference_mode():
            self._slabs.share(row, other, len(row.ask.ids) - 1)

    def drop(self, row: Row) -> None:
        """Forget a row."""
        with torch.inference_mode():
            self._slabs.drop(row)

    def clear(self) -> None:
        """Forget all rows."""
        self._slabs.clear()

    @property
    def cache_bytes(self) -> int:
        """Memory of the slabs."""
        return self._slabs.bytes

    def close(self) -> None:
        """Take all adapters off the model."""
        self.bank.close()

    def _filled(self, ends: list[int]) -> list[int]:
        """Repeat the last place where the head's product is quicker with more rows than with these."""
        slow = self.dtype == torch.float32 and self._model.device.type == "cpu" and SLOW < len(ends) < QUICK
        return ends + ends[-1:] * (QUICK - len(ends)) if slow else ends

    def _groups(self, parts: Sequence[Part], device: torch.device) -> list[Writing | Reading]:
        groups: list[Writing | Reading] = []
        begin = 0
        for slab in self._slabs:
            if begin < len(parts) and parts[begin].row.slab is slab:
                groups.append(Writing(slab, begin, device))
                begin += len(slab.rows)
        for part in parts[begin:]:
            if part.row.slab is None:
                self._slabs.open(part.row, len(part.row.ask.ids) + 1)
            groups.append(Reading(part, begin))
            begin += len(part.ids)
        return groups

    def _settle(self, parts: Sequence[Part]) -> None:
        for part in parts:
            part.row.seen += len(part.ids)
        for part in parts:
            if not part.row.reading:
                self._slabs.settle(part.row)


class Alone:
    """One row after the other, each with the model's own cache: right for every model, quick for none."""

    together = False

    def __init__(self, model: Any) -> None:
        self.bank = Bank(model)
        self._model = model
        self._rows: list[Row] = []
        self._last_only = {"logits_to_keep": 1} if _takes(model, "logits_to_keep") else {}

    def order(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows as they are."""
        return list(rows)

    def run(self, parts: Sequence[Part]) -> Tensor:
        """Run each row's tokens by themselves."""
        found = [self._run(part) for part in parts]
        return torch.cat([logits for part, logits in zip(parts, found, strict=True) if part.wanted]).float()

    def share(self, row: Row, other: Row) -> None:
        """Share nothing: what a model remembers need not be cut into tokens."""

    def drop(self, row: Row) -> None:
        """Forget a row."""
        row.state = None
        self._rows = [other for other in self._rows if other is not row]

    def clear(self) -> None:
        """Forget all rows."""
        for row in self._rows:
            row.state = None
        self._rows = []

    @property
    def cache_bytes(self) -> int:
        """Memory of the rows' caches, as far as they hold keys and values."""
        layers = [layer for row in self._rows for layer in getattr(row.state, "layers", ())]
        held = [getattr(layer, part, None) for layer in layers for part in ("keys", "values")]
        return sum(part.nbytes for part in held if isinstance(part, Tensor))

    def close(self) -> None:
        """Take all adapters off the model."""
        self.bank.close()

    def _run(self, part: Part) -> Tensor:
        row = part.row
        if row not in self._rows:
            self._rows.append(row)
        ids = torch.tensor([list(part.ids)], device=self._model.device)
        with torch.inference_mode(), self.bank.adding([part]):
            out = self._model(input_ids=ids, past_key_values=row.state, use_cache=True, **self._last_only)
        row.state = out.past_key_values
        row.seen += len(part.ids)
        logits: Tensor = out.logits[:, -1]
        return logits


def _ends(parts: Sequence[Part]) -> list[int]:
    """Return the place of the last token of each part whose next token is wanted."""
    ends, place = [], -1
    for part in parts:
        place += len(part.ids)
        if part.wanted:
            ends.append(place)
    return ends


def _takes(model: Any, argument: str) -> bool:
    return argument in inspect.signature(model.forward).parameters
