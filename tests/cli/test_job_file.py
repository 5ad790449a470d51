from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.test_job_flags import MINIMUM, parse
from tunesmith.cli.job_flags import command_keys, job_from_flags
from tunesmith.spec.errors import BadEntry, ContradictingKeys, Contradiction, UnknownKey
from tunesmith.spec.job import DatasetRef, JobSpec
from tunesmith.spec.recipe import Method

GUIDE = {
    "mode": "quality",
    "method": "lora",
    "use_4bit": True,
    "use_8bit": False,
    "data": "a.json,b.json",
    "dataset_format": "qa",
    "max_seq_length": 512,
    "validation_split": 0.2,
    "epochs": None,
    "batch_size": 4,
    "learning_rate": 2e-4,
    "lora_r": 8,
    "lora_alpha": 16,
    "target_modules": ["q_proj", "v_proj"],
    "force_epochs": True,
    "patience": 4,
    "overfitting_threshold": 0.15,
    "circular": False,
    "max_circular_epochs": 50,
    "output": "./elsewhere",
    "resume": False,
}
"""Every key that the guide's own file has."""


def write(folder: Path, content: object) -> str:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def from_file(folder: Path, content: dict[str, Any], *arguments: str) -> JobSpec:
    return job_from_flags(parse("--model", "m", "--config", write(folder, content), *arguments))[0]


@pytest.mark.parametrize(
    ("key", "read", "value"),
    [
        ("mode", lambda j: j.recipe.mode, "slow"),
        ("use_4bit", lambda j: j.recipe.method, Method.QLORA),
        ("data", lambda j: j.datasets, [DatasetRef(uri="a.json,b.json", format="qa")]),
        ("max_seq_length", lambda j: j.recipe.length, 512),
        ("validation_split", lambda j: j.evaluation.validation_split, 0.2),
        ("epochs", lambda j: j.recipe.epochs, None),
        ("batch_size", lambda j: j.recipe.batch.size, 4),
        ("learning_rate", lambda j: j.recipe.learning_rate, 2e-4),
        ("lora_r", lambda j: j.recipe.adapter.rank, 8),
        ("lora_alpha", lambda j: j.recipe.adapter.alpha, 16),
        ("target_modules", lambda j: j.recipe.adapter.targets, ["q_proj", "v_proj"]),
        ("force_epochs", lambda j: j.recipe.force_epochs, True),
        ("patience", lambda j: j.recipe.stopping.patience, 4),
        ("overfitting_threshold", lambda j: j.recipe.stopping.overfitting_threshold, 0.15),
        ("max_circular_epochs", lambda j: j.recipe.circular.cycles, 50),
        ("output", lambda j: j.output.dir, "./elsewhere"),
    ],
)
def test_a_key_named_as_a_flag_sets_what_the_flag_sets(
    tmp_path: Path, key: str, read: Callable[[JobSpec], object], value: object
) -> None:
    assert read(from_file(tmp_path, GUIDE)) == value


@pytest.mark.parametrize(
    ("content", "read", "value"),
    [
        ({"circular": True}, lambda j: j.recipe.mode, "circular"),
        ({"use_8bit": True}, lambda j: j.recipe.method, Method.LORA_8BIT),
        ({"bnb_4bit_compute_dtype": "float32"}, lambda j: str(j.recipe.quantization.compute), "fp32"),
        ({"bnb_4bit_quant_type": "fp4"}, lambda j: j.recipe.quantization.kind, "fp4"),
        ({"use_nested_quant": True}, lambda j: j.recipe.quantization.double, True),
        ({"no_tensorboard": True}, lambda j: j.output.tensorboard, False),
        ({"tensorboard": False}, lambda j: j.output.tensorboard, False),
        ({"skip_test": True}, lambda j: j.evaluation.test_prompts, 0),
        ({"test_prompt": ["a, b", "c"]}, lambda j: j.evaluation.prompts, ["a, b", "c"]),
        ({"target_modules": "q_proj, v_proj"}, lambda j: j.recipe.adapter.targets, ["q_proj", "v_proj"]),
        ({"data": ["a", "b"], "max_examples": 3}, lambda j: [d.uri + str(d.limit) for d in j.datasets], ["a3", "b3"]),
        ({"model_path": "x"}, lambda j: j.model.source, "m"),
        ({"model": {"source": "x", "continue": "state"}}, lambda j: j.model.continue_, "state"),
        ({"recipe": {"mode": "fast"}, "epochs": 2}, lambda j: (j.recipe.mode, j.recipe.epochs), ("fast", 2)),
    ],
)  # fmt: skip
def test_flat_keys_and_fields_stand_side_by_side(
    tmp_path: Path, content: dict[str, Any], read: Callable[[JobSpec], object], value: object
) -> None:
    assert read(from_file(tmp_path, {"data": "d", **content})) == value


