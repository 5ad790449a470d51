"""Covered tokens: which, how many, and the loss of the model's own head at their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiny import make_tiny_encoder
from training.parts import CPU
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.modalities.text.metrics import perplexity
from tunesmith.training.loading import load_masked
from tunesmith.training.masking import MaskedBatches, Masking

BEGIN, END, COVER = 259, 260, 262


def running(count: int = 6, *, longest: int = 60) -> TokenRows:
    random = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        ids = [BEGIN, *random.integers(0, 256, int(random.integers(2, longest))).tolist(), END]
        rows.append(EncodedRow(ids, [token < 256 for token in ids]))
    return TokenRows.of(rows)


def batches(rows: TokenRows, *, share: float = 0.15, seed: int = 3) -> MaskedBatches:
    return MaskedBatches(rows, CPU, fill=261, share=share, mask=COVER, ordinary=np.arange(256), seed=seed)


def test_what_is_covered_follows_from_seed_epoch_and_row() -> None:
    made = batches(running())
    whole, alone = made.batch(range(6), 1), made.batch([4], 1)
    width = whole.ids.shape[1]
    assert torch.equal(whole.ids[4, : alone.ids.shape[1]], alone.ids[0])
    assert [place - 4 * width for place in whole.places.tolist() if place // width == 4] == alone.places.tolist()
    for other in (made.batch([4], 2), batches(running(), seed=4).batch([4], 1)):
        assert not torch.equal(other.ids, alone.ids) or not torch.equal(other.places, alone.places)


def test_as_many_are_counted_as_are_covered() -> None:
    made = batches(running())
    for epoch in range(4):
        assert (
            made.labels(range(6), epoch)
            == made.batch(range(6), epoch).labels
            == len(made.batch(range(6), epoch).targets)
        )


def test_special_tokens_are_never_covered_and_each_row_has_something_to_learn() -> None:
    rows = running(40, longest=4)
    made = batches(rows)
    for row in range(40):
        batch = made.batch([row], 0)
        assert batch.labels >= 1
        read = int(batch.attention.sum())
        assert (batch.ids[0, 0], batch.ids[0, read - 1]) == (BEGIN, END)
        assert torch.equal(torch.tensor(rows.row(row)[0][batch.places.numpy()]).long(), batch.targets)
        untouched = np.setdiff1d(np.arange(read), batch.places.numpy())
        assert torch.equal(batch.ids[0][untouched], torch.tensor(rows.row(row)[0][untouched]).long())


def test_shares_are_those_of_the_paper() -> None:
    rows = TokenRows.of([EncodedRow([7] * 20_000, [True] * 20_000)])
    batch = batches(rows).batch([0], 0)
    seen = batch.ids[0][batch.places]
    assert batch.labels == pytest.approx(3000, rel=0.05)
    assert float((seen == COVER).float().mean()) == pytest.approx(0.8, abs=0.03)
    assert float((seen == 7).float().mean()) == pytest.approx(0.1, abs=0.03)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_encoder(tmp_path_factory.mktemp("masked"), head=True)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "electra"])
def test_the_loss_is_that_of_the_models_own_head(kind: str, tmp_path: Path) -> None:
    model: Any = load_masked(make_tiny_encoder(tmp_path, architecture=kind, head=True), "fp32", seed=0).model.eval()
    batch = batches(running()).batch(range(6), 0)
    made = Masking(model, make=batches, perplexity=perplexity)
    logits = model(input_ids=batch.ids, attention_mask=batch.attention).logits.flatten(0, 1)[batch.places]
    expected = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum")
    found = made.loss(batch)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    ours, theirs = (torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        if other is not None:
            assert one is not None
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()) + 1e-7)


def test_a_head_that_the_files_do_not_hold_is_named(folder: Path, tmp_path: Path) -> None:
    assert load_masked(folder, "fp32", seed=0).parts == []
    bare = load_masked(make_tiny_encoder(tmp_path), "fp32", seed=0)
    assert bare.parts == ["cls.predictions.transform.LayerNorm", "cls.predictions.transform.dense"]
    again = load_masked(tmp_path, "fp32", seed=0).model
    assert torch.equal(bare.model.cls.predictions.transform.dense.weight, again.cls.predictions.transform.dense.weight)


def test_perplexity_is_reported(folder: Path) -> None:
    made = Masking(load_masked(folder, "fp32", seed=0).model, make=batches, perplexity=perplexity)
    assert made.metrics({"loss": 20.0}, 10) == {"perplexity": pytest.approx(np.exp(2))}
