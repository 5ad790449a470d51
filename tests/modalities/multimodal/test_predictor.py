from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

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
from tunesmith.spec.examples import PICTURE_MARK, Message


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


def talker(folder: Path, kind: str = "llava") -> TalkPredictor:
    predictor = load_predictor(make_talker(folder, kind))
    assert isinstance(predictor, TalkPredictor)
    return predictor


def asking(text: str, *before: Message) -> list[Message]:
    return [*before, Message("user", f"{PICTURE_MARK}{text}")]


def test_a_chat_tells_how_long_it_is_and_why_it_ends(tmp_path: Path) -> None:
    predictor, picture = talker(tmp_path / "model"), draw(tmp_path / "a.png", "circle", "red").read_bytes()
    said = predictor.chat(asking("What?"), [picture], max_tokens=6)
    assert (said["tokens"], said["finish_reason"]) == (6, "length") and said["prompt_tokens"] > 6
    room = 512 - said["prompt_tokens"]
    assert predictor.chat(asking("What?"), [picture], max_tokens=10**6)["tokens"] <= room
    steps: list[int] = []
    ended = predictor.chat(
        asking("What?"), [picture], max_tokens=400, stopped=lambda: steps.append(1) or len(steps) > 2
    )
    assert ended["tokens"] == 3
    with pytest.raises(BadValue, match="less than the model can read"):
        predictor.chat(asking("What? " * 500), [picture])


@pytest.mark.parametrize("kind", ["llava", "qwen2_vl"])
def test_a_chat_goes_on_with_several_pictures_and_instructions(kind: str, tmp_path: Path) -> None:
    predictor = talker(tmp_path / "model", kind)
    red, blue = (draw(tmp_path / f"{name}.png", "circle", name, side=56).read_bytes() for name in ("red", "blue"))
    before = [Message("system", "Say one word."), *asking("Which?"), Message("assistant", "Red.")]
    said = predictor.chat([*before, *asking("And this?")], [red, blue], max_tokens=5)
    assert said == predictor.chat([*before, *asking("And this?")], [red, blue], max_tokens=5)
    assert said["prompt_tokens"] > predictor.chat(asking("And this?"), [blue], max_tokens=1)["prompt_tokens"] + 10
    alone = predictor.chat([Message("user", PICTURE_MARK)], [red], max_tokens=5)
    assert alone == predictor.chat(asking("Describe the picture."), [red], max_tokens=5)


def test_how_answers_are_drawn_is_for_who_asks_to_say(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    talker(folder)
    said = json.loads((folder / "generation_config.json").read_text())
    narrow = {**said, "do_sample": True, "top_p": 0.001, "top_k": 1, "min_p": 0.9, "repetition_penalty": 5.0}
    picture = draw(tmp_path / "a.png", "circle", "red").read_bytes()
    plain = load_predictor(folder).predict(picture, "What?", max_tokens=6)
    (folder / "generation_config.json").write_text(json.dumps(narrow))
    predictor = load_predictor(folder)
    assert predictor.predict(picture, "What?", max_tokens=6) == plain
    drawn = {predictor.predict(picture, "What?", max_tokens=6, temperature=5.0, seed=seed)["text"] for seed in range(4)}
    assert len(drawn) > 1
    least = {"temperature": 5.0, "top_p": 1e-6}
    assert {str(predictor.predict(picture, "What?", max_tokens=6, seed=seed, **least)) for seed in range(4)} == {
        str(plain)
    }


def test_an_adapter_is_asked_by_the_template_that_it_was_trained_with(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    folder = make_talker(tmp_path / "model", "llava")
    model = AutoModelForImageTextToText.from_pretrained(folder)
    get_peft_model(model, LoraConfig(target_modules=["q_proj"])).save_pretrained(tmp_path / "lora")
    base, picture = load_predictor(folder), draw(tmp_path / "a.png", "circle", "red").read_bytes()
    template = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
    (tmp_path / "lora" / "chat_template.jinja").write_text(template.replace("assistant", "the one who answers"))
    adapted = load_predictor(folder, tmp_path / "lora")
    assert isinstance(base, TalkPredictor) and isinstance(adapted, TalkPredictor)
    longer = [each.chat(asking("What?"), [picture], max_tokens=1)["prompt_tokens"] for each in (base, adapted)]
    assert longer[0] < longer[1]


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


@pytest.mark.parametrize("kind", ["qwen2_vl", "llava"])
def test_a_picture_that_is_far_too_thin_is_one_sentence(kind: str, tmp_path: Path) -> None:
    folder = make_talker(tmp_path / kind, kind)
    said = folder / "preprocessor_config.json"
    said.write_text(json.dumps({**json.loads(said.read_text()), "do_pad": True}))
    Image.new("RGB", (1, 60_000)).save(tmp_path / "thin.png")
    why = {
        "qwen2_vl": "more than 200 times as long as wide",
        "llava": "filled up to a square it has 60000 x 60000 pixels",
    }
    with pytest.raises(BadValue, match=rf"^image: '1 x 60000 pixels: .*{why[kind]}") as found:
        load_predictor(folder).predict((tmp_path / "thin.png").read_bytes(), "What?")
    assert found.value.param == "image"