def test_model_and_data_may_come_from_the_file_alone(tmp_path: Path) -> None:
    built, typed = job_from_flags(parse("--config", write(tmp_path, {"model": "m", "data": "d", "output": "o"})))
    assert (built.model.source, built.output.dir, built.datasets) == ("m", "o", [DatasetRef(uri="d")])
    assert set(typed) == {"model.source", "output.dir", "datasets"}


@pytest.mark.parametrize(
    ("typed", "read", "value"),
    [
        (["--mode", "fast"], lambda j: j.recipe.mode, "fast"),
        (["--method", "full"], lambda j: j.recipe.method, Method.FULL),
        (["--data", "new"], lambda j: [d.uri for d in j.datasets], ["new"]),
        (["--output", "here"], lambda j: j.output.dir, "here"),
        (["--no-force-epochs"], lambda j: j.recipe.force_epochs, False),
        (["--dtype", "auto"], lambda j: j.recipe.precision, None),
    ],
)
def test_what_is_typed_beats_the_file(
    tmp_path: Path, typed: list[str], read: Callable[[JobSpec], object], value: object
) -> None:
    assert read(from_file(tmp_path, {**GUIDE, "dtype": "fp32"}, *typed)) == value


def test_a_file_beats_the_model_directory(tmp_path: Path) -> None:
    file = write(tmp_path, {"data": "d", "output": "elsewhere"})
    built, _ = job_from_flags(parse("--model-directory", str(tmp_path), "--config", file))
    assert (built.model.source, built.output.dir) == (f"{tmp_path}/model", "elsewhere")


def test_what_the_command_is_to_do_is_told_apart(tmp_path: Path) -> None:
    params = parse(*MINIMUM, "--config", write(tmp_path, {"resume": True, "tensorboard_port": 6007}))
    assert command_keys(params) == {"resume": True, "tensorboard_port": 6007}


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ({"learning_rat": 1}, UnknownKey, "unknown key 'learning_rat'. Did you mean 'learning_rate'?"),
        ({"lora_r": 0}, BadEntry, "'lora_r' is 0, which is not a whole number from 1 to 1024"),
        ({"use_4bit": "yes please"}, BadEntry, "'use_4bit' is 'yes please', which is not true or false"),
        ({"resume": "maybe"}, BadEntry, "'resume' is 'maybe', which is not true or false"),
        ({"use_4bit": True, "method": "full"}, ContradictingKeys, "'use_4bit' and 'method' contradict"),
    ],
)
def test_a_key_that_is_off_is_named_with_its_file(
    tmp_path: Path, content: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        from_file(tmp_path, {"data": "d", **content})
    assert words in str(caught.value)
    assert "config.yaml" in str(caught.value)
    assert getattr(caught.value, "exit_code", None) == 78


def test_only_one_file_can_be_named(tmp_path: Path) -> None:
    file = write(tmp_path, {"data": "d"})
    with pytest.raises(Contradiction):
        job_from_flags(parse(file, "--config", file))
