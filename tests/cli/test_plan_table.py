from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tunesmith.cli.plan_table import duration, memory_line, print_plan, time_line
from tunesmith.planning.draft import draft
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.plan import Plan


@pytest.fixture
def plan(tiny_model: Path, chat_file: Path) -> Plan:
    spec = JobSpec(model=ModelRef(source=str(tiny_model)), datasets=[DatasetRef(uri=str(chat_file))])
    return draft(spec, tiny_model)


def printed(plan: Plan, *, width: int = 80, terminal: bool = False) -> str:
    file = io.StringIO()
    print_plan(plan, Console(file=file, width=width, force_terminal=terminal, color_system=None, markup=False))
    return file.getvalue()


def test_a_pipe_gets_one_line_for_each_choice(plan):
    lines = printed(plan, width=20).splitlines()
    assert lines[0].startswith("Plan    chat with ")
    assert "(40 rows)" in lines[0]
    [rate] = [line for line in lines if line.strip().startswith("learning_rate")]
    assert rate.split(maxsplit=2) == ["learning_rate", "0.0005", "0.0005 for below 1B parameters, x 1 for mode medium"]
    table = [line for line in lines if line.startswith("  ")]
    assert table[0].split() == ["field", "value", "why"]
    assert len(table[1:]) == len(plan.decisions) - 1


def test_says_what_it_takes(plan):
    text = printed(plan)
    assert memory_line(plan.memory) in text
    assert f"Time    about {duration(plan.seconds)}: {plan.steps} steps" in text


def test_a_wide_terminal_gets_a_table(plan):
    lines = printed(plan, width=140, terminal=True).splitlines()
    starts = {line.index(word) for line in lines for word in ("twice the rank", "at every evaluation") if word in line}
    assert len(starts) == 1


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_gets_each_reason_below_its_value(plan, width):
    lines = printed(plan, width=width, terminal=True).splitlines()
    assert all(len(line.rstrip()) <= width for line in lines[2:])
    where = next(number for number, line in enumerate(lines) if line.startswith("adapter.alpha 16"))
    assert lines[where + 1].strip() == "twice the rank"


@pytest.mark.parametrize(
    ("modality", "task", "pace"),
    [
        ("text", "chat", "100 tokens/s"),
        ("vision", "image-classification", "10 pictures/s"),
        ("vision", "object-detection", "10 pictures/s"),
        ("audio", "speech-recognition", "10 sounds/s"),
        ("multimodal", "image-text-contrastive", "10 pairs/s"),
        ("multimodal", "image-text-to-text", "100 tokens/s"),
    ],
)
def test_the_pace_is_told_in_what_is_trained_on(plan, modality, task, pace):
    told = plan.model_copy(
        update={
            "spec": plan.spec.model_copy(update={"task": task}),
            "model": plan.model.model_copy(update={"modality": modality}),
            "data": plan.data.model_copy(update={"mean_length": 10.0}),
            "execution": plan.execution.model_copy(update={"tokens_per_second": 100.0}),
        }
    )
    assert time_line(told).endswith(f"at an estimated {pace}")


def test_warnings_stand_last(plan):
    warned = plan.model_copy(update={"warnings": ["Mind the gap."]})
    assert printed(warned).splitlines()[-1] == "Warning: Mind the gap."


def test_a_name_from_outside_cannot_steer_the_terminal(plan):
    model = plan.model.model_copy(update={"source": "evil\x1b[2J"})
    assert "\x1b" not in printed(plan.model_copy(update={"model": model}))


def test_memory_that_does_not_fit_is_said(plan):
    memory = plan.memory.model_copy(update={"available": 2**20})
    assert "it does not fit" in printed(plan.model_copy(update={"memory": memory}))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "10 seconds"), (47, "50 seconds"), (130, "2 minutes"), (7200, "2.0 hours"), (300_000, "3.5 days")],
)
def test_rounds_a_duration(seconds, text):
    assert duration(seconds) == text
