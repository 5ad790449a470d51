"""No field of a documented way in is taken and forgotten: each one, changed, changes the plan or the job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel

from tunesmith.api.doors import images, llm, openai_jobs, organisation, train
from tunesmith.api.doors.llm_defaults import defaults_for
from tunesmith.service.jobs.organisation_defaults import OrganisationDefaults
from tunesmith.service.jobs.queue import Submission
from tunesmith.service.jobs.submit import plan_job
from tunesmith.service.jobs.training_config import TrainingConfig
from tunesmith.settings import Settings
from tunesmith.spec.recipe import Method

OTHER: Final = "other"
"""Stands for a second model, or a second file of rows."""
ROWS: Final = 400
TRAIN: Final[dict[str, Any]] = {
    "category": "Vision", "dataset_path": OTHER, "model_name": OTHER, "output_dir": "elsewhere", "gpu": True,
    "epochs": 7, "batch_size": 2, "learning_rate": 0.03, "run_name": "mine",
}  # fmt: skip
CONFIG: Final[dict[str, Any]] = {
    "langtext.model_name": OTHER, "langtext.max_length": 64, "langtext.num_labels": 3,
    "vision.model_name": "resnet50", "vision.max_length": 64, "vision.num_labels": 7,
    "audio.model_name": "whisper", "audio.max_length": 64, "audio.num_labels": 7, "audio.language": "ja",
    "multimodal.model_name": "llava", "multimodal.max_length": 64, "multimodal.num_labels": 7,
    "training.epochs": 9, "training.batch_size": 3, "training.learning_rate": 0.01,
}  # fmt: skip
LLM: Final[dict[str, Any]] = {
    "dataset_path": OTHER, "base_model": OTHER, "output_dir": "elsewhere", "lora_r": 3, "lora_alpha": 5,
    "lora_dropout": 0.4, "target_modules": "k_proj,o_proj", "epochs": 7, "batch_size": 2, "learning_rate": 0.003,
    "max_length": 64, "gradient_accumulation_steps": 2, "use_4bit": True, "use_8bit": True,
    "bnb_4bit_compute_dtype": "float32", "bnb_4bit_quant_type": "fp4", "use_nested_quant": True,
}  # fmt: skip
IMAGES: Final[dict[str, Any]] = {
    "model_type": "object_detector", "base_model": OTHER, "dataset_path": OTHER, "output_dir": "elsewhere",
    "learning_rate": 0.03, "save_steps": 7, "eval_steps": 7, "warmup_steps": 7, "weight_decay": 0.5,
    "max_grad_norm": 0.5, "seed": 7, "epochs": 7, "batch_size": 2, "num_labels": 7,
}  # fmt: skip
ORGANISATION: Final[dict[str, Any]] = {
    "org_id": "another", "base_model": OTHER, "validation_split": 0.3, "num_epochs": 7,
}  # fmt: skip
SETTINGS: Final[dict[str, Any]] = {
    "default_base_model": OTHER, "finetuned_model_dir": "elsewhere", "max_seq_length": 64, "batch_size": 2,
    "gradient_accumulation_steps": 2, "learning_rate": 0.003, "num_train_epochs": 7, "warmup_steps": 3,
    "save_steps": 7, "eval_steps": 7, "lora_r": 3, "lora_alpha": 5, "lora_dropout": 0.4,
    "lora_target_modules": "k_proj,o_proj", "use_4bit": False, "use_8bit": True, "bnb_4bit_compute_dtype": "float32",
    "bnb_4bit_quant_type": "fp4", "validation_split": 0.3, "max_gpu_memory_gb": 1.5, "logging_steps": 3,
    "checkpoint_dir": "elsewhere", "max_concurrent_trainings": 3,
}  # fmt: skip
ELSEWHERE: Final = {"min_training_samples", "max_new_tokens", "temperature", "top_p", "top_k"}
"""Settings that no job has: they are for requests that are too small, and for answers of the model."""
OPENAI: Final[dict[str, Any]] = {
    "model": OTHER, "training_file": "file-2", "validation_file": "file-3", "suffix": "mine", "seed": 7,
    "metadata": {"team": "mine"}, "method": {"type": "dpo"}, "hyperparameters": {"n_epochs": 7},
}  # fmt: skip
NUMBERS: Final[dict[str, Any]] = {"n_epochs": 7, "batch_size": 2, "learning_rate_multiplier": 3.0, "beta": 0.7}

World = Callable[[Submission], dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two models and two files of rows."""
    for name in ("model", OTHER):
        shutil.copytree(tiny_model, tmp_path / "models" / name)
    for name in ("rows", OTHER):
        turns = [{"role": "user", "content": f"{name}?"}, {"role": "assistant", "content": f"{name}."}]
        (tmp_path / f"{name}.jsonl").write_text((json.dumps({"messages": turns}) + "\n") * ROWS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def planned(folder: Path, home: Path) -> World:
    """Plans a job, and returns what is planned."""

    def plan(wanted: Submission) -> dict[str, Any]:
        return plan_job(wanted.spec, Settings(home=home)).spec.model_dump(mode="json", exclude={"suggested"})

    return plan


def fields_of(*kinds: type[BaseModel], but: frozenset[str] = frozenset()) -> set[str]:
    return {name for kind in kinds for name in kind.model_fields} - but


def on_disk(folder: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """Put the second model and the second file in the place of their sign."""
    models, rows = str(folder / "models" / OTHER), str(folder / f"{OTHER}.jsonl")
    return {
        name: value if value != OTHER else rows if name == "dataset_path" else models for name, value in fields.items()
    }


def job(wanted: Submission) -> dict[str, Any]:
    """What is stored of a job before it is planned."""
    return asdict(wanted) | {"spec": wanted.spec.model_dump(mode="json")}


def test_every_field_of_train_changes_what_is_planned(folder: Path, planned: World) -> None:
    assert set(TRAIN) == fields_of(train.TrainRequest)
    least = {"category": "LangText", "dataset_path": str(folder / "rows.jsonl"), "gpu": False}
    least |= {"model_name": str(folder / "models" / "model"), "output_dir": "out"}

    def submitted(**fields: Any) -> Submission:
        return train.submission(train.TrainRequest(**least | fields), TrainingConfig())

    before = planned(submitted())
    assert planned(submitted()) == before, "the same twice, so that a difference means something"
    for name, value in on_disk(folder, TRAIN).items():
        changed = submitted(**{name: value})
        if name == "category":
            assert changed.extra != submitted().extra, name
        elif name == "gpu":
            assert changed.spec.resources.device != submitted().spec.resources.device
        else:
            assert planned(changed) != before, f"{name} changes nothing"


@pytest.mark.parametrize("key", sorted(CONFIG))
def test_every_key_of_the_training_configuration_changes_a_job(folder: Path, planned: World, key: str) -> None:
    sections = {name: field.annotation for name, field in TrainingConfig.model_fields.items()}
    assert set(CONFIG) == {
        f"{section}.{name}" for section, kind in sections.items() for name in kind.model_fields  # type: ignore[union-attr]
    }  # fmt: skip
    section, _, name = key.partition(".")
    model = {"langtext": {"model_name": str(folder / "models" / "model")}}
    value = str(folder / "models" / OTHER) if CONFIG[key] == OTHER else CONFIG[key]
    changed = model | {section: {**model.get(section, {}), name: value}}
    category = {"vision": "Vision", "audio": "Audio", "multimodal": "MultiModal"}.get(section, "LangText")
    request = train.TrainRequest(category=category, dataset_path=str(folder / "rows.jsonl"), output_dir="out")
    before, after = (train.submission(request, TrainingConfig.model_validate(each)) for each in (model, changed))
    if category == "LangText" and name != "num_labels":
        assert planned(after) != planned(before)
    else:
        assert (after.spec, after.warnings) != (before.spec, before.warnings)


@pytest.mark.parametrize("method", [Method.LORA, Method.QLORA])
def test_every_field_of_an_adapter_changes_what_is_planned(folder: Path, planned: World, method: Method) -> None:
    assert set(LLM) == fields_of(llm.AdapterJob)
    least = {"dataset_path": str(folder / "rows.jsonl"), "base_model": str(folder / "models" / "model")}

    def submitted(**fields: Any) -> Submission:
        request = llm.AdapterJob(**{**least, "output_dir": "out", **fields})
        return llm.submission(request, request.dataset_path, llm.method_of(request, method), defaults_for(None))

    before = planned(submitted())
    of_four_bits = {"bnb_4bit_compute_dtype", "bnb_4bit_quant_type", "use_nested_quant"}
    without_effect = {"use_4bit", "use_8bit"} if method is Method.QLORA else of_four_bits
    for name in set(LLM) - without_effect:
        value = on_disk(folder, LLM)[name]
        assert planned(submitted(**{name: value})) != before, f"{name} changes nothing"


def test_every_field_of_an_image_task_changes_the_job() -> None:
    uploaded = frozenset({"dataset"})
    assert set(IMAGES) == fields_of(images.ImageJob, images.ClassifierForm, images.DetectorForm, but=uploaded)
    least = {"model_type": "image_classifier", "base_model": "resnet50", "dataset_path": "pictures"}

    def submitted(**fields: Any) -> dict[str, Any]:
        request = images.ImageJob(**{**least, "output_dir": "out", **fields})
        return job(images.submission(request, request.model_type, request.dataset_path)) | {"id": None}

    for name in fields_of(images.ImageJob):
        assert submitted(**{name: IMAGES[name]})["spec"] != submitted()["spec"], f"{name} changes nothing"


def trained(folder: Path, settings: dict[str, Any], **fields: Any) -> Submission:
    """A training of an organisation; ``settings`` are those of its environment."""
    models = {"default_base_model": str(folder / "models" / "model")}
    defaults = OrganisationDefaults(_env_file=None, **models | settings)
    request = organisation.StartRequest(conversations=[{"messages": []}], **{"org_id": "acme", **fields})
    org, data = str(request.org_id), str(folder / "rows.jsonl")
    return organisation.submission(request, defaults, id="0" * 12, org=org, data=data, keyed=False)


def test_every_field_of_a_training_changes_what_is_planned(folder: Path, planned: World) -> None:
    assert set(ORGANISATION) == fields_of(organisation.StartRequest, but=frozenset({"conversations"}))
    before = planned(trained(folder, {}))
    for name, value in on_disk(folder, ORGANISATION).items():
        assert planned(trained(folder, {}, **{name: value})) != before, f"{name} changes nothing"


def test_every_setting_of_the_environment_file_changes_what_is_planned_or_is_said(folder: Path, planned: World) -> None:
    assert set(SETTINGS) == fields_of(OrganisationDefaults, but=frozenset(ELSEWHERE))
    for name, value in on_disk(folder, SETTINGS).items():
        others = {"use_4bit": False} if name == "use_8bit" else {}
        before, after = (trained(folder, each) for each in (others, others | {name: value}))
        if name == "checkpoint_dir":
            assert after.extra["checkpoints_at"] == f"{value}/train_{'0' * 12}" != before.extra["checkpoints_at"]
            continue
        assert after.warnings or planned(after) != planned(before), f"{name} changes nothing"


def test_every_hyperparameter_of_a_fine_tuning_job_changes_what_is_planned(folder: Path, planned: World) -> None:
    assert set(NUMBERS) == fields_of(openai_jobs.Hyperparameters)
    build = partial(
        openai_jobs.submission, id="0" * 12, org="acme", source=str(folder / "models" / "model"), output="out"
    )

    def submitted(kind: str, numbers: dict[str, Any], **fields: Any) -> Submission:
        method = {"type": kind, kind: {"hyperparameters": numbers}}
        request = openai_jobs.CreateRequest(**{"model": "m", "training_file": "file-1", "method": method, **fields})
        made = build(request, task="dpo" if kind == "dpo" else "chat")
        rows = [each.model_copy(update={"uri": str(folder / "rows.jsonl")}) for each in made.spec.datasets]
        update = {"datasets": rows} | ({"task": "chat"} if kind == "dpo" else {})
        return Submission(spec=made.spec.model_copy(update=update), door=made.door, extra=made.extra, id=made.id)

    for name, value in NUMBERS.items():
        kind = "dpo" if name == "beta" else "supervised"
        assert planned(submitted(kind, {name: value})) != planned(submitted(kind, {})), f"{name} changes nothing"


def test_every_field_of_a_fine_tuning_job_changes_the_job() -> None:
    known = frozenset({"integrations"})
    assert set(OPENAI) == fields_of(openai_jobs.CreateRequest, but=known), "integrations are always refused"

    def submitted(**fields: Any) -> dict[str, Any]:
        request = openai_jobs.CreateRequest(**{"model": "m", "training_file": "file-1", **fields})
        return job(
            openai_jobs.submission(request, task="chat", id="0" * 12, org="acme", source=request.model, output="out")
        )

    for name, value in OPENAI.items():
        assert submitted(**{name: value}) != submitted(), f"{name} changes nothing"
