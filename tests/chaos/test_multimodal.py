"""Pictures with texts, whole: what tiny models learn from nothing, and a kill that changes nothing."""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from integration.jobs import begin, kill, tiny_job, until_over, until_step, weights_digest
from picture_models import COLOURS, SHAPES, draw, make_pair, make_talker
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import find_resumable, resume
from tunesmith.settings import Settings
from tunesmith.spec.events import Evaluated
from tunesmith.spec.job import DatasetRef, Evaluation, Resources
from tunesmith.spec.recipe import BatchRecipe, CheckpointRecipe
from tunesmith.spec.states import RunState

pytestmark = pytest.mark.chaos


def evaluations(run: RunFolder) -> list[dict[str, float]]:
    return [event.body.metrics for event in read(run.events, 0)[0] if isinstance(event.body, Evaluated)]


def job(model: Path, data: Path, output: Path, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "length": None, "task": None, "precision": "fp32", "method": "full", "learning_rate": 1e-3,
        "batch": BatchRecipe(size=64, accumulation=1), "evaluate_every": 100,
        "resources": Resources(device="cpu", threads=2), "checkpoints": CheckpointRecipe(every_steps=100),
    }  # fmt: skip
    return tiny_job(model, data, output, **given | changes)


def quarters(folder: Path, count: int, seed: int) -> Path:
    """Draw pictures of four coloured quarters, all different, with the names of their colours as captions."""
    every = list(product(COLOURS, repeat=4))
    random.Random(0).shuffle(every)
    begin, rows = (0 if seed == 0 else len(every) - count), []
    for number, names in enumerate(every[begin : begin + count]):
        picture = Image.new("RGB", (32, 32))
        for place, name in enumerate(names):
            left, top = place % 2 * 16, place // 2 * 16
            picture.paste(COLOURS[name], (left, top, left + 16, top + 16))
        file = folder / f"{seed}-{number}.png"
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(file)
        rows.append(json.dumps({"image": str(file), "caption": " ".join(names)}))
    path = folder / f"{seed}.jsonl"
    path.write_text("\n".join(rows))
    return path


def test_recall_rises_from_chance_on_200_pairs_that_were_held_out(tmp_path: Path, home: Path) -> None:
    model = make_pair(tmp_path / "clip", hidden_size=64, intermediate_size=128)
    train, held = quarters(tmp_path / "data", 1000, 0), quarters(tmp_path / "data", 200, 1)
    spec = job(
        model, train, tmp_path / "out", epochs=12, evaluate_every=60,
        evaluation=Evaluation(test_prompts=0),
    ).model_copy(
        update={"datasets": [DatasetRef(uri=str(train)), DatasetRef(uri=str(held), validation=True)]}
    )  # fmt: skip
    run = until_over(begin(spec, Settings(home=home)))
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    found = evaluations(run)
    assert found[0]["recall_at_1"] < 0.05
    assert max(each["recall_at_1"] for each in found) > 0.5


def test_a_tiny_llava_learns_to_name_coloured_shapes(tmp_path: Path, home: Path) -> None:
    model = make_talker(tmp_path / "llava", "llava", side=32, patch=8, hidden_size=64, head_dim=16)
    rows = []
    for number in range(6000):
        shape, colour = SHAPES[number % 3], list(COLOURS)[number // 3 % 6]
        draw(tmp_path / "data" / f"{number}.png", shape, colour, seed=number)
        rows.append(json.dumps({"image": f"{number}.png", "question": "What?", "answer": f"{colour} {shape}"}))
    (tmp_path / "data" / "rows.jsonl").write_text("\n".join(rows))
    options = {"freeze_vision": False, "answered": 100, "answer_tokens": 20}
    spec = job(
        model, tmp_path / "data" / "rows.jsonl", tmp_path / "out", epochs=10, learning_rate=2e-3, options=options,
        batch=BatchRecipe(size=32, accumulation=1), evaluate_every=200,
    )  # fmt: skip
    run = until_over(begin(spec, Settings(home=home)))
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    found = evaluations(run)
    assert found[0]["exact_match"] < 0.1
    assert max(each["exact_match"] for each in found) > 0.9


@pytest.mark.parametrize("task", ["image-text-contrastive", "image-text-to-text"])
def test_a_kill_changes_nothing(task: str, tmp_path: Path, home: Path) -> None:
    settings, pair = Settings(home=home), task == "image-text-contrastive"
    model = make_pair(tmp_path / "model") if pair else make_talker(tmp_path / "model", "qwen2_vl")
    data = quarters(tmp_path / "data", 48, 0)
    digests = []
    for name in ("straight", "killed"):
        spec = job(
            model, data, tmp_path / name, method="lora", epochs=6, learning_rate=0.01, evaluate_every=4,
            batch=BatchRecipe(size=8, accumulation=1, micro_tokens=80), options={} if pair else {"answered": 1},
            resources=Resources(device="cpu", threads=1), checkpoints=CheckpointRecipe(every_steps=3),
        )  # fmt: skip
        run = begin(spec, settings)
        if name == "killed":
            assert until_step(run, 9)
            kill(run)
            run = resume(find_resumable(settings, output=tmp_path / name), settings)
        for _ in follow(run, poll=0.01):
            pass
        assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
        digests.append(weights_digest(run))
    assert digests[0] == digests[1]
