"""No dead flags: changing any field of a job changes its plan, and what runs the job reads that field."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel

import tunesmith
from tunesmith.modalities.text.options import TextOptions
from tunesmith.spec.job import JobSpec

PACKAGE: Final = Path(tunesmith.__file__).parent
READERS: Final = ("worker", "training", "modalities", "data", "executors", "runs", "service")
"""Packages that start and run a job; reading a field there is what makes it count."""

OTHER_VALUE: Final[dict[str, Any]] = {
    "recipe.mode": "fast",
    "recipe.method": "full",
    "recipe.adapter.rank": 3,
    "recipe.adapter.alpha": 5.0,
    "recipe.adapter.dropout": 0.0,
    "recipe.adapter.targets": ["v_proj"],
    "recipe.adapter.dora": True,
    "recipe.adapter.rslora": True,
    "recipe.quantization.kind": "fp4",
    "recipe.quantization.double": True,
    "recipe.quantization.compute": "fp32",
    "recipe.length": 64,
    "recipe.batch.size": 2,
    "recipe.batch.accumulation": 3,
    "recipe.batch.micro_tokens": 300,
    "recipe.batch.joined": False,
    "recipe.epochs": 2.5,
    "recipe.force_epochs": True,
    "recipe.circular.cycles": 9,
    "recipe.circular.batch_multiplier": 2.0,
    "recipe.max_steps": 7,
    "recipe.learning_rate": 0.00123,
    "recipe.learning_rate_multiplier": 1.5,
    "recipe.schedule": "linear",
    "recipe.schedule_cycles": 5,
    "recipe.decay_ratio": 0.4,
    "recipe.warmup_ratio": 0.3,
    "recipe.warmup_steps": 4,
    "recipe.optimizer": "adafactor",
    "recipe.weight_decay": 0.2,
    "recipe.max_grad_norm": 0.5,
    "recipe.precision": "fp32",
    "recipe.gradient_checkpointing": True,
    "recipe.evaluate_every": 17,
    "recipe.stopping.metric": "loss",
    "recipe.stopping.patience": 9,
    "recipe.stopping.min_delta": 0.1,
    "recipe.stopping.overfitting_threshold": 0.4,
    "recipe.stopping.min_evaluations": 6,
    "recipe.stopping.perfect_loss": 0.02,
    "recipe.stopping.perplexity_limit": 50.0,
    "recipe.checkpoints.every_steps": 19,
    "recipe.checkpoints.keep": 5,
    "evaluation.validation_split": 0.3,
    "evaluation.test_split": 0.2,
    "evaluation.test_prompts": 1,
    "evaluation.prompts": ["Hello?"],
    "output.dir": "elsewhere",
    "output.save_bin": True,
    "output.tensorboard": False,
    "resources.device": "cpu",
    "resources.processes": 2,
    "resources.threads": 5,
    "resources.memory_limit_gb": 7.0,
    "options.train_on": "all",
    "options.chat_template": "other.jinja",
    "options.drop_duplicates": True,
    "options.dpo_beta": 0.3,
    "options.dpo_label_smoothing": 0.1,
    "options.mlm_probability": 0.3,
    "seed": 7,
    "strict": True,
}
"""A value for each field that is not what the plan would choose."""

ONLY_ONE_VALUE: Final = {"resources.device", "recipe.stopping.metric"}
"""Fields of which every value that this test may give is the one that the plan has anyway."""
PLAN_ALONE: Final = (
    "recipe.mode",
    "recipe.learning_rate_multiplier",
    "recipe.circular.cycles",
    "resources.memory_limit_gb",
)
"""Fields that no worker needs: what they mean is in the other fields of the plan."""
ONLY_PLANNED: Final = {
    "recipe.mode": "spec.recipe.epochs",
    "recipe.circular.cycles": "spec.recipe.epochs",
    "recipe.learning_rate_multiplier": "spec.recipe.learning_rate",
    "resources.memory_limit_gb": "memory.available",
    "resources.threads": "execution.threads",
}
"""Fields that speak to the plan alone, and what they must change there; of ``execution`` the worker reads it."""


def fields(part: type[BaseModel], prefix: str) -> list[str]:
    """Every leaf below a part, by dotted path."""
    found: list[str] = []
    for name, field in part.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += fields(kind, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


def every_field() -> list[str]:
    parts = ("recipe", "evaluation", "output", "resources")
    found = [path for part in parts for path in fields(kind_of(part), f"{part}.")]
    return [*found, *fields(TextOptions, "options."), "seed", "strict"]


def kind_of(part: str) -> type[BaseModel]:
    kind = JobSpec.model_fields[part].annotation
    assert isinstance(kind, type) and issubclass(kind, BaseModel)
    return kind


def nested(path: str, value: Any) -> dict[str, Any]:
    """``a.b`` and 1 as {"a": {"b": 1}}."""
    for part in reversed(path.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both, part by part."""
    shared = {key: merged(one[key], other[key]) for key in one.keys() & other.keys()}
    return one | other | shared


