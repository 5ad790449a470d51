"""Evaluations of models of pictures and sounds: what their training reported of its best weights is found again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Call, tunesmith
from integration.conftest import Here
from integration.jobs import begin, tiny_job
from made_pipelines import draw_shapes, write_sd
from made_scenes import make_detector, write_scenes
from made_sounds import make_ast, make_wav2vec2, make_whisper, write_classes, write_speech
from modalities.vision.pictures import draw_classes
from modalities.vision.test_families import write as make_classifier
from picture_models import COLOURS, SHAPES, draw, make_pair, make_talker
from tunesmith.modalities import task_of
from tunesmith.runs import checkpoints
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder, run_folders
from tunesmith.service.jobs import evaluation
from tunesmith.settings import Settings
from tunesmith.spec.events import Evaluated
from tunesmith.spec.job import Evaluation
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe

__all__ = ["tunesmith"]

SAID = ["abc", "fed", "bad", "cab fed", "dab", "face", "bead", "deaf"]
Make = Callable[[Path], Path]


def shapes(at: Path, count: int = 16) -> Path:
    """Pictures of shapes with a question each."""
    rows = []
    for number in range(count):
        shape, colour = SHAPES[number % 3], list(COLOURS)[number % 6]
        draw(at / f"{number}.png", shape, colour, seed=number)
        rows.append(json.dumps({"image": f"{number}.png", "question": "What?", "answer": f"a {colour} {shape}"}))
    (at / "rows.jsonl").write_text("\n".join(rows))
    return at / "rows.jsonl"


def captions(at: Path) -> Path:
    """The same pictures with captions."""
    rows = [json.loads(line) for line in shapes(at).read_text().splitlines()]
    lines = [json.dumps({"image": row["image"], "caption": f"{n}: {row['answer']}"}) for n, row in enumerate(rows)]
    (at / "rows.jsonl").write_text("\n".join(lines))
    return at / "rows.jsonl"


def drawings(at: Path) -> Path:
    rows = [{"file_name": f"images/{name}", "text": text} for name, text in draw_shapes(at / "images", 8)]
    (at / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return at


@dataclass(frozen=True)
class Case:
    model: Make
    data: Make
    method: str
    task: str
    judged_by: str
    """The metric that stands first."""
    compared: bool = True
    """Whether the base can do the task too."""
    within: float = 1e-3
    """How far the loss may be off: pictures meet other noise where rows are in another order."""
    options: tuple[tuple[str, Any], ...] = ()


SHADES = partial(draw_classes, count=5)
SCENES = partial(write_scenes, train=4, val=3, size=64)
SPEECH = partial(write_speech, texts=SAID)
TONES = partial(write_classes, count=5)
ANSWERED = (("answered", 2), ("answer_tokens", 8))
CASES = {
    "detector": Case(make_detector, SCENES, "full", "object-detection", "map", compared=False),
    "whisper": Case(make_whisper, SPEECH, "lora", "speech-recognition", "wer"),
    "ast": Case(make_ast, TONES, "full", "audio-classification", "accuracy", compared=False),
    "pair": Case(make_pair, captions, "lora", "image-text-contrastive", "recall_at_1"),
    "talker": Case(partial(make_talker, kind="llava"), shapes, "lora", "image-text-to-text", "loss", options=ANSWERED),
}
MORE = {
    "classifier of convolutions": Case(
        partial(make_classifier, model_type="mobilenet_v2"), SHADES, "full", "image-classification", "accuracy",
        compared=False,
    ),
    "classifier": Case(
        partial(make_classifier, model_type="vit"), SHADES, "lora", "image-classification", "accuracy",
        compared=False,
    ),
    "image tower": Case(
        partial(make_classifier, model_type="clip"), SHADES, "full", "image-classification", "accuracy",
        compared=False,
    ),
    "ctc": Case(make_wav2vec2, SPEECH, "full", "speech-recognition", "wer", compared=False),
    "whisper, every weight": Case(make_whisper, SPEECH, "full", "speech-recognition", "wer"),
    "sounds by an adapter": Case(
        make_wav2vec2, TONES, "lora", "audio-classification", "accuracy", compared=False
    ),
    "pair, every weight": Case(make_pair, captions, "full", "image-text-contrastive", "recall_at_1"),
    "talker, every weight": Case(
        partial(make_talker, kind="smolvlm"), shapes, "full", "image-text-to-text", "loss", options=ANSWERED
    ),
    "pictures made": Case(write_sd, drawings, "lora", "text-to-image", "loss", within=0.01),
    "pictures made, every weight": Case(write_sd, drawings, "full", "text-to-image", "loss", within=0.01),
}  # fmt: skip
"""What takes longer, and has nothing of its own to show on every change."""


@pytest.fixture(autouse=True)
def evaluates_here(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "LocalExecutor", lambda: here)


def trained(case: Case, tmp_path: Path, home: Path) -> RunFolder:
    (tmp_path / "data").mkdir(exist_ok=case.data is not SHADES)
    if case.data is SHADES:
        (tmp_path / "data").rmdir()
    job = tiny_job(
        case.model(tmp_path / "model"), case.data(tmp_path / "data"), tmp_path / "out", method=case.method, length=None,
        epochs=2, learning_rate=1e-3, batch=BatchRecipe(size=8, accumulation=1), adapter=AdapterRecipe(rank=4),
        evaluate_every=None, options=dict(case.options), task=case.task,
        evaluation=Evaluation(validation_split=None if case.data is SCENES else 0.25, test_prompts=0),
    )  # fmt: skip
    return begin(job, Settings(home=home))


def best_evaluation(run: RunFolder) -> Evaluated:
    """What the training said of the weights that its result has."""
    found = evaluations(run)
    return next(each for each in found if each.validation_loss == found[-1].best_validation_loss)


def evaluations(run: RunFolder) -> list[Evaluated]:
    return [event.body for event in read(run.events)[0] if isinstance(event.body, Evaluated)]


def evaluated(tunesmith: Call, capsys: pytest.CaptureFixture[str], model: str, *flags: str) -> dict[str, Any]:
    capsys.readouterr()
    said = tunesmith("evaluate", model, "--json", "--device", "cpu", "--bootstrap", "100", *flags)
    assert said.status == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


def agrees(case: Case, tunesmith: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path) -> None:
    told = best_evaluation(trained(case, tmp_path, home))
    result = evaluated(tunesmith, capsys, str(tmp_path / "out"))
    [group] = result["groups"]
    values = {each["metric"]: each["model"] for each in group["measurements"]}
    assert (result["task"], group["per"], result["precision"]) == (case.task, task_of(case.task).counts, "fp32")
    assert next(iter(values)) == case.judged_by
    assert values == pytest.approx({**told.metrics, "loss": told.validation_loss}, rel=case.within, abs=1e-5)
    assert (result["verdict"] is not None) is case.compared
    assert any(each["baseline"] is not None for each in group["measurements"]) is case.compared
    notes = " ".join(result["notes"])
    assert ("no head for the task" in notes) is not case.compared


@pytest.mark.parametrize("name", CASES)
def test_what_the_training_reported_is_found_again(
    name: str, tunesmith: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    agrees(CASES[name], tunesmith, capsys, tmp_path, home)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_what_other_models_reported_is_found_again(
    name: str, tunesmith: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    agrees(MORE[name], tunesmith, capsys, tmp_path, home)


def test_what_was_computed_of_training_pictures_is_not_computed_again(
    tunesmith: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    training = trained(MORE["pictures made"], tmp_path, home)
    evaluated(tunesmith, capsys, str(tmp_path / "out"))
    [measuring] = (run for run in run_folders(home / "runs") if run.path != training.path)
    kept = {file.name: file.stat().st_ino for file in (training.path / "latents").iterdir()}
    again = {file.name: file.stat().st_ino for file in (measuring.path / "latents").iterdir()}
    assert kept and kept.items() <= again.items()


def test_a_result_that_lost_weights_is_not_measured_and_a_number_format_holds(
    tunesmith: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    from safetensors.torch import load_file, save_file

    trained(CASES["ast"], tmp_path, home)
    assert evaluated(tunesmith, capsys, str(tmp_path / "out"), "--precision", "bf16")["precision"] == "bf16"
    shown = tunesmith("evaluate", str(tmp_path / "out"), "--device", "cpu")
    assert shown.status == 0
    assert "answered in full" not in shown.out
    assert "were taken for" in shown.out

    file = tmp_path / "out" / "model.safetensors"
    weights = load_file(file)
    lost = next(name for name in weights if name.endswith("layernorm.weight"))
    save_file({name: each for name, each in weights.items() if name != lost}, file, metadata={"format": "pt"})
    said = tunesmith("evaluate", str(tmp_path / "out"), "--device", "cpu")
    assert said.status == 78
    assert "its files lack 'audio_spectrogram_transformer.layernorm.weight', which was trained" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pair", "detector", "pictures made", "pictures made, every weight"])
def test_a_checkpoint_is_measured_as_it_was_saved(
    name: str, tunesmith: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    case = {**CASES, **MORE}[name]
    run = trained(case, tmp_path, home)
    last = checkpoints.listed(run)[-1]
    [told] = [each for each in evaluations(run) if each.step == last.step]
    result = evaluated(tunesmith, capsys, str(last.path))
    values = {each["metric"]: each["model"] for each in result["groups"][0]["measurements"]}
    assert values == pytest.approx({**told.metrics, "loss": told.validation_loss}, rel=case.within, abs=1e-5)
