from __future__ import annotations

from pathlib import Path

from sample_plan import sample_plan
from tunesmith.runs.memory_limits import limits_of, remember_limit, way_of
from tunesmith.spec.plan import Plan


def plan_of(output: Path, **recipe: object) -> Plan:
    plan = sample_plan(output)
    changes = {"method": "lora", "length": 512, "gradient_checkpointing": False, **recipe}
    spec = plan.spec.model_copy(update={"recipe": plan.spec.recipe.model_copy(update=changes)})
    return plan.model_copy(update={"spec": spec})


def test_nothing_is_known_at_first(home: Path, output: Path) -> None:
    plan = plan_of(output)
    assert limits_of(home, plan.model, plan.device) == {}


def test_a_limit_holds_for_its_way_of_training(home: Path, output: Path) -> None:
    plan = plan_of(output)
    remember_limit(home, plan, 256)
    remember_limit(home, plan_of(output, length=64), 1024)
    known = limits_of(home, plan.model, plan.device)
    assert known[way_of("lora", 512, checkpointing=False)] == 256
    assert known[way_of("lora", 64, checkpointing=False)] == 1024
    assert way_of("lora", 512, checkpointing=True) not in known


def test_the_lowest_limit_stays(home: Path, output: Path) -> None:
    plan = plan_of(output)
    for tokens in (256, 128, 512):
        remember_limit(home, plan, tokens)
    assert list(limits_of(home, plan.model, plan.device).values()) == [128]


def test_another_model_or_device_has_its_own(home: Path, output: Path) -> None:
    plan = plan_of(output)
    remember_limit(home, plan, 256)
    assert not limits_of(home, plan.model.model_copy(update={"fingerprint": "other"}), plan.device)
    assert not limits_of(home, plan.model, plan.device.model_copy(update={"name": "another"}))
