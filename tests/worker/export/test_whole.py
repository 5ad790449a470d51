"""Adapters of recordings, and of pictures with texts, worked into their bases: what training left, merged, opens in
``transformers.pipeline`` and answers as base and adapter do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

from integration.jobs import tiny_job
from made_sounds import make_ast, make_wav2vec2, make_whisper, tones, write_classes, write_speech
from picture_models import COLOURS, SHAPES, draw, make_pair, make_talker
from tunesmith.modalities.folders import use_of
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe
from tunesmith.spec.work import Export, ExportRun, ModelFolders
from tunesmith.worker import train
from tunesmith.worker.export.answers import predictor_of
from tunesmith.worker.export.shown import export_shown
from tunesmith.worker.reporting import Reporter

SAID: Final = ["abc", "fed", "bad", "cab fed", "dab", "face", "bead", "deaf", "ace", "fad", "bed", "cafe"]
QUESTION: Final = "What is it?"


def make_llava(folder: Path) -> Path:
    """A LLaVA with all that its authors publish beside it: a pipeline wants the processor's own file too."""
    make_talker(folder, "llava", side=56)
    processor = {
        "processor_class": "LlavaProcessor", "image_token": "<image>", "patch_size": 14,
        "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default",
    }  # fmt: skip
    (folder / "processor_config.json").write_text(json.dumps(processor))
    template = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
    (folder / "chat_template.jinja").write_text(template)
    return folder


MODELS: Final[dict[str, Callable[[Path], Path]]] = {
    "speech": make_whisper,
    "ctc": make_wav2vec2,
    "sound": make_ast,
    "pair": make_pair,
    "talker": make_llava,
}
"""A model of each kind, by what its folder is used for."""


class Quiet:
    def say(self, body: Any) -> None: ...


def data_for(kind: str, folder: Path) -> Path:
    """Rows for a model of a kind."""
    if kind in ("speech", "ctc"):
        return write_speech(folder, SAID)
    if kind == "sound":
        return write_classes(folder, 8)
    captions, questions = ["image_path,caption"], []
    for number in range(16):
        shape, colour = SHAPES[number % 3], list(COLOURS)[number % 6]
        picture = draw(folder / f"{number}.png", shape, colour, seed=number, side=56)
        captions.append(f"{picture.name},{number}: a {colour} {shape}")
        questions.append(json.dumps({"image": picture.name, "question": QUESTION, "answer": f"a {colour} {shape}"}))
    name, lines = ("captions.csv", captions) if kind == "pair" else ("questions.jsonl", questions)
    (folder / name).write_text("\n".join(lines))
    return folder / name


def adapter_of(model: Path, data: Path, place: Path) -> tuple[RunFolder, Path]:
    """What training leaves, at a rate that changes answers."""
    changes: dict[str, Any] = {
        "method": "lora", "adapter": AdapterRecipe(rank=4, dropout=0.0), "length": None, "task": None, "epochs": 2,
        "batch": BatchRecipe(size=4, accumulation=1), "evaluate_every": None, "learning_rate": 0.02,
    }  # fmt: skip
    plan = plan_job(tiny_job(model, data, place / "out", **changes), Settings(home=place / "home"))
    run = RunFolder.create(place / "home", kind="train", name="merged", plan=plan)
    train.run(run, Reporter(run))
    return run, run.artifacts_dir


def opened(kind: str, folder: Path, shown: Path) -> Any:
    """What ``transformers.pipeline`` says of a row."""
    from transformers import pipeline

    sound = {"raw": tones("abc", seed=0), "sampling_rate": 16_000}
    match kind:
        case "speech" | "ctc":
            return pipeline("automatic-speech-recognition", model=str(folder))(sound)["text"]
        case "sound":
            return {each["label"] for each in pipeline("audio-classification", model=str(folder))(sound)}
        case "pair":
            ask = pipeline("zero-shot-image-classification", model=str(folder))
            said = ask(Image.open(shown), candidate_labels=["a red circle", "something else"], hypothesis_template="{}")
            return {each["label"]: each["score"] for each in said}
    parts = [{"type": "image", "image": Image.open(shown)}, {"type": "text", "text": QUESTION}]
    ask = pipeline("image-text-to-text", model=str(folder))
    said = ask(text=[{"role": "user", "content": parts}], max_new_tokens=8, return_full_text=False, do_sample=False)
    return said[0]["generated_text"]


@pytest.mark.parametrize("kind", MODELS)
def test_what_training_left_is_merged_and_opened_by_transformers(kind: str, tmp_path: Path) -> None:
    base, data = MODELS[kind](tmp_path / "model"), data_for(kind, tmp_path / "data")
    run, adapter = adapter_of(base, data, tmp_path)
    use, whole = use_of(base, adapter), tmp_path / "whole"
    assert use is not None and use.kind == kind
    whole.mkdir()
    source = ModelFolders(name="it", model=str(base), adapter=str(adapter), run=str(run.path))
    request = ExportRun(what=Export.MERGED, source=source, replay=4)
    summary = export_shown(request, whole, tmp_path / "scratch", Quiet())  # type: ignore[arg-type]
    assert summary["parity"]["shown"] == {"of": 4, "same": 4, "source": "training"}
    picture = tmp_path / "data" / "0.png"
    said, own = opened(kind, whole, picture), predictor_of(use, base, adapter)
    if kind == "sound":
        assert said == {"high", "low"}
    elif kind == "pair":
        found = own.predict(picture.read_bytes(), None, candidates=list(said))["labels"]
        assert {each["label"]: each["score"] for each in found} == pytest.approx(said, abs=1e-3)
    elif kind == "talker":
        assert said.strip() == own.predict(picture.read_bytes(), QUESTION, max_tokens=8)["text"].strip()
    else:
        heard = own.predict((tmp_path / "data" / "0.wav").read_bytes())["text"]
        # What does not come to an end fills all its room, which a pipeline takes for a token less.
        assert said.strip()[:60] == heard[:60]
