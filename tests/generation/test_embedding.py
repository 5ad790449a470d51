"""Sentence vectors, beside what transformers gives for each text alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM

from tiny import make_tiny_encoder
from tunesmith.generation.decoder import Ask, Decoder
from tunesmith.generation.embedding import Embedder
from tunesmith.spec.errors import PoolingUnknown, PromptTooLong
from tunesmith.spec.sampling import Sampling

ROWS = [[5, 6, 7], [8], list(range(10, 60)), [5, 6, 7]]


def alone(model: Any, row: list[int], pool: str) -> torch.Tensor:
    with torch.inference_mode():
        states = model(input_ids=torch.tensor([row])).last_hidden_state[0]
    pooled = {"mean": states.mean(0), "cls": states[0], "lasttoken": states[-1]}[pool]
    return pooled / pooled.norm()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tiny_encoder(tmp_path / "bert")


def pooled_by(folder: Path, **said: object) -> Path:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **said}))
    return folder


@pytest.mark.parametrize(
    ("said", "pool"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_pools_as_the_folder_says(folder: Path, said: dict[str, object], pool: str) -> None:
    model = AutoModel.from_pretrained(pooled_by(folder, **said)).eval()
    vectors = Embedder(model, folder)(ROWS)
    for row, vector in zip(ROWS, vectors, strict=True):
        assert torch.allclose(vector, alone(model, row, pool), atol=1e-5)


def test_takes_the_mean_where_the_folder_says_nothing(folder: Path) -> None:
    model = AutoModel.from_pretrained(folder).eval()
    [vector] = Embedder(model, folder)([ROWS[2]])
    assert torch.allclose(vector, alone(model, ROWS[2], "mean"), atol=1e-5)


def test_another_way_to_pool_is_refused(folder: Path) -> None:
    model = AutoModel.from_pretrained(pooled_by(folder, pooling_mode_max_tokens=True))
    with pytest.raises(PoolingUnknown, match="max_tokens"):
        Embedder(model, folder)


@pytest.mark.parametrize(("architecture", "limit"), [("bert", 512), ("roberta", 512)])
def test_a_text_may_be_as_long_as_the_model_sees(tmp_path: Path, architecture: str, limit: int) -> None:
    folder = make_tiny_encoder(tmp_path / architecture, architecture=architecture, pad_token_id=1)
    embed = Embedder(AutoModel.from_pretrained(folder).eval(), folder)
    assert embed([[5] * limit]).shape == (1, 32)
    with pytest.raises(PromptTooLong, match=str(limit)):
        embed([[5], [5] * (limit + 1)])
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128}')
    assert Embedder(AutoModel.from_pretrained(folder), folder).limit == 128


def test_a_model_that_writes_gives_vectors_at_the_same_time(tiny_model: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    expected = alone(model.base_model, ROWS[0], "mean")
    decoder = Decoder(model)
    ticket = decoder.submit(Ask([5, 6], Sampling(max_tokens=200)))
    try:
        next(ticket)
        for _ in range(5):
            assert torch.allclose(Embedder(model, tiny_model)(ROWS)[0], expected, atol=1e-5)
        assert sum(1 for _ in ticket) == 199
    finally:
        decoder.close()
