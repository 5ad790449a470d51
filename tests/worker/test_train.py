"""Every setting of a recipe arrives where it counts: in the loop's parameters, the model, its pass, or the data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from pydantic import BaseModel

from integration.jobs import tiny_job
from tunesmith.modalities.parts.building import Pieces
from tunesmith.modalities.text.builder import build
from tunesmith.runs import checkpoints
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.memory_limits import limits_of
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.errors import FaultyData
from tunesmith.spec.events import DecisionMade
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import Method, Recipe
from tunesmith.training import decoder, forward
from tunesmith.training.device import Ranks
from tunesmith.training.documents import attend
from tunesmith.training.evaluation import Measured
from tunesmith.training.forward import Documents, Fused, Stock, inner
from tunesmith.training.loop_settings import LoopSettings
from tunesmith.training.stopping import Thresholds
from tunesmith.worker.keeping import Keeper
from tunesmith.worker.loop_settings import loop_settings
from tunesmith.worker.prepare import Data, prepare_data
from tunesmith.worker.reporting import Reporter
from tunesmith.worker.train import _tested

LOOP: Final[dict[str, Any]] = {
    "batch.size": 3,
    "batch.accumulation": 5,
    "batch.micro_tokens": 333,
    "epochs": 7.5,
    "max_steps": 11,
    "optimizer": "another",
    "learning_rate": 0.5,
    "schedule": "linear",
    "warmup_ratio": 0.7,
    "warmup_steps": 12,
    "weight_decay": 0.6,
    "max_grad_norm": 0.3,
    "evaluate_every": 13,
    "schedule_cycles": 7,
    "decay_ratio": 0.4,
    "force_epochs": True,
    "mode": "adaptive",
    "stopping.metric": "accuracy",
    "stopping.patience": 17,
    "stopping.min_delta": 0.2,
    "stopping.min_evaluations": 9,
    "stopping.overfitting_threshold": 0.7,
    "stopping.perfect_loss": 0.3,
    "stopping.perplexity_limit": 55.0,
    "checkpoints.every_steps": 19,
}
"""Another value for what the loop is told."""
BUILD: Final = {
    "method", "adapter.rank", "adapter.alpha", "adapter.dropout", "adapter.targets", "adapter.dora", "adapter.rslora",
    "quantization.kind", "quantization.double", "quantization.compute", "precision",
    "gradient_checkpointing", "batch.joined",
}  # fmt: skip
"""What decides how the model and its pass are built."""
ELSEWHERE: Final = {
    "length", "checkpoints.keep", "circular.cycles", "circular.batch_multiplier", "learning_rate_multiplier",
}  # fmt: skip
"""For the data; for the keeper; spent in the plan, as its epochs; for mode circular alone; in the plan's rate."""


@pytest.fixture
def plan(tiny_model: Path, chat_file: Path, tmp_path: Path, home: Path) -> Plan:
    return plan_job(tiny_job(tiny_model, chat_file, tmp_path / "lora"), Settings(home=home))


def but(plan: Plan, path: str, value: Any) -> Plan:
    """The same plan with one value changed, by dotted path; nothing checks it, as nothing checks a stored plan."""

    def changed(part: BaseModel, names: list[str]) -> BaseModel:
        head, *rest = names
        return part.model_copy(update={head: changed(getattr(part, head), rest) if rest else value})

    result = changed(plan, path.split("."))
    assert isinstance(result, Plan)
    return result


