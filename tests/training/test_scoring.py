"""Scores of rows: what transformers itself says of every labelled token, whichever way the rows are computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tiny import make_tiny_model
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.training.forward import build_forward
from tunesmith.training.loading import load_model
from tunesmith.training.scoring import score_rows

CPU = torch.device("cpu")


def rows() -> TokenRows:
    random = np.random.default_rng(0)
    made = []
    for length in (5, 17, 9, 40, 3):
        ids = [1, 2, 3, *random.integers(4, 200, length).tolist()]
        made.append(EncodedRow(ids, [place > 3 for place in range(len(ids))]))
    return TokenRows.of(made)


def expected(model: torch.nn.Module, rows: TokenRows) -> list[tuple[float, int]]:
    found = []
    for place in range(len(rows)):
        ids, mask = rows.row(place)
        tokens = torch.tensor(ids.astype(np.int64))
        with torch.no_grad():
            logits = model(input_ids=tokens[None]).logits[0].float()
        labelled = np.flatnonzero(mask)
        losses = torch.nn.functional.cross_entropy(logits[labelled - 1], tokens[labelled], reduction="none")
        found.append((float(losses.sum()), int((logits[labelled - 1].argmax(-1) == tokens[labelled]).sum())))
    return found


@pytest.mark.parametrize(
    ("architecture", "attention", "fused"),
    [("llama", "documents", True), ("qwen3", "documents", False), ("gpt2", "stock", False), ("gemma2", "stock", False)],
)
def test_every_path_says_what_the_model_says(architecture: str, attention: str, fused: bool, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / architecture, architecture=architecture)
    wanted = expected(load_model(folder, "fp32").eval(), rows())
    model = load_model(folder, "fp32")
    forward = build_forward(
        model, attention=attention, fused=fused, joined=attention == "documents", checkpointing=False, length=64
    )
    told: list[float] = []
    found = score_rows(model, forward, rows(), micro_tokens=48, device=CPU, fill=0, beat=told.append)
    np.testing.assert_allclose(found.nats, [nats for nats, _ in wanted], rtol=1e-4)
    assert found.right.tolist() == [right for _, right in wanted]
    assert found.labels.tolist() == [4, 16, 8, 39, 2]
    assert told[-1] == 1.0 and told == sorted(told) and len(told) > 1
    assert not model.training
