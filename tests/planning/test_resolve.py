from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tunesmith.spec.errors import BadValue, MissingTarget, SplitImpossible, WillNotFit
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan

OPEN = {
    "model.continue",
    "model.revision",
    "recipe.max_steps",
    "recipe.warmup_steps",
    "recipe.quantization.compute",
    "options.chat_template",
    "resources.memory_limit_gb",
}
"""Fields that say something by being open: no other run, no revision, no limit, a share of the steps for the warm-up,
no 4-bit base, the own template."""


def value(plan: Plan, field: str) -> Any:
    found: Any = plan.spec
    for part in field.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


def reason(plan: Plan, field: str) -> str:
    return next(decision.reason for decision in plan.decisions if decision.field == field)


def empty_fields(part: Any, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, entry in part.items():
        if isinstance(entry, dict):
            found |= empty_fields(entry, f"{prefix}{name}.")
        elif entry is None:
            found.add(prefix + name)
    return found


@pytest.mark.parametrize(
    ("field", "expected", "why"),
    [
        ("name", "model-chat", "model's and the data's names"),
        ("task", "chat", "2000 conversations"),
        ("recipe.method", "lora", "small adapter"),
        ("recipe.adapter.rank", 8, "below 1B parameters"),
        ("recipe.adapter.alpha", 16, "twice the rank"),
        ("recipe.adapter.targets", ["q_proj", "k_proj", "v_proj", "o_proj"], "documented for Llama models"),
        ("recipe.length", 128, "has 121 tokens"),
        ("recipe.batch.size", 16, "58 tokens on average"),
        ("recipe.batch.accumulation", 1, "mode medium aims at 16 rows"),
        ("recipe.batch.micro_tokens", 1024, "GiB memory"),
        ("recipe.epochs", 3, "mode medium"),
        ("recipe.learning_rate", 5e-4, "0.0005 for below 1B parameters, x 1"),
        ("recipe.precision", "bf16", "the cpu computes in it"),
        ("recipe.gradient_checkpointing", False, "memory suffices"),
        ("recipe.evaluate_every", 10, "5% of an epoch of 180 steps, at least 10"),
        ("recipe.checkpoints.every_steps", 10, "at every evaluation"),
        ("evaluation.validation_split", 0.1, "320 of 3200 rows"),
        ("resources.device", "cpu", "a processor"),
        ("resources.threads", 8, "8 cores"),
    ],
)
def test_fills_in_what_is_open_and_says_why(world, field, expected, why):
    plan = world.plan()
    assert value(plan, field) == expected
    assert why in reason(plan, field)


def test_leaves_nothing_open_but_what_means_something(world):
    assert empty_fields(world.plan().spec.model_dump()) == OPEN


@pytest.mark.parametrize(
    ("parameters", "rank", "rate"),
    [
        (999_999_999, 8, 5e-4),
        (1_000_000_000, 16, 2e-4),
        (3_000_000_000, 32, 1e-4),
        (7_000_000_000, 64, 5e-5),
        (13_000_000_000, 128, 2e-5),
        (30_000_000_000, 256, 2e-5),
    ],
)
def test_rank_and_rate_go_by_parameters(world, parameters, rank, rate):
    plan = world.but(model={"parameters": parameters}, memory=2**40).plan()
    assert plan.spec.recipe.adapter.rank == rank
    assert plan.spec.recipe.adapter.alpha == 2 * rank
    assert plan.spec.recipe.learning_rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("mode", "rate", "epochs", "effective", "interval"),
    [
        ("slow", 2.5e-4, 5, 32, 10),
        ("medium", 5e-4, 3, 16, 10),
        ("fast", 1e-3, 1, 8, 10),
        ("quality", 2.5e-4, 5, 32, 10),
    ],
)
def test_a_mode_sets_rate_epochs_batch_and_evaluations(world, mode, rate, epochs, effective, interval):
    recipe = world.plan(recipe={"mode": mode}).spec.recipe
    assert recipe.learning_rate == pytest.approx(rate)
    assert recipe.epochs == epochs
    assert recipe.batch.size * recipe.batch.accumulation == effective
    assert recipe.evaluate_every == interval


def test_full_training_takes_a_tenth_of_the_rate(world):
    plan = world.plan(recipe={"method": "full"})
    assert plan.spec.recipe.learning_rate == pytest.approx(5e-5)
    assert "every weight is trained" in reason(plan, "recipe.learning_rate")


def test_full_training_warns_of_adapter_settings(world):
    plan = world.plan(recipe={"method": "full", "adapter": {"rank": 4}})
    assert any("has no effect" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("typed", "size", "accumulation"),
    [
        ({"size": 4}, 4, 4),
        ({"size": 64}, 64, 1),
        ({"accumulation": 4}, 4, 4),
        ({"accumulation": 100}, 1, 100),
        ({"size": 3, "accumulation": 5}, 3, 5),
    ],
)
def test_what_is_typed_of_a_batch_decides_the_rest(world, typed, size, accumulation):
    batch = world.plan(recipe={"batch": typed}).spec.recipe.batch
    assert (batch.size, batch.accumulation) == (size, accumulation)


