"""What a folder of a model can be asked, from its files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.modalities.folders import is_adapter, is_model, use_of


def folder(place: Path, name: str, **content: Any) -> Path:
    place.mkdir(exist_ok=True)
    (place / name).write_text(json.dumps(content))
    return place


@pytest.mark.parametrize(
    ("model_type", "architecture", "kind"),
    [
        ("vit", "ViTForImageClassification", "picture"),
        ("resnet", "ResNetForImageClassification", "picture"),
        ("clip", "CLIPForImageClassification", "picture"),
        ("clip", "CLIPModel", "pair"),
        ("yolos", "YolosForObjectDetection", "detector"),
        ("whisper", "WhisperForConditionalGeneration", "speech"),
        ("wav2vec2", "Wav2Vec2ForCTC", "ctc"),
        ("wav2vec2", "Wav2Vec2ForSequenceClassification", "sound"),
        ("llava", "LlavaForConditionalGeneration", "talker"),
        ("llama", "LlamaForCausalLM", None),
        ("bert", "BertForSequenceClassification", None),
        ("gemma3", "Gemma3ForConditionalGeneration", None),
        ("unheard", "UnheardForCausalLM", None),
    ],
)
def test_a_model_from_elsewhere_is_known_by_its_architecture(
    tmp_path: Path, model_type: str, architecture: str, kind: str | None
) -> None:
    found = use_of(folder(tmp_path, "config.json", model_type=model_type, architectures=[architecture]))
    assert (found.kind if found else None) == kind


def test_a_model_of_text_with_eyes_sees_where_it_is_asked_about_pictures(tmp_path: Path) -> None:
    place = folder(tmp_path, "config.json", model_type="gemma3", architectures=["Gemma3ForConditionalGeneration"])
    found = use_of(place, sees=True)
    assert found is not None and "chat" in found.ways


@pytest.mark.parametrize(
    ("task", "kind"),
    [("audio-classification", "sound"), ("speech-recognition", "ctc"), ("chat", None), ("classification", None)],
)
def test_what_was_trained_says_what_it_is(tmp_path: Path, task: str, kind: str | None) -> None:
    base = folder(tmp_path / "base", "config.json", model_type="wav2vec2", architectures=["Wav2Vec2Model"])
    adapter = folder(tmp_path / "adapter", "adapter_info.json", task=task)
    found = use_of(base, adapter)
    assert (found.kind if found else None) == kind


def test_a_pipeline_makes_pictures(tmp_path: Path) -> None:
    place = folder(tmp_path, "model_index.json", _class_name="StableDiffusionPipeline")
    found = use_of(place)
    assert is_model(place) and found is not None and found.ways == ("draw",)


def test_an_adapter_is_known_by_its_files(tmp_path: Path) -> None:
    assert not is_adapter(tmp_path) and not is_model(tmp_path)
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(b"")
    assert is_adapter(tmp_path)
