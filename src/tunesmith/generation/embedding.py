"""Sentence vectors: what a model makes of a text's tokens, pooled to one vector of length one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from tunesmith.runs.durable import read_json
from tunesmith.spec.errors import PoolingUnknown, PromptTooLong

TOKENS_AT_ONCE: Final = 4096
"""Tokens of a batch, padding included; a text that is longer is a batch of its own."""
POOLING: Final = Path("1_Pooling") / "config.json"
"""How the vectors of tokens become one: https://www.sbert.net/docs/package_reference/sentence_transformer/models.html"""
KNOWN: Final = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Flags of that file, and the names that later versions of it have in ``pooling_mode``."""


class Embedder:
    """Embeds with a loaded model: an encoder, or the body of a model that writes. Any thread may call."""

    def __init__(self, model: Any, folder: Path) -> None:
        """``folder`` says how to pool, where it says so; else the mean of all tokens is taken.

        Raises:
            PoolingUnknown: it says something else.
        """
        self._body = model.base_model
        self._pooling = pooling_of(folder)
        self.limit = _limit(self._body, folder)
        """Tokens that it can read; None where its configuration does not say."""
        self.size = int(model.config.get_text_config().hidden_size)
        """Numbers of a vector."""
        self._computing = threading.Lock()

    def __call__(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Return the vectors of rows of tokens, (rows, size) in 32 bits on the host.

        Raises:
            PromptTooLong: a row is longer than the model can see.
        """
        longest = max(map(len, rows))
        if self.limit is not None and longest > self.limit:
            raise PromptTooLong(longest, self.limit)
        vectors = torch.empty(len(rows), self.size)
        for places in _batches([len(row) for row in rows]):
            with self._computing:
                vectors[places] = self._vectors([rows[place] for place in places])
        return vectors

    def _vectors(self, rows: Sequence[Sequence[int]]) -> Tensor:
        device = self._body.device
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).to(device)
        with torch.inference_mode():
            states = self._body(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
        if self._pooling == "cls":
            pooled = states[:, 0]
        elif self._pooling == "lasttoken":
            pooled = states[torch.arange(len(rows)), lengths - 1]
        else:
            pooled = (states * mask[..., None]).sum(1) / lengths[:, None].to(device)
        return torch.nn.functional.normalize(pooled, dim=-1).cpu()


def pooling_of(folder: Path) -> str:
    """Return how a folder's vectors are pooled: mean, cls or lasttoken.

    Raises:
        PoolingUnknown: in another way.
    """
    said = read_json(folder / POOLING)
    if not isinstance(said, dict):
        return "mean"
    named = said.get("pooling_mode") or [
        flag for flag, on in said.items() if flag.startswith("pooling_mode_") and on is True
    ]
    found = [KNOWN.get(flag, flag) for flag in ([named] if isinstance(named, str) else named)]
    if len(found) != 1 or found[0] not in KNOWN.values():
        raise PoolingUnknown(folder, ", ".join(map(str, found)) or "nothing")
    return str(found[0])


def _limit(body: Any, folder: Path) -> int | None:
    """Return how many tokens the model can see, or was trained to see."""
    positions = int(getattr(body.config.get_text_config(), "max_position_embeddings", 0) or 0)
    table = getattr(getattr(body, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    if padding is not None:  # RoBERTa counts positions from the one after that of padding
        positions -= padding + 1
    trained = read_json(folder / "sentence_bert_config.json")
    known = [positions, trained.get("max_seq_length") or 0 if isinstance(trained, dict) else 0]
    return min((limit for limit in known if limit > 0), default=None)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the places of rows of like length that are computed together."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(place)
    yield batch
