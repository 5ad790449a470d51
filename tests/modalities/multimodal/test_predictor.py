from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from picture_models import draw, make_pair, make_talker
from tunesmith.modalities.multimodal.encode import PairEncoder
from tunesmith.modalities.multimodal.predictor import (
    PairPredictor,
    TalkPredictor,
    load_predictor,
    padding_of,
    text_inputs,
)
from tunesmith.spec.errors import BadValue


@pytest.mark.parametrize("kind", ["llava", "smolvlm"])
def test_a_talker_answers_about_a_picture_as_transformers_does(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    folder = make_talker(tmp_path / kind, kind)
    predictor = load_predictor(folder)
    assert isinstance(predictor, TalkPredictor)
    picture = draw(tmp_path / "a.png", "circle", "red").read_bytes()
    said = predictor.predict(picture, "What?", max_tokens=6)
    assert said == predictor.predict(picture, "What?", max_tokens=6)
    assert isinstance(said["text"], str)
    assert predictor.predict(None, "Hello", max_tokens=2).keys() == {"text"}
    drawn = [predictor.predict(picture, "What?", max_tokens=6, temperature=5.0, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert AutoModelForImageTextToText.from_pretrained(folder).config.model_type == kind


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2"])
def test_a_pair_embeds_and_ranks_as_the_model_does(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = make_pair(tmp_path / kind, kind)
    predictor = load_predictor(folder)
    assert isinstance(predictor, PairPredictor)
    picture = draw(tmp_path / "a.png", "circle", "red").read_bytes()
    texts = ["a red circle", "a dog that sleeps on a roof"]
    vectors, image = predictor.embed_text(texts), predictor.embed_image(picture)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    alone = np.concatenate([predictor.embed_text([text]) for text in texts])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    found = predictor.predict(picture, "\n".join(texts))["labels"]
    assert found == predictor.predict(picture, candidates=texts)["labels"]
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    model = AutoModel.from_pretrained(folder)
    logits = torch.from_numpy(image @ vectors.T) * model.logit_scale.exp()
    scores = logits.softmax(-1) if kind == "clip" else torch.sigmoid(logits + model.logit_bias)
    named = {each["label"]: each["score"] for each in found}
    np.testing.assert_allclose([named[text] for text in texts], scores[0].detach(), rtol=1e-4)


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2"])
def test_texts_are_filled_up_as_the_models_own_tokenizer_does(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer, Siglip2Tokenizer

    folder = make_pair(tmp_path, kind)
    if kind == "siglip2":
        pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *"abcdefghijklmnopqrstuvwxyz"]
        Siglip2Tokenizer({piece: place for place, piece in enumerate(pieces)}, []).save_pretrained(folder)
    texts, tokenizer = ["a red circle", "A dog that sleeps on a roof"], AutoTokenizer.from_pretrained(folder)
    padding = padding_of(folder, AutoModel.from_pretrained(folder))
    ours = text_inputs([PairEncoder(folder).text(text) for text in texts], padding, torch.device("cpu"))
    fixed = {"padding": "max_length", "max_length": 64} if "attention_mask" not in ours else {"padding": True}
    theirs = tokenizer(texts, return_tensors="pt", padding_side="right", **fixed)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_cannot_be_answered_is_one_sentence(tmp_path: Path) -> None:
    predictor = load_predictor(make_pair(tmp_path))
    with pytest.raises(BadValue, match="a picture"):
        predictor.predict(b"nothing", "a cat")
    with pytest.raises(BadValue, match="labels: "):
        predictor.predict(b"", None)
