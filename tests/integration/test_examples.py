"""Each job of ``examples/`` on a tiny model of its kind: it runs as it is written, and resumes to the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.jobs import digest
from made_pipelines import draw_shapes, write_sd
from made_scenes import make_detector, write_scenes
from made_sounds import make_wav2vec2, make_whisper, write_classes, write_speech
from modalities.vision.pictures import draw_classes
from modalities.vision.test_families import write as make_classifier
from picture_models import COLOURS, SHAPES, draw, make_pair, make_talker
from tiny import make_tiny_encoder, make_tiny_model
from tunesmith.runs import checkpoints
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.events import Finished
from tunesmith.spec.job import Evaluation, JobSpec, ModelRef, Output, Resources
from tunesmith.worker import train
from tunesmith.worker.reporting import Reporter

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
SAID = [first + second for first in "abcd" for second in "abcd"]


def rows(folder: Path, records: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def chats(folder: Path) -> Path:
    return rows(folder, [{"instruction": f"Say {number}.", "output": f"It is {number}."} for number in range(40)])


def preferences(folder: Path) -> Path:
    says = [{"prompt": f"Say {number}.", "chosen": f"{number}", "rejected": "No."} for number in range(24)]
    return rows(folder, says)


def mails(folder: Path) -> Path:
    return rows(folder, [{"text": f"mail {number}", "label": "spam" if number % 2 else "ham"} for number in range(40)])


def texts(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.txt").write_text("\n\n".join(f"Line {line} of {number}." * 9 for line in range(40)))
    return folder


def pictures(folder: Path, **said: str) -> Path:
    """Pictures of things, and what is said of each: ``said`` names the fields, in which {} is what is seen."""
    records = []
    for number in range(20):
        shape, colour = SHAPES[number % 3], list(COLOURS)[number % 5]
        file = draw(folder / f"{number}.png", shape, colour, seed=number)
        records.append({"image": file.name} | {name: text.format(f"{colour} {shape}") for name, text in said.items()})
    return rows(folder, records)


def captioned(folder: Path) -> Path:
    for name, prompt in draw_shapes(folder, 12):
        (folder / name).with_suffix(".txt").write_text(prompt)
    return folder


Made = Callable[[Path], Path]
WORLDS: dict[str, tuple[Made, Made, dict[str, Any]]] = {
    "chat-lora": (make_tiny_model, chats, {}),
    "chat-full": (make_tiny_model, chats, {}),
    "dpo": (make_tiny_model, preferences, {}),
    "pretraining": (make_tiny_model, texts, {}),
    "classification": (make_tiny_encoder, mails, {}),
    "mlm": (lambda folder: make_tiny_encoder(folder, head=True), texts, {}),
    "image-classification": (
        lambda folder: make_classifier(folder, "mobilenet_v2"), lambda at: draw_classes(at, 8), {}
    ),
    "object-detection": (
        make_detector, lambda at: write_scenes(at, train=16, val=4, size=64), {"image_size": 64}
    ),
    "speech-recognition": (make_whisper, lambda at: write_speech(at, SAID), {}),
    "audio-classification": (make_wav2vec2, lambda at: write_classes(at, 10), {}),
    "image-text-contrastive": (make_pair, lambda at: pictures(at, caption="a {}"), {}),
    "image-text-to-text": (
        lambda folder: make_talker(folder, "smolvlm"), lambda at: pictures(at, question="What?", answer="{}"), {}
    ),
    "text-to-image": (write_sd, captioned, {"sample_steps": 2}),
}  # fmt: skip
"""A tiny model, its data, and the options that only say how large things are."""


def test_every_example_has_a_tiny_world() -> None:
    assert {path.stem for path in EXAMPLES} == WORLDS.keys()


def small(path: Path, place: Path) -> JobSpec:
    """The example's job on a tiny model: everything as it is written, but for places, sizes and the time it takes."""
    model, data, options = WORLDS[path.stem]
    spec = JobSpec.model_validate(yaml.safe_load(path.read_text()))
    recipe = spec.recipe.model_dump(exclude_unset=True) | {
        "max_steps": 6, "precision": "fp32", "checkpoints": {"every_steps": 2, "keep": 9},
    }  # fmt: skip
    recipe["batch"] = {"size": 4, "accumulation": 1}
    [dataset] = spec.datasets
    return JobSpec.model_validate(
        spec.model_dump(exclude_unset=True)
        | {
            "model": ModelRef(source=str(model(place / "model"))),
            "datasets": [dataset.model_copy(update={"uri": str(data(place / "data"))})],
            "recipe": recipe,
            "options": spec.options | options,
            "evaluation": Evaluation(validation_split=0.2, test_prompts=0),
            "output": Output(dir=str(place / "out")),
            "resources": Resources(device="cpu", threads=1),
        }
    )


def weights(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): digest(file) for file in sorted(folder.rglob("*.safetensors"))
            if "checkpoints" not in file.parts}  # fmt: skip


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_resumes_to_the_same_weights(path: Path, home: Path, tmp_path: Path) -> None:
    plan = plan_job(small(path, tmp_path), Settings(home=home))
    straight = RunFolder.create(home, kind="train", name="straight", plan=plan)
    train.run(straight, Reporter(straight))
    assert [event.body for event in read(straight.events, 0)[0] if isinstance(event.body, Finished)]
    start = next(each.path for each in checkpoints.listed(straight) if each.step == 2)
    again = RunFolder.create(home, kind="train", name="again", plan=plan, parent=straight, start=start)
    train.run(again, Reporter(again))
    assert weights(again.artifacts_dir) == weights(straight.artifacts_dir) != {}