def leaves(part: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in part.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_setting_of_a_recipe_is_looked_at_here() -> None:
    assert sorted(leaves(Recipe)) == sorted({*LOOP, *BUILD, *ELSEWHERE})


@pytest.mark.parametrize("path", LOOP)
def test_the_loop_is_told(path: str, plan: Plan) -> None:
    assert loop_settings(but(plan, f"spec.recipe.{path}", LOOP[path])) != loop_settings(plan)


def in_mode(plan: Plan, mode: str, **recipe: Any) -> LoopSettings:
    plan = but(plan, "spec.recipe.mode", mode)
    for path, value in recipe.items():
        plan = but(plan, f"spec.recipe.{path.replace('__', '.')}", value)
    return loop_settings(plan)


def test_a_circular_run_grows_and_loses_no_patience(plan: Plan) -> None:
    told = in_mode(plan, "circular", circular__batch_multiplier=1.5)
    assert (told.course.growth, told.course.largest_batch, told.course.lands) == (1.5, 8, False)
    assert (told.stops.patience, told.stops.perplexity_limit) == (None, None)
    assert told.stops.overfitting is not None
    assert told.stops.perfect_loss is not None


def test_a_run_without_end_lands_and_never_stops_by_itself(plan: Plan) -> None:
    told = in_mode(plan, "non-stop", epochs=None)
    assert (told.course.epochs, told.course.lands) == (None, True)
    assert told.stops == Thresholds()


@pytest.mark.parametrize("task", ["chat", "pretraining", "mlm"])
def test_a_loss_of_tokens_can_explode(task: str, plan: Plan) -> None:
    assert loop_settings(but(plan, "spec.task", task)).stops.perplexity_limit is not None


@pytest.mark.parametrize("task", ["classification", "dpo"])
def test_a_loss_of_texts_or_pairs_is_no_perplexity(task: str, plan: Plan) -> None:
    stops = loop_settings(but(plan, "spec.task", task)).stops
    assert stops.perplexity_limit is None
    assert stops.overfitting is not None


def test_forced_epochs_have_no_stops(plan: Plan) -> None:
    told = in_mode(plan, "medium", force_epochs=True)
    assert (told.forced, told.stops) == (True, Thresholds())


@pytest.mark.parametrize("mode", ["slow", "medium", "fast", "ultra"])
def test_a_preset_is_spent_in_the_plan(mode: str, plan: Plan) -> None:
    assert in_mode(plan, mode) == in_mode(plan, "medium")


def test_the_loop_is_told_the_seed(plan: Plan) -> None:
    assert loop_settings(but(plan, "spec.seed", 7)).seed == 7


class MeasuresNothing:
    """A loop whose model has broken down on the test rows."""

    def measure(self, rows: object) -> Measured:
        return Measured(math.nan, {})


def test_a_test_loss_that_is_no_number_is_warned_of_and_left_out(data: Data, home: Path) -> None:
    run = RunFolder.create(home, kind="train", name="tests")
    assert _tested(MeasuresNothing(), data.prepared.train, Reporter(run)) is None  # type: ignore[arg-type]
    said = [event.body for event in read(run.events, 0)[0]]
    assert [body.kind for body in said] == ["phase", "warning"]
    assert "test rows is not a number" in said[1].message  # type: ignore[union-attr]


# --- the model and its pass -------------------------------------------------------------------------------------------


@pytest.fixture
def data(plan: Plan, home: Path) -> Data:
    return prepared(plan, home)


def prepared(plan: Plan, home: Path) -> Data:
    run = RunFolder.create(home, kind="train", name="prepares", plan=plan)
    return prepare_data(run, plan, Reporter(run))


def built(plan: Plan, data: Data) -> Pieces:
    return build(plan, data.prepared.train, data.prepared.validation, torch.device("cpu"))


def adapted(pieces: Pieces) -> dict[str, Any]:
    return {name.rsplit(".", 1)[-1]: part for name, part in pieces.model.named_modules() if hasattr(part, "lora_A")}


def test_the_adapter_is_made_as_told(plan: Plan, data: Data) -> None:
    for path, value in {"rank": 3, "alpha": 9.0, "dropout": 0.25, "targets": ["v_proj"]}.items():
        plan = but(plan, f"spec.recipe.adapter.{path}", value)
    layers = adapted(built(plan, data))
    assert list(layers) == ["v_proj"]
    layer = layers["v_proj"]
    assert (layer.r["default"], layer.scaling["default"], layer.lora_dropout["default"].p) == (3, 3.0, 0.25)


def test_full_training_has_no_adapter_and_trains_everything(plan: Plan, data: Data) -> None:
    pieces = built(but(plan, "spec.recipe.method", Method.FULL), data)
    assert not adapted(pieces)
    assert all(parameter.requires_grad for parameter in pieces.model.parameters())


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_the_model_computes_in_the_format_told(precision: str, dtype: torch.dtype, plan: Plan, data: Data) -> None:
    pieces = built(but(plan, "spec.recipe.precision", precision), data)
    assert inner(pieces.model).get_output_embeddings().weight.dtype == dtype


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        ("execution.fused", True, Fused),
        ("execution.fused", False, Documents),
        ("execution.attention", "stock", Stock),
        ("spec.recipe.batch.joined", False, Stock),
    ],
)
def test_the_pass_is_the_one_that_the_plan_names(path: str, value: object, kind: type, plan: Plan, data: Data) -> None:
    assert plan.execution.fused and plan.execution.attention == "documents"
    pieces = built(but(plan, path, value), data)
    assert isinstance(pieces.objective.forward, kind)  # type: ignore[attr-defined]
    assert bool(pieces.loss(pieces.train.batch([0, 1])).isfinite())


