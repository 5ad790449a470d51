"""A result as it was at a checkpoint: the same files, with the weights of that step."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from integration.jobs import tiny_job
from made_pipelines import draw_shapes, write_sd
from made_scenes import make_detector, write_scenes
from made_sounds import make_ast, write_classes
from modalities.vision.pictures import draw_classes
from modalities.vision.test_families import write as make_classifier
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.errors import NothingToExport
from tunesmith.spec.job import Evaluation
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe, CheckpointRecipe
from tunesmith.worker import train
from tunesmith.worker.reporting import Reporter
from tunesmith.worker.serving.at_checkpoint import result_at

Make = Callable[[Path], Path]


def drawings(at: Path) -> Path:
    rows = [{"file_name": f"images/{name}", "text": text} for name, text in draw_shapes(at / "images", 6)]
    (at / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return at


VIT, CONVOLUTIONS = (partial(make_classifier, model_type=name) for name in ("vit", "mobilenet_v2"))
SHADES = partial(draw_classes, count=4)
SCENES = partial(write_scenes, train=4, val=2, size=64)
CASES: dict[str, tuple[Make, Make, str]] = {
    "a head and an adapter": (VIT, SHADES, "lora"),
    "every weight, and what was seen of batches": (CONVOLUTIONS, SHADES, "full"),
    "names that files have otherwise": (make_ast, partial(write_classes, count=4), "full"),
}
MORE: dict[str, tuple[Make, Make, str]] = {
    "a detector": (make_detector, SCENES, "full"),
    "an adapter of a pipeline": (write_sd, drawings, "lora"),
    "a pipeline": (write_sd, drawings, "full"),
}


def finished(case: tuple[Make, Make, str], tmp_path: Path, home: Path) -> RunFolder:
    """A run of four steps that kept each of them."""
    make, write, method = case
    data, own = write(tmp_path / "data"), write is SCENES
    job = tiny_job(
        make(tmp_path / "model"), data, tmp_path / "out", method=method, length=None, max_steps=4, epochs=4,
        batch=BatchRecipe(size=4, accumulation=1), evaluate_every=None, adapter=AdapterRecipe(rank=4),
        checkpoints=CheckpointRecipe(every_steps=1, keep=9),
        evaluation=Evaluation(validation_split=None if own else 0.25, test_prompts=0),
    )  # fmt: skip
    run = RunFolder.create(
        home, kind="train", name="run", plan=plan_job(job, Settings(home=home)), output=tmp_path / "out"
    )
    train.run(run, Reporter(run))
    return run


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(file for file in folder.rglob("*.safetensors") if "kohya" not in file.name)
    return {f"{file.relative_to(folder)} {name}": each for file in files for name, each in load_file(file).items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def shows(case: tuple[Make, Make, str], tmp_path: Path, home: Path) -> None:
    run = finished(case, tmp_path, home)
    result, step = run.artifacts_dir, weights_of_step(run)
    steps = {each.step: each.path for each in checkpoints.listed(run)}
    others = [path for number, path in steps.items() if number != step]
    at_best = result_at(result, steps[step], tmp_path / "best", does="answers")
    earlier = result_at(result, others[0], tmp_path / "earlier", does="answers")
    told = weights_of(result)
    told = {name: each for name, each in told.items() if not name.startswith("checkpoints/")}
    assert weights_of(at_best).keys() == weights_of(earlier).keys() == told.keys()
    assert same(told, weights_of(at_best))
    assert not same(told, weights_of(earlier))
    assert not (at_best / "checkpoints").exists()


def weights_of_step(run: RunFolder) -> int:
    names = ("adapter_info.json", "model_info.json")
    [file] = [run.artifacts_dir / name for name in names if (run.artifacts_dir / name).is_file()]
    return int(json.loads(file.read_text())["weights_of_step"])


@pytest.mark.parametrize("name", CASES)
def test_at_the_step_of_the_result_it_is_the_result(name: str, tmp_path: Path, home: Path) -> None:
    shows(CASES[name], tmp_path, home)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_at_the_step_of_the_result_other_models_are_the_result(name: str, tmp_path: Path, home: Path) -> None:
    if MORE[name][1] is drawings:
        (tmp_path / "data").mkdir()
    shows(MORE[name], tmp_path, home)


def test_a_checkpoint_that_is_not_whole_is_refused(tmp_path: Path, home: Path) -> None:
    run = finished(CASES["a head and an adapter"], tmp_path, home)
    broken = checkpoints.listed(run)[0].path
    (broken / "weights.safetensors").unlink()
    with pytest.raises(NothingToExport, match="is not whole"):
        result_at(run.artifacts_dir, broken, tmp_path / "target", does="answers")