def at(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values


@functools.cache
def read_pairs() -> frozenset[tuple[str, str]]:
    """What the packages that run a job read: (owner, field), such as ("batch", "size") for ``recipe.batch.size``."""
    found: set[tuple[str, str]] = set()
    for package in READERS:
        for path in (PACKAGE / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                found.update(reads(node))
    return frozenset(found)


def reads(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield what an expression reads: ``owner.field``, ``getattr(owner, "field")`` or ``owner.get("field")``."""
    match node:
        case ast.Attribute(value=owner, attr=field, ctx=ast.Load()):
            yield last_name(owner), field
        case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=str(field)), *_]):
            yield last_name(owner), field
        case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(value=str(field)), *_]):
            yield last_name(owner), field


def last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def test_knows_another_value_for_every_field():
    assert sorted(OTHER_VALUE) == sorted(every_field())


@pytest.mark.parametrize("path", every_field())
def test_changing_a_field_changes_the_plan(world, path):
    plan = world.plan().model_dump(mode="json")
    limit = {"memory": int(7.0 * 2**30)} if path == "resources.memory_limit_gb" else {}
    changed = world.but(**limit).plan(**nested(path, OTHER_VALUE[path]))
    given = {decision.field: decision.reason for decision in changed.decisions}
    assert given.get(path) == "given", f"{path}: the plan does not say that it was given"
    result = changed.model_dump(mode="json")
    assert at(result["spec"], path) == OTHER_VALUE[path], f"{path}: the plan does not keep what was given"
    if path not in ONLY_ONE_VALUE:
        assert result["spec"] != plan["spec"], f"{path}: a dead field, the plan is the same without it"


@pytest.mark.parametrize(("path", "effect"), ONLY_PLANNED.items())
def test_a_field_for_the_plan_alone_changes_what_is_planned(world, path, effect):
    job = {"recipe": {"mode": "circular"}} if path == "recipe.circular.cycles" else {}
    plan = world.plan(**job).model_dump(mode="json")
    limit = {"memory": int(7.0 * 2**30)} if path == "resources.memory_limit_gb" else {}
    typed = merged(job, nested(path, OTHER_VALUE[path]))
    changed = world.but(**limit).plan(**typed).model_dump(mode="json")
    assert at(plan, effect) != at(changed, effect), f"{path}: a dead field, {effect} is the same without it"


def worker_field(path: str) -> tuple[str, str]:
    """Where the worker finds what a field of the job says: (owner, field)."""
    path = "execution.device" if path == "resources.device" else ONLY_PLANNED.get(path, f"spec.{path}")
    owner, _, name = path.rpartition(".")
    return owner.rpartition(".")[2], name


@pytest.mark.parametrize("path", [path for path in every_field() if path not in PLAN_ALONE])
def test_what_runs_a_job_reads_every_field(path):
    owner, name = worker_field(path)
    where = ", ".join(READERS)
    assert (owner, name) in read_pairs(), (
        f"{path}: a dead field, nothing in {where} reads `{owner}.{name}`. Use it there, or take it out of spec/."
    )