@pytest.mark.parametrize("fused", [True, False])
def test_gradient_checkpointing_computes_layers_again(
    fused: bool, plan: Plan, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for wanted in (False, True):
        changed = but(but(plan, "execution.fused", fused), "spec.recipe.gradient_checkpointing", wanted)
        pieces, count = built(changed, data), [0]

        def counted(*parts: Any, count: list[int] = count) -> Any:
            count[0] += 1
            return attend(*parts)

        monkeypatch.setattr(decoder if fused else forward, "attend", counted)
        pieces.model.train()
        pieces.loss(pieces.train.batch([0, 1])).backward()
        calls.append(count[0])
    assert calls[1] == 2 * calls[0] > 0


# --- the data ---------------------------------------------------------------------------------------------------------


def test_what_is_trained_on_is_what_was_told(plan: Plan, data: Data, home: Path) -> None:
    everything = prepared(but(plan, "spec.options", {"train_on": "all"}), home)
    assert everything.prepared.train.trained().sum() > data.prepared.train.trained().sum()
    assert everything.fingerprint != data.fingerprint


def test_the_chat_template_is_the_one_that_was_told(
    plan: Plan, data: Data, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.jinja").write_text("{% for m in messages %}[{{ m.role }}]{{ m.content }}<|im_end|>{% endfor %}")
    monkeypatch.chdir(tmp_path)
    mine = prepared(but(plan, "spec.options", {"chat_template": "mine.jinja"}), home)
    assert mine.encoder.decode(list(mine.prepared.train.row(0)[0])).startswith("[user]What is ")
    assert mine.fingerprint != data.fingerprint


def test_duplicates_are_dropped_if_told(plan: Plan, chat_file: Path, home: Path) -> None:
    chat_file.write_text(chat_file.read_text() * 2)
    kept, dropped = (
        prepared(but(plan, "spec.options", {"drop_duplicates": drop}), home).prepared for drop in (False, True)
    )
    assert len(dropped.train) == len(kept.train) - kept.duplicates < len(kept.train)


def test_length_split_and_seed_reach_the_data(plan: Plan, data: Data, home: Path) -> None:
    short = prepared(but(but(plan, "spec.recipe.length", 40), "length_chosen", False), home)
    assert max(short.prepared.train.lengths) == 40 < max(data.prepared.train.lengths)
    halved = prepared(but(plan, "spec.evaluation.validation_split", 0.5), home)
    assert len(halved.prepared.validation) == 20 != len(data.prepared.validation)
    other = prepared(but(plan, "spec.seed", 7), home)
    assert other.prepared.held_out != data.prepared.held_out
    assert len({data.fingerprint, short.fingerprint, halved.fingerprint, other.fingerprint}) == 4


def test_strict_refuses_what_is_skipped_otherwise(plan: Plan, chat_file: Path, home: Path) -> None:
    chat_file.write_text(chat_file.read_text() + "no json\n")
    assert prepared(plan, home).prepared.faults.count == 1
    with pytest.raises(FaultyData):
        prepared(but(plan, "spec.strict", True), home)


# --- the keeper -------------------------------------------------------------------------------------------------------


class Writes:
    """What the keeper asks of a loop."""

    def __init__(self, step: int) -> None:
        self.progress = self
        self.step = step

    def write(self, folder: Path) -> None:
        (folder / "state").write_text(str(self.step))


def test_what_memory_taught_is_noted_for_later_plans(plan: Plan, home: Path) -> None:
    run = RunFolder.create(home, kind="train", name="learns", plan=plan)
    keeper = Keeper(run, Reporter(run), Ranks(0, 1), keep=1, fingerprint="f", charts=None)
    keeper.say(DecisionMade(field="recipe.batch.micro_tokens", value=48, reason="memory ran out"))
    assert list(limits_of(home, plan.model, plan.device).values()) == [48]


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_checkpoints_are_kept_as_told_besides_the_best(keep: int, home: Path) -> None:
    run = RunFolder.create(home, kind="train", name="keeps")
    keeper = Keeper(run, Reporter(run), Ranks(0, 1), keep=keep, fingerprint="f", charts=None)
    for step in range(1, 7):
        keeper.save(Writes(step), best=step == 2, reason="interval")  # type: ignore[arg-type]
    assert [own.step for own in checkpoints.listed(run)] == [2, *range(7 - keep, 7)]
    assert keeper.checkpoint_of(2) == run.checkpoints_dir / "checkpoint-2"
    assert keeper.checkpoint_of(None) == run.checkpoints_dir / "checkpoint-6"
    assert keeper.checkpoint_of(3 if keep == 3 else 5) is None