def test_long_rows_make_small_batches_and_the_same_step(world):
    lengths = {"p50": 700, "p95": 900, "p99": 950, "max": 1000}
    recipe = world.but(lengths=lengths, mean_length=700.0).plan().spec.recipe
    assert recipe.batch.size == 1
    assert recipe.batch.accumulation == 16


def test_a_typed_value_is_kept_and_called_given(world):
    plan = world.plan(seed=7, recipe={"epochs": 2, "weight_decay": 0.0, "adapter": {"dropout": 0.0}})
    fields = ("seed", "recipe.epochs", "recipe.weight_decay", "recipe.adapter.dropout")
    assert [reason(plan, field) for field in fields] == ["given"] * 4


def test_every_linear_layer_for_a_family_without_a_list(world):
    plan = world.but(model={"model_type": "qwen3"}).plan()
    assert plan.spec.recipe.adapter.targets == plan.model.linear_layers


def test_every_linear_layer_where_the_documented_ones_are_missing(world):
    plan = world.but(model={"linear_layers": ["qkv", "out"], "linear_widths": {"qkv": 10, "out": 10}}).plan()
    assert plan.spec.recipe.adapter.targets == ["qkv", "out"]
    assert "lacks some" in reason(plan, "recipe.adapter.targets")


def test_all_linear_names_every_layer(world):
    plan = world.plan(recipe={"adapter": {"targets": ["all-linear"]}})
    assert plan.spec.recipe.adapter.targets == plan.model.linear_layers


def test_a_typed_target_that_is_not_there_is_an_error(world):
    with pytest.raises(MissingTarget, match=r"'q_prj'.*Did you mean 'q_proj'"):
        world.plan(recipe={"adapter": {"targets": ["q_prj"]}})


def test_length_stays_within_what_the_model_sees(world):
    lengths = {"p50": 700, "p95": 900, "p99": 5000, "max": 9000}
    plan = world.but(lengths=lengths).plan()
    assert plan.spec.recipe.length == 4096
    assert "all that the model can see" in reason(plan, "recipe.length")
    assert any("more than 1 in 100 rows are longer" in warning for warning in plan.warnings)


def test_a_typed_length_beyond_the_model_is_an_error(world):
    with pytest.raises(BadValue, match="at most 4096"):
        world.plan(recipe={"length": 5000})


def test_says_who_chose_length_and_split(world):
    chosen, typed = world.plan(), world.plan(recipe={"length": 64}, evaluation={"validation_split": 0.2})
    assert (chosen.length_chosen, chosen.split_chosen) == (True, True)
    assert (typed.length_chosen, typed.split_chosen) == (False, False)


def test_precision_follows_the_device(world):
    plan = world.but(bf16=False).plan()
    assert plan.spec.recipe.precision == "fp32"
    assert "does not compute in bf16" in reason(plan, "recipe.precision")


def test_typed_bf16_on_a_device_without_it_is_kept_with_a_warning(world):
    plan = world.but(bf16=False).plan(recipe={"precision": "bf16"})
    assert plan.spec.recipe.precision == "bf16"
    assert any("no fast bf16" in warning for warning in plan.warnings)


def test_threads_are_shared_among_processes(world):
    assert world.plan(resources={"processes": 3}).spec.resources.threads == 2


@pytest.mark.parametrize(
    ("rows", "mode", "interval"),
    [
        (40, "medium", 3),
        (900, "slow", 10),
        (30_000, "medium", 84),
        (200_000, "medium", 5000),
        (60_000, "fast", 135),
    ],
)
def test_evaluations_come_at_least_once_an_epoch(world, rows, mode, interval):
    assert world.but(rows=rows).plan(recipe={"mode": mode}).spec.recipe.evaluate_every == interval


def test_few_rows_are_evaluated_every_50_steps_at_least(world):
    plan = world.but(rows=900).plan(recipe={"mode": "slow", "batch": {"size": 1, "accumulation": 1}})
    assert plan.spec.recipe.evaluate_every == 50


def test_no_split_where_validation_has_its_own_data(world):
    data = [{"uri": "a.jsonl"}, {"uri": "b.jsonl", "validation": True}]
    plan = world.plan(datasets=data)
    assert plan.spec.evaluation.validation_split == 0
    assert not plan.warnings


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [(9, "9 rows are too few to hold any out"), (1, "1 row is too few to hold any out")],
)
def test_warns_where_too_few_rows_are_left_to_validate(world, rows, sentence):
    plan = world.but(rows=rows).plan()
    assert f"{sentence}: training without validation." in plan.warnings
    assert not any("1 steps" in decision.reason for decision in plan.decisions)


