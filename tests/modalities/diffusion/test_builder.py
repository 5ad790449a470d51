"""A tiny pipeline planned, trained, drawn with and written, in this process."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from integration.jobs import tiny_job
from tunesmith.modalities.diffusion.builder import build
from tunesmith.modalities.diffusion.predictor import load_predictor
from tunesmith.modalities.folders import Use
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.errors import BadValue
from tunesmith.spec.events import Body, Evaluated, Picture
from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe
from tunesmith.training.device import Ranks
from tunesmith.worker import train
from tunesmith.worker.export.whole import write_whole
from tunesmith.worker.prepare import prepare_data
from tunesmith.worker.reporting import Reporter

CPU = torch.device("cpu")
ALONE = Ranks(0, 1)


def planned(model: Path, data: Path, home: Path, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "length": None, "adapter": AdapterRecipe(rank=4, dropout=0.0), "evaluate_every": None, "task": "text-to-image",
        "batch": BatchRecipe(size=4, accumulation=1),
    }  # fmt: skip
    return plan_job(tiny_job(model, data, home.parent / "out", **given | changes), Settings(home=home))


def built(plan: Plan, home: Path) -> tuple[Any, RunFolder]:
    """The parts of a plan, warm."""
    run = RunFolder.create(home, kind="train", name="shapes", plan=plan)
    data = prepare_data(run, plan, Reporter(run)).prepared
    pieces = build(plan, data.train, data.validation, CPU)
    pieces.warm_up(run.path, [], lambda: None, ALONE)
    return pieces, run


def said(run: RunFolder) -> list[Body]:
    return [event.body for event in read(run.events, 0)[0]]


def test_the_settings_are_those_of_adapters_for_pictures(sd: Path, shapes: Path, home: Path) -> None:
    spec = tiny_job(sd, shapes, home / "out", length=None, adapter=AdapterRecipe(), learning_rate=None, checkpoints={},
                    batch=BatchRecipe(), epochs=None)  # fmt: skip
    plan = plan_job(spec, Settings(home=home))
    recipe = plan.spec.recipe
    assert (plan.spec.task, recipe.method) == ("text-to-image", "lora")
    assert (recipe.adapter.rank, recipe.adapter.alpha) == (4, 8.0)
    assert recipe.adapter.targets == ["to_q", "to_k", "to_v", "to_out.0"]
    assert (recipe.learning_rate, recipe.weight_decay, recipe.schedule) == (1e-4, 1e-2, "constant")
    assert (recipe.checkpoints.every_steps, recipe.batch.size, recipe.epochs) == (500, 4, 10.0)
    assert all(decision.reason for decision in plan.decisions)


def test_the_warm_up_has_500_steps_where_the_run_is_long(sd: Path, shapes: Path, home: Path) -> None:
    assert planned(sd, shapes, home, epochs=10).spec.recipe.warmup_steps is None
    assert planned(sd, shapes, home, epochs=2000).spec.recipe.warmup_steps == 500


def test_a_plan_counts_all_parts_of_a_pipeline(sd: Path, shapes: Path, home: Path) -> None:
    files = [file for part in ("unet", "vae", "text_encoder") for file in (sd / part).glob("*.safetensors")]
    held = sum(weight.numel() for file in files for weight in load_file(file).values())
    assert planned(sd, shapes, home).model.parameters == held


@pytest.mark.parametrize("method", ["qlora", "lora-8bit"])
def test_a_base_in_fewer_bits_is_refused(method: str, sd: Path, shapes: Path, home: Path) -> None:
    with pytest.raises(BadValue, match="lora: Stable Diffusion models do not bear"):
        planned(sd, shapes, home, method=method)


def test_a_run_learns_draws_and_writes_what_others_open(sd: Path, shapes: Path, home: Path) -> None:
    options = {"sample_prompts": ["a red circle"], "sample_steps": 2}
    evaluation = Evaluation(validation_split=0.2, test_prompts=0)
    plan = planned(sd, shapes, home, epochs=3, learning_rate=0.02, options=options, evaluation=evaluation)
    run = RunFolder.create(home, kind="train", name="shapes", plan=plan)
    train.run(run, Reporter(run))
    losses = [body.validation_loss for body in said(run) if isinstance(body, Evaluated)]
    assert losses[-1] < losses[0] - 0.01
    drawn = {(each.when, each.step): (run.path / each.file).read_bytes() for each in said(run)
             if isinstance(each, Picture)}  # fmt: skip
    assert list(drawn) == [("before", 0), ("during", 4), ("during", 8), ("during", 12), ("after", 12)]
    assert drawn["after", 12] == drawn["during", 12] != drawn["before", 0]
    base = load_predictor(sd).generate("a red circle", steps=2, seed=42)
    assert base == [drawn["before", 0]]
    tuned = load_predictor(sd, run.artifacts_dir).generate("a red circle", steps=2, seed=42)
    assert _far(tuned[0], drawn["after", 12]) <= 1 < _far(tuned[0], base[0])
    kohya = load_file(run.artifacts_dir / "kohya_lora.safetensors")
    assert "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0.alpha" in kohya


def test_each_micro_batch_has_the_noise_of_its_rows(sd: Path, shapes: Path, home: Path) -> None:
    pieces, _ = built(planned(sd, shapes, home, options={"mirror": True, "min_snr_gamma": 5.0}), home)
    with torch.no_grad():
        whole = pieces.loss(pieces.train.batch([3, 1, 5], 2))
        parts = [pieces.loss(pieces.train.batch([row], 2)) for row in (1, 3, 5)]
        other = pieces.loss(pieces.train.batch([3, 1, 5], 3))
    assert torch.isclose(whole, sum(parts, torch.tensor(0.0)), rtol=1e-5)
    assert not torch.isclose(whole, other, rtol=1e-3)


def test_held_out_pictures_meet_the_same_noise_in_every_pass(sd: Path, shapes: Path, home: Path) -> None:
    pieces, _ = built(planned(sd, shapes, home), home)
    first, second = (pieces.validation.batch([0, 1], epoch) for epoch in (0, 7))
    assert torch.equal(first.noises, second.noises)
    assert first.levels.shape == (4, 2)
    with torch.no_grad():
        assert pieces.measure(first) == pieces.measure(second)


def test_a_resumed_run_takes_the_latents_over(sd: Path, shapes: Path, home: Path) -> None:
    plan = planned(sd, shapes, home)
    pieces, run = built(plan, home)
    kept = {file.name: file.stat().st_ino for file in (run.path / "latents").iterdir()}
    assert len(kept) == 4
    later = RunFolder.create(home, kind="train", name="shapes", plan=plan)
    pieces.warm_up(later.path, [run.path], lambda: None, ALONE)
    assert {file.name: file.stat().st_ino for file in (later.path / "latents").iterdir()} == kept


def test_the_layout_of_sdxl_trains_with_its_text_encoders(sdxl: Path, shapes: Path, home: Path) -> None:
    plan = planned(sdxl, shapes, home, options={"train_text_encoder": True})
    pieces, run = built(plan, home)
    batch = pieces.train.batch([0, 1], 0)
    assert batch.sizes.tolist()[0] == [36.0, 40.0, 0.0, 2.0, 32.0, 32.0]
    assert [ids.shape for ids in batch.texts] == [(2, 77), (2, 77)]
    pieces.loss(batch).backward()
    learning = [name for name, p in pieces.model.named_parameters() if p.requires_grad and p.grad is not None]
    assert {name.partition(".base_model")[0] for name in learning} == {"unet", "encoders.0", "encoders.1"}
    pieces.save(run.artifacts_dir)
    names = set(load_file(run.artifacts_dir / "kohya_lora.safetensors"))
    assert "lora_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_q.lora_down.weight" in names
    assert {"lora_te1", "lora_te2"} <= {name.partition("_text_model")[0] for name in names}
    halves = load_file(run.artifacts_dir / "pytorch_lora_weights.safetensors")
    assert {len(weight) for name, weight in halves.items() if "text_encoder" in name and "lora_A" in name} == {2}


def test_sdxl_reads_captions_once_where_its_text_encoders_stay(sdxl: Path, shapes: Path, home: Path) -> None:
    pieces, _ = built(planned(sdxl, shapes, home), home)
    batch = pieces.train.batch([0, 1], 0)
    assert (batch.texts.shape, batch.sums.shape) == ((2, 77, 48), (2, 16))
    assert torch.isfinite(pieces.loss(batch))


def test_a_unet_that_is_trained_whole_is_written_with_its_pipeline(sd: Path, shapes: Path, home: Path) -> None:
    pieces, run = built(planned(sd, shapes, home, method="full"), home)
    pieces.save(run.artifacts_dir)
    assert load_predictor(run.artifacts_dir).generate("a", steps=1, seed=3) == load_predictor(sd).generate(
        "a", steps=1, seed=3
    )


def _far(one: bytes, other: bytes) -> int:
    """Largest difference of a colour."""
    pixels = [np.asarray(Image.open(io.BytesIO(content)), np.int16) for content in (one, other)]
    return int(np.abs(pixels[0] - pixels[1]).max())


@pytest.fixture
def halves(sd: Path, tmp_path: Path) -> Path:
    """The pipeline as many are stored: every file of weights is one of fp16."""
    folder = shutil.copytree(sd, tmp_path / "halves")
    for file in folder.rglob("*.safetensors"):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    return folder


def test_a_pipeline_of_one_variant_is_written_whole(halves: Path, shapes: Path, home: Path) -> None:
    from diffusers import DiffusionPipeline

    pieces, run = built(planned(halves, shapes, home, method="full"), home)
    pieces.save(run.artifacts_dir)
    opened = DiffusionPipeline.from_pretrained(run.artifacts_dir, local_files_only=True)
    before = load_file(halves / "text_encoder" / "model.fp16.safetensors")
    after = opened.text_encoder.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_an_adapter_is_worked_into_a_pipeline_of_one_variant(
    dtype: str, halves: Path, shapes: Path, home: Path, tmp_path: Path
) -> None:
    pieces, run = built(planned(halves, shapes, home), home)
    with torch.no_grad():
        for name, weight in pieces.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    pieces.save(run.artifacts_dir)
    write_whole(Use("diffusion", "diffusion"), halves, run.artifacts_dir, tmp_path / "whole", dtype)
    weights = load_file(tmp_path / "whole" / "unet" / "diffusion_pytorch_model.safetensors")
    assert {str(weight.dtype) for weight in weights.values()} == {
        f"torch.{'float32' if dtype == 'fp32' else 'bfloat16'}"
    }
    [drawn] = load_predictor(tmp_path / "whole").generate("a circle", steps=1, seed=3)
    [base] = load_predictor(halves).generate("a circle", steps=1, seed=3)
    [tuned] = load_predictor(halves, run.artifacts_dir).generate("a circle", steps=1, seed=3)
    assert _far(drawn, tuned) < _far(drawn, base)
    assert _far(drawn, tuned) <= 2 or dtype == "bf16"


def test_longer_captions_than_the_model_reads_are_counted(sd: Path, tmp_path: Path, home: Path) -> None:
    for number in range(6):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / f"{number}.png")
    rows = [f"{'a' * (200 if number else 5)},{number}.png" for number in range(6)]
    (tmp_path / "data.csv").write_text("\n".join(["prompt,image_path", *rows]))
    pieces, _ = built(planned(sd, tmp_path / "data.csv", home, evaluation=Evaluation(validation_split=0.0)), home)
    assert pieces.warnings == [
        "5 captions are longer than the 77 tokens that the model reads: what is beyond is not read."
    ]


def test_text_encoders_do_not_train_with_a_whole_unet(sd: Path, shapes: Path, home: Path) -> None:
    with pytest.raises(BadValue, match="left out with --method full"):
        built(planned(sd, shapes, home, method="full", options={"train_text_encoder": True}), home)


def test_the_job_in_examples_trains(sd: Path, shapes: Path, home: Path) -> None:
    file = Path(__file__).parents[3] / "examples" / "text-to-image.yaml"
    written = JobSpec.model_validate(yaml.safe_load(file.read_text()))
    here = {"model": ModelRef(source=str(sd)), "datasets": [DatasetRef(uri=str(shapes))]}
    plan = plan_job(written.model_copy(update=here), Settings(home=home))
    pieces, _ = built(plan, home)
    pieces.loss(pieces.train.batch([0], 0)).backward()
    assert any(p.grad is not None for p in pieces.model.parameters())
