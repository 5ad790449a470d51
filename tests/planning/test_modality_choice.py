from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.planning.modality_choice import choose_modality
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef

PICTURE = {"image": "a.png", "question": "What is it?", "answer": "A cat."}
LABELLED = {"image": "a.png", "label": "cat"}
CAPTION = {"image": "a.png", "caption": "A cat."}
PREFERENCE = {"prompt": "Hello", "chosen": "Good day.", "rejected": "What?"}
TEXT = {"text": "Once upon a time."}


def job(folder: Path, model: dict[str, str], row: dict[str, str], task: str | None = None) -> JobSpec:
    name = "model_index.json" if "_class_name" in model else "config.json"
    (folder / name).write_text(json.dumps(model))
    data = folder / "rows.jsonl"
    data.write_text(json.dumps(row) + "\n")
    return JobSpec(model=ModelRef(source=str(folder)), datasets=[DatasetRef(uri=str(data))], task=task)


@pytest.mark.parametrize(
    ("model_type", "row", "modality"),
    [
        ("llama", TEXT, "text"),
        ("llama", PICTURE, "text"),
        ("a type that no table names", TEXT, "text"),
        ("vit", LABELLED, "vision"),
        ("clip", LABELLED, "vision"),
        ("clip", CAPTION, "multimodal"),
        ("gemma3", TEXT, "text"),
        ("gemma3", PICTURE, "multimodal"),
        ("qwen2_vl", PICTURE, "multimodal"),
        ("qwen2_vl", TEXT, "text"),
        ("qwen2_vl", PREFERENCE, "text"),
        ("whisper", TEXT, "audio"),
    ],
)
def test_model_and_data_tell_the_modality(tmp_path: Path, model_type: str, row: dict[str, str], modality: str) -> None:
    spec = job(tmp_path, {"model_type": model_type}, row)
    assert choose_modality(spec, tmp_path).name == modality


def test_a_typed_task_tells_it_whatever_the_model_is(tmp_path: Path) -> None:
    spec = job(tmp_path, {"model_type": "clip"}, CAPTION, task="image-classification")
    assert choose_modality(spec, tmp_path).name == "vision"


def test_a_pipeline_is_known_by_its_class(tmp_path: Path) -> None:
    spec = job(tmp_path, {"_class_name": "StableDiffusionPipeline"}, CAPTION)
    assert choose_modality(spec, tmp_path).name == "diffusion"