@pytest.mark.parametrize("share", ["validation_split", "test_split"])
def test_a_typed_share_that_is_no_row_is_refused_as_the_run_would(world, share):
    few, typed = world.but(rows=9), {share: 0.1}
    with pytest.raises(SplitImpossible, match=f"--{share.replace('_', '-')} 0.1 of 9 rows"):
        few.plan(evaluation=typed)
    assert few.but(exact=False).plan(evaluation=typed)
    own = {"uri": "b.jsonl", share.removesuffix("_split"): True}
    assert few.plan(evaluation=typed, datasets=[{"uri": "a.jsonl"}, own])


def test_shares_that_leave_nothing_to_train_on_are_refused(world):
    with pytest.raises(SplitImpossible, match=r"--validation-split plus --test-split 1\.2 of 3200 rows"):
        world.plan(evaluation={"validation_split": 0.6, "test_split": 0.6})


def test_warns_of_faults_in_the_sample(world):
    plan = world.but(faults=3).plan()
    assert any("3 of 2000 sampled rows cannot be used and are skipped" in warning for warning in plan.warnings)


def test_an_untested_family_takes_the_stock_path_and_says_so(world):
    plan = world.but(model={"model_type": "mamba"}).plan()
    assert plan.execution.attention == "stock"
    assert not plan.execution.fused
    assert "not tested for mamba models" in reason(plan, "execution.attention")


def test_a_window_shorter_than_the_rows_takes_the_stock_path(world):
    short, wide = world.but(model={"window": 64}).plan(), world.but(model={"window": 4096}).plan()
    assert (short.execution.attention, wide.execution.attention) == ("stock", "documents")
    assert "looks back only 64 tokens" in reason(short, "execution.attention")


def test_rows_that_are_not_joined_take_the_stock_path(world):
    assert world.plan(recipe={"batch": {"joined": False}}).execution.attention == "stock"


def test_counts_steps(world):
    assert world.plan().steps == 540
    assert world.plan(recipe={"max_steps": 20}).steps == 20
    assert world.plan(recipe={"epochs": 0.5}).steps == 90
    assert world.but(sequences_per_row=2.0).plan().steps == 1080


def test_no_steps_at_all_is_a_plan(world):
    plan = world.plan(recipe={"max_steps": 0})
    assert plan.steps == 0
    assert plan.seconds < 60


def test_recomputes_activations_only_where_memory_needs_it(world):
    lengths = {"p50": 3000, "p95": 4000, "p99": 4000, "max": 4000}
    plan = world.but(lengths=lengths, mean_length=3000.0, memory=3 * 2**30).plan()
    assert plan.spec.recipe.gradient_checkpointing is True
    assert plan.memory.fits
    assert "does not fit" in reason(plan, "recipe.gradient_checkpointing")


def test_refuses_what_will_not_fit_and_says_what_would(world):
    lengths = {"p50": 3000, "p95": 4000, "p99": 4000, "max": 4000}
    tight = world.but(lengths=lengths, memory=int(1.05 * 2**30))
    with pytest.raises(WillNotFit, match=r"--max-seq-length \d+ or --method qlora.*--force"):
        tight.plan(recipe={"method": "lora"})


def test_force_plans_what_will_not_fit(world):
    plan = world.but(memory=2**20).plan(force=True)
    assert not plan.memory.fits


def test_repeats_nothing_that_the_hint_cannot_help(seven):
    with pytest.raises(WillNotFit, match="smaller model"):
        seven.but(memory=4 * 2**30).plan()


def recipes() -> st.SearchStrategy[dict[str, Any]]:
    batch = st.fixed_dictionaries(
        {},
        optional={
            "size": st.integers(1, 64),
            "accumulation": st.integers(1, 64),
            "micro_tokens": st.integers(16, 4096),
            "joined": st.booleans(),
        },
    )
    adapter = st.fixed_dictionaries(
        {}, optional={"rank": st.integers(1, 64), "targets": st.sampled_from([["q_proj"], ["all-linear"]])}
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "mode": st.sampled_from(["slow", "medium", "fast", "quick"]),
            "method": st.sampled_from(["full", "lora"]),
            "batch": batch,
            "adapter": adapter,
            "length": st.integers(16, 4096),
            "max_steps": st.integers(0, 1000),
            "precision": st.sampled_from(["bf16", "fp32"]),
            "gradient_checkpointing": st.booleans(),
        },
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipe=recipes(), rows=st.integers(1, 200_000))
@example(recipe={"mode": "slow", "batch": {"accumulation": 1, "joined": False, "micro_tokens": 1937}}, rows=1)
@example(recipe={"batch": {"accumulation": 5, "joined": False, "micro_tokens": 1211}}, rows=1)
@example(recipe={"mode": "slow", "batch": {"accumulation": 1}, "length": 16}, rows=1)
def test_a_plan_of_a_planned_job_is_the_same_job(world, recipe, rows):
    world = world.but(rows=rows)
    first = world.plan(recipe=recipe, force=True)
    again = world.resolve(first.spec)
    stored = world.resolve(JobSpec.model_validate_json(first.spec.model_dump_json()))
    assert again.spec == first.spec == stored.spec
    assert (again.steps, again.memory, again.execution) == (first.steps, first.memory, first.execution)
