"""One label a row: the loss of the model's own head, and what is counted for each class."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiny import make_tiny_encoder, make_tiny_model
from training.parts import CPU
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.spec.errors import UnknownLabel
from tunesmith.training.classification import LISTED, Classification, in_32_bits, of_tokens
from tunesmith.training.loading import head_parts, load_classifier

CLASSES = ["ham", "junk", "spam"]
LABELS = ["spam", "ham", "junk"]
"""The same by their numbers in the data, first seen first."""


def classification(model: Any, fill: int = 0, **said: Any) -> Classification:
    """The objective for tokens that are padded with a token."""
    return Classification(model, device=CPU, inputs=partial(of_tokens, device=CPU, fill=fill), **said)


def labelled(numbers: list[int], seed: int = 0) -> TokenRows:
    random = np.random.default_rng(seed)
    drawn = [random.integers(0, 256, int(random.integers(2, 20))).tolist() for _ in numbers]
    made = TokenRows.of(EncodedRow(ids, [place == 1 for place in range(len(ids))]) for ids in drawn)
    return TokenRows(made.ids, made.mask, made.starts, made.lengths, np.array(numbers))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("decoder"), pad_token_id=None)


def objective(folder: Path, *, given: bool = False) -> tuple[Any, Classification]:
    model = load_classifier(folder, "fp32", CLASSES, seed=1).model.eval()
    fill = model.config.pad_token_id
    return model, classification(model, fill, classes=CLASSES, labels=LABELS, given=given)


@pytest.mark.parametrize("folder", ["encoder", "decoder"])
def test_the_loss_is_that_of_each_row_alone(folder: str, request: pytest.FixtureRequest) -> None:
    model, made = objective(request.getfixturevalue(folder))
    rows = labelled([0, 1, 2, 0, 1])
    batch = made.rows(rows).batch([0, 1, 2, 3, 4])
    expected = sum(
        torch.nn.functional.cross_entropy(
            model(input_ids=torch.tensor(rows.row(row)[0], dtype=torch.long).unsqueeze(0)).logits,
            torch.tensor([CLASSES.index(LABELS[number])]),
        )
        for row, number in enumerate([0, 1, 2, 0, 1])
    )
    assert made.loss(batch).item() == pytest.approx(float(expected), rel=1e-5)
    assert (batch.labels, batch.tokens) == (5, int(rows.lengths.sum()))


def test_a_head_that_is_missing_starts_the_same_from_the_same_seed(encoder: Path) -> None:
    one, same, other = (load_classifier(encoder, "fp32", CLASSES, seed=seed) for seed in (1, 1, 2))
    assert one.parts == ["classifier"]
    assert torch.equal(one.model.classifier.weight, same.model.classifier.weight)
    assert not torch.equal(one.model.classifier.weight, other.model.classifier.weight)
    assert one.model.config.id2label == dict(enumerate(CLASSES))


def test_a_head_is_kept_for_its_own_classes_alone(encoder: Path, tmp_path: Path) -> None:
    trained = load_classifier(encoder, "fp32", CLASSES, seed=1).model
    trained.save_pretrained(tmp_path)
    kept = load_classifier(tmp_path, "fp32", CLASSES, seed=7)
    assert (kept.parts, torch.equal(kept.model.classifier.weight, trained.classifier.weight)) == ([], True)
    for classes in (["a", "b", "c"], ["ham", "spam"], CLASSES[::-1]):
        again = load_classifier(tmp_path, "fp32", classes, seed=7).model
        assert again.classifier.out_features == len(classes)
        assert not torch.equal(again.classifier.weight[:2], trained.classifier.weight[:2])


def test_the_head_computes_in_32_bits_over_layers_that_do_not(encoder: Path) -> None:
    model = load_classifier(encoder, "bf16", CLASSES, seed=1).model
    for _, head in head_parts(model):
        in_32_bits(head)
    logits = model(input_ids=torch.tensor([[1, 2, 3]])).logits
    assert (logits.dtype, model.classifier.weight.dtype, model.bert.pooler.dense.weight.dtype) == (
        torch.float32, torch.float32, torch.bfloat16,
    )  # fmt: skip


def test_each_class_is_counted(encoder: Path) -> None:
    _, made = objective(encoder)
    sums = {"loss": 1.0}
    for name, counts in {"rows": [6, 2, 2], "taken": [5, 3, 2], "right": [5, 1, 0]}.items():
        sums |= {f"{name} {number}": float(count) for number, count in enumerate(counts)}
    found = made.metrics(sums, 10)
    assert found["accuracy"] == pytest.approx(0.6)
    assert found["majority_share"] == pytest.approx(0.6)
    assert found["macro_f1"] == pytest.approx((10 / 11 + 2 / 5 + 0) / 3)
    assert (found["rows of spam"], found["f1 of ham"]) == (2.0, pytest.approx(10 / 11))


def test_measuring_in_parts_adds_up(encoder: Path) -> None:
    _, made = objective(encoder)
    rows = made.rows(labelled([0, 1, 2, 0, 1, 1]))
    with torch.no_grad():
        whole = made.measure(rows.batch(range(6)))
        parts = [made.measure(rows.batch(part)) for part in ([0, 1], [2, 3, 4, 5])]
    assert {name: parts[0][name] + parts[1][name] for name in whole} == pytest.approx(whole)
    assert sum(whole[f"rows {number}"] for number in range(3)) == 6


def test_eighty_classes_are_told_one_by_one() -> None:
    names = [f"class {number:02}" for number in range(80)]
    made = classification(None, classes=names, labels=names, given=False)
    sums = {f"{what} {number}": 1.0 for what in ("rows", "taken", "right") for number in range(len(names))}
    found = made.metrics(sums, len(names))
    assert [found[f"f1 of {name}"] for name in names] == [1.0] * 80


def test_of_very_many_classes_only_the_averages_are_told(encoder: Path) -> None:
    names = [f"class {number:02}" for number in range(LISTED + 1)]
    made = classification(None, classes=names, labels=names, given=False)
    sums = {f"{what} {number}": 1.0 for what in ("rows", "taken", "right") for number in range(len(names))}
    assert set(made.metrics(sums, len(names))) == {"accuracy", "macro_f1", "majority_share"}


def test_a_class_that_is_not_trained_is_a_fault_where_the_user_held_its_rows_out() -> None:
    def made(given: bool) -> Classification:
        return classification(None, classes=["ham", "spam"], labels=LABELS, given=given)

    with pytest.raises(UnknownLabel, match="'junk'"):
        made(True).rows(labelled([0, 1, 2]))
    lenient = made(False)
    assert len(lenient.rows(labelled([0, 1, 2, 2])).lengths) == 2
    assert "2 rows held out are not used" in lenient.warnings[0]


def test_what_rows_are_taken_for_adds_up_whatever_the_size_of_batches(encoder: Path) -> None:
    _, objects = objective(encoder)
    rows = labelled([0, 1, 2, 0, 1, 2, 1])
    with torch.no_grad():
        sums = objects.measure(objects.rows(rows).batch(range(7)))
    found = [objects.confusion(objects.rows(rows), limit) for limit in (8, 10_000)]
    counts = np.array(found[0]["counts"])
    assert found[0] == found[1] and found[0]["classes"] == CLASSES
    assert counts.sum(1).tolist() == [sums[f"rows {place}"] for place in range(3)]
    assert counts.sum(0).tolist() == [sums[f"taken {place}"] for place in range(3)]
    assert counts.diagonal().tolist() == [sums[f"right {place}"] for place in range(3)]
