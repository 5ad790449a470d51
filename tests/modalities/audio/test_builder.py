"""What each task builds of tiny models: losses that are transformers' own, splits that change nothing, results that
open as they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from integration.jobs import digest, tiny_job
from made_sounds import make_ast, make_wav2vec2, make_whisper, tones, write_classes, write_sound, write_speech
from tunesmith.modalities.audio.builder import build_classifier, build_recognizer
from tunesmith.modalities.audio.predictor import load_predictor
from tunesmith.runs import checkpoints
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.errors import AdapterMismatch, MissingTarget, TooFewClasses
from tunesmith.spec.events import Body, Evaluated, Sample
from tunesmith.spec.job import Evaluation
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe, CheckpointRecipe
from tunesmith.training.forward import inner
from tunesmith.worker import train
from tunesmith.worker.prepare import prepare_data
from tunesmith.worker.reporting import Reporter

CPU = torch.device("cpu")
SAID = ["abc", "fed", "bad", "cab fed", "dab", "face", "bead", "deaf", "ace", "fad", "bed", "cafe"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    return {
        "whisper": make_whisper(place / "whisper"),
        "wav2vec2": make_wav2vec2(place / "wav2vec2", mask_time_prob=0.5, feat_extract_norm="layer"),
        "hubert": make_wav2vec2(place / "hubert", "hubert"),
        "wavlm": make_wav2vec2(place / "wavlm", "wavlm"),
        "ast": make_ast(place / "ast"),
    }


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_speech(tmp_path_factory.mktemp("speech"), SAID)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classes(tmp_path_factory.mktemp("classes"), 10)


def planned(model: Path, data: Path, home: Path, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "length": None, "adapter": AdapterRecipe(rank=4, dropout=0.0), "evaluate_every": None,
        "batch": BatchRecipe(size=4, accumulation=1),
    }  # fmt: skip
    return plan_job(tiny_job(model, data, home.parent / "out", **given | changes), Settings(home=home))


def built(plan: Plan, home: Path) -> Any:
    run = RunFolder.create(home, kind="train", name="sounds", plan=plan)
    data = prepare_data(run, plan, Reporter(run)).prepared
    build = build_recognizer if plan.spec.task == "speech-recognition" else build_classifier
    return build(plan, data.train, data.validation, CPU, labels=data.labels)


def trained(plan: Plan, home: Path) -> tuple[Path, list[Body]]:
    run = RunFolder.create(home, kind="train", name="sounds", plan=plan)
    train.run(run, Reporter(run))
    return run.artifacts_dir, [event.body for event in read(run.events, 0)[0]]


def test_the_task_follows_from_data_and_model(models: dict[str, Path], speech: Path, classes: Path, home: Path) -> None:
    tasks = [
        planned(models[name], data, home).spec.task
        for name, data in (("whisper", speech), ("wav2vec2", speech), ("wav2vec2", classes), ("ast", classes))
    ]
    assert tasks == ["speech-recognition"] * 2 + ["audio-classification"] * 2


def test_the_loss_of_whisper_is_that_of_transformers(models: dict[str, Path], speech: Path, home: Path) -> None:
    pieces = built(planned(models["whisper"], speech, home, method="full"), home)
    batch = pieces.train.batch([0, 1, 2], 0)
    targets = torch.full((3, max(map(len, batch.said)) - 1), -100)
    for row, said in enumerate(batch.said):
        targets[row, batch.prompt - 1 : len(said) - 1] = torch.tensor(said[batch.prompt :])
    ids = torch.tensor([(said + [0] * 9)[: targets.shape[1]] for said in batch.said])
    with torch.no_grad():
        logits = pieces.model(**batch.inputs, decoder_input_ids=ids).logits
        wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        torch.testing.assert_close(pieces.loss(batch), wanted, rtol=1e-5, atol=1e-4)
    assert batch.labels == pieces.train.labels([0, 1, 2], 0) == int((targets >= 0).sum())


def test_the_loss_of_ctc_is_that_of_transformers(models: dict[str, Path], speech: Path, home: Path) -> None:
    pieces = built(planned(models["wav2vec2"], speech, home, method="full"), home)
    pieces.model.eval()
    batch = pieces.train.batch([0, 1, 2], 0)
    longest = max(map(len, batch.said))
    labels = torch.tensor([said + [-100] * (longest - len(said)) for said in batch.said])
    pieces.model.config.ctc_loss_reduction = "sum"
    with torch.no_grad():
        wanted = pieces.model(**batch.inputs, labels=labels).loss
        torch.testing.assert_close(pieces.loss(batch), wanted, rtol=1e-5, atol=1e-3)


def test_normalised_convolutions_hear_side_by_side(speech: Path, home: Path, tmp_path: Path) -> None:
    model = make_wav2vec2(tmp_path / "normalised", feat_extract_norm="layer", do_stable_layer_norm=True)
    pieces = built(planned(model, speech, home, method="lora"), home)
    layers = inner(pieces.model).wav2vec2.feature_extractor.conv_layers
    assert all("forward" in vars(layer) for layer in layers)
    assert torch.isfinite(pieces.loss(pieces.train.batch([0, 1, 2], 0)))


@pytest.mark.parametrize("name", ["whisper", "wav2vec2"])
def test_any_split_of_a_batch_has_the_same_loss(name: str, models: dict[str, Path], speech: Path, home: Path) -> None:
    options = {"spec_augment": True}
    pieces = built(planned(models[name], speech, home, method="full", options=options), home)
    pieces.model.eval()
    with torch.no_grad():
        whole = pieces.loss(pieces.train.batch([3, 1, 5], 2))
        parts = [pieces.loss(pieces.train.batch([row], 2)) for row in (3, 1, 5)]
    torch.testing.assert_close(whole, torch.stack(parts).sum(), rtol=1e-4, atol=1e-3)
    varied = pieces.train.batch([3], 2)
    plain = pieces.objective.rows(pieces.train._rows).batch([3], 2)
    same = [torch.equal(varied.inputs[key], plain.inputs[key]) for key in plain.inputs]
    assert not all(same) or varied.covered is not None


def test_whisper_writes_as_transformers_does(models: dict[str, Path], speech: Path, home: Path) -> None:
    from transformers import AutoTokenizer, WhisperForConditionalGeneration

    heard = (tones("abcdef") * 32768).astype(np.int16)
    for precision in ("fp32", "bf16"):
        predictor: Any = load_predictor(models["whisper"], precision=precision)
        inputs = predictor.ears.inputs([heard])
        model = WhisperForConditionalGeneration.from_pretrained(models["whisper"])
        model = model.to(torch.bfloat16 if precision == "bf16" else torch.float32)
        ids = model.generate(inputs["input_features"].to(model.dtype), max_length=64)
        wanted = AutoTokenizer.from_pretrained(models["whisper"]).decode(ids[0], skip_special_tokens=True)
        assert predictor.listener.writer.texts(inputs) == [" ".join(wanted.split())]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_result_of_whisper_opens_as_it_is(method: str, models: dict[str, Path], speech: Path, home: Path) -> None:
    from transformers import pipeline

    evaluation = Evaluation(validation_split=0.2, test_prompts=1)
    plan = planned(models["whisper"], speech, home, method=method, epochs=2, evaluation=evaluation)
    folder, said = trained(plan, home)
    measured = [body.metrics for body in said if isinstance(body, Evaluated)]
    assert {"wer", "cer"} <= measured[-1].keys()
    assert [body.expected in SAID for body in said if isinstance(body, Sample)] == [True]
    sound = speech / "0.wav"
    if method == "lora":
        found = load_predictor(models["whisper"], folder).predict(sound.read_bytes())
    else:
        found = load_predictor(folder).predict(sound.read_bytes())
        heard = {"raw": tones("abc"), "sampling_rate": 16_000}
        assert set(pipeline("automatic-speech-recognition", model=str(folder))(heard)) == {"text"}
    assert list(found) == ["text"]


def test_ctc_learns_letters_and_opens_as_it_is(models: dict[str, Path], speech: Path, home: Path) -> None:
    from transformers import pipeline

    options = {"freeze_convolutions": False}
    plan = planned(
        models["wav2vec2"], speech, home, method="full", epochs=12, options=options,
        evaluation=Evaluation(test_prompts=0),
    )  # fmt: skip
    folder, said = trained(plan, home)
    losses = [body.validation_loss for body in said if isinstance(body, Evaluated)]
    assert losses[-1] < losses[0] / 2
    heard = {"raw": tones("abc", seed=0), "sampling_rate": 16_000}
    wanted = pipeline("automatic-speech-recognition", model=str(folder))(heard)["text"]
    found = load_predictor(folder).predict(write_sound(home / "a.wav", tones("abc", seed=0)).read_bytes())
    assert found == {"text": wanted}


def test_an_adapter_for_ctc_brings_the_head_of_its_own_letters(
    models: dict[str, Path], speech: Path, home: Path
) -> None:
    folder, _ = trained(planned(models["wav2vec2"], speech, home, method="lora", epochs=1), home)
    assert {"lm_head.weight", "lm_head.bias"} <= {
        name.removeprefix("base_model.model.") for name in load_file(folder / "adapter_model.safetensors")
    }
    found = load_predictor(models["wav2vec2"], folder).predict((speech / "0.wav").read_bytes())
    assert list(found) == ["text"]


@pytest.mark.parametrize("name", ["whisper", "wav2vec2"])
def test_an_adapter_on_another_base_is_refused(
    name: str, models: dict[str, Path], speech: Path, home: Path, tmp_path: Path
) -> None:
    from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq

    folder, _ = trained(planned(models[name], speech, home, method="lora", epochs=1), home)
    config = AutoConfig.from_pretrained(models[name])
    sizes = {"hidden_size": 48, "d_model": 48, "output_hidden_size": 48}
    config.update({key: size for key, size in sizes.items() if key in config.to_dict()})
    shutil.copytree(models[name], tmp_path / "other")
    kind = AutoModelForSpeechSeq2Seq if name == "whisper" else AutoModelForCTC
    kind.from_config(config).save_pretrained(tmp_path / "other")
    with pytest.raises(AdapterMismatch, match="other"):
        load_predictor(tmp_path / "other", folder)


@pytest.mark.parametrize(
    ("name", "method", "options"),
    [
        ("wav2vec2", "lora", {"spec_augment": True}),
        ("whisper", "full", {"freeze_encoder": True}),
        ("ast", "lora", {"spec_augment": True, "balance": True}),
        ("hubert", "full", {}),
        ("wavlm", "lora", {}),
    ],
)
def test_classes_are_told_apart(
    name: str, method: str, options: dict[str, Any], models: dict[str, Path], classes: Path, home: Path
) -> None:
    plan = planned(models[name], classes, home, method=method, epochs=2, options=options)
    folder, said = trained(plan, home)
    measured = [body.metrics for body in said if isinstance(body, Evaluated)]
    assert {"accuracy", "macro_f1"} <= measured[-1].keys()
    sound = (classes / "high" / "0.wav").read_bytes()
    found = load_predictor(models[name], folder) if method == "lora" else load_predictor(folder)
    labels = found.predict(sound)["labels"]
    assert {each["label"] for each in labels} == {"high", "low"}
    assert sum(each["score"] for each in labels) == pytest.approx(1, abs=1e-5)


def test_a_class_of_audio_opens_as_it_is(models: dict[str, Path], classes: Path, home: Path) -> None:
    from transformers import pipeline

    folder, _ = trained(planned(models["wav2vec2"], classes, home, method="full", epochs=1), home)
    found = pipeline("audio-classification", model=str(folder))(tones("efefe", seed=3))
    sound = write_sound(home / "a.wav", tones("efefe", seed=3)).read_bytes()
    wanted = load_predictor(folder).predict(sound)["labels"]
    assert [each["label"] for each in found] == [each["label"] for each in wanted]
    assert found[0]["score"] == pytest.approx(wanted[0]["score"], abs=1e-3)


@pytest.mark.parametrize("name", ["whisper", "wav2vec2", "ast"])
def test_a_base_in_four_bits_learns(
    name: str, models: dict[str, Path], speech: Path, classes: Path, home: Path
) -> None:
    plan = planned(models[name], classes if name == "ast" else speech, home, method="qlora")
    pieces = built(plan, home)
    loss = pieces.loss(pieces.train.batch([0, 1], 0))
    loss.backward()
    touched = [p.grad for p in pieces.model.parameters() if p.requires_grad and p.grad is not None]
    assert torch.isfinite(loss) and any(bool(grad.any()) for grad in touched)


def test_what_is_frozen_stays(models: dict[str, Path], speech: Path, home: Path) -> None:
    pieces = built(planned(models["whisper"], speech, home, options={"freeze_encoder": True}), home)
    names = [name for name, p in pieces.model.named_parameters() if p.requires_grad]
    assert names and all(".decoder." in name for name in names)
    pieces = built(planned(models["wav2vec2"], speech, home, method="full"), home)
    frozen = {name.split(".")[1] for name, p in inner(pieces.model).named_parameters() if not p.requires_grad}
    assert frozen == {"feature_extractor"}


def test_an_adapter_that_would_learn_nothing_is_refused(models: dict[str, Path], speech: Path, home: Path) -> None:
    plan = planned(models["wavlm"], speech, home, adapter=AdapterRecipe(rank=4, targets=["q_proj"]))
    with pytest.raises(MissingTarget, match="q_proj"):
        built(plan, home)


def test_one_class_is_too_few(models: dict[str, Path], tmp_path: Path, home: Path) -> None:
    rows = [f'{{"audio": "{number}.wav", "label": "high"}}' for number in range(5)]
    for number in range(5):
        write_sound(tmp_path / "set" / f"{number}.wav", tones("ef", seed=number))
    (tmp_path / "set" / "audio_data.jsonl").write_text("\n".join(rows))
    with pytest.raises(TooFewClasses):
        built(planned(models["ast"], tmp_path / "set" / "audio_data.jsonl", home), home)


@pytest.mark.parametrize(("name", "method"), [("wav2vec2", "full"), ("whisper", "lora")])
def test_a_resumed_run_ends_with_the_same_weights(
    name: str, method: str, models: dict[str, Path], speech: Path, home: Path
) -> None:
    plan = planned(
        models[name], speech, home, method=method, epochs=3, options={"spec_augment": True},
        adapter=AdapterRecipe(rank=4, dropout=0.1), checkpoints=CheckpointRecipe(every_steps=2, keep=9),
        evaluation=Evaluation(validation_split=0.2, test_prompts=0),
    )  # fmt: skip
    straight, _ = trained(plan, home)
    first = RunFolder(straight.parent)
    start = next(each.path for each in checkpoints.listed(first) if each.step == 2)
    again = RunFolder.create(home, kind="train", name="sounds", plan=plan, parent=first, start=start)
    train.run(again, Reporter(again))
    weights = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    assert digest(again.artifacts_dir / weights) == digest(straight / weights)
