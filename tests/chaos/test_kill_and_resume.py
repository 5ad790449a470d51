"""Kill -9 at random moments of one job, pauses mixed in: the final weights equal those of an uninterrupted run."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import write_chat
from integration.jobs import begin, kill, steps_of, tiny_job, until_over, until_step, weights_digest
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.runs.liveness import is_alive
from tunesmith.runs.output_lock import PRIVATE
from tunesmith.runs.status import status
from tunesmith.service.jobs.control import pause
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.errors import WrongRunState
from tunesmith.spec.events import Finished
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import AdapterRecipe
from tunesmith.spec.states import RunState

KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
PAUSES = 3
EPOCHS = {"medium": 30, "circular": 40, "adaptive": 30}
"""Enough steps for all interruptions; a growing batch makes fewer of an epoch."""
OPTIMIZERS = {"qlora": "paged_adamw_8bit", "lora-8bit": "adamw_bnb_8bit"}
"""What else is 8 bits wide with these methods."""
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("method", "precision", "mode"),
    [
        ("lora", "bf16", "medium"),
        ("full", "fp32", "medium"),
        ("full", "bf16", "medium"),
        ("lora", "fp32", "circular"),
        ("full", "fp32", "adaptive"),
        ("qlora", "bf16", "medium"),
        ("lora-8bit", "fp32", "medium"),
    ],
)
def test_twenty_kills_change_nothing(
    method: str, precision: str, mode: str, tiny_model: Path, tmp_path: Path, home: Path
) -> None:
    settings, data = Settings(home=home), write_chat(tmp_path / "chat.jsonl")
    recipe: dict[str, Any] = {"method": method, "precision": precision, "mode": mode, "epochs": EPOCHS[mode]}
    if method in OPTIMIZERS:
        # Wide enough for an 8-bit optimizer to keep 8 bits.
        recipe |= {"optimizer": OPTIMIZERS[method], "adapter": AdapterRecipe(rank=128, dropout=0.1)}
    straight = until_over(begin(tiny_job(tiny_model, data, tmp_path / "straight", **recipe), settings))
    assert status(straight).state is RunState.SUCCEEDED, straight.log.read_text()

    plan = plan_job(tiny_job(tiny_model, data, tmp_path / "killed", **recipe), settings)
    done, tally = _chaos(plan, settings, random.Random(f"{SEED}{method}{precision}{mode}"), status(straight).step or 0)
    print(f"{method} {precision} {mode}: seed {SEED}, {dict(tally)}")
    assert weights_digest(done) == weights_digest(straight)
    assert _told(done) == _told(straight)
    assert tally["kills"] == KILLS


def _told(run: RunFolder) -> list[Any]:
    """What the last word says of the training itself."""
    last = list(follow(run))[-1].body
    assert isinstance(last, Finished), run.log.read_text()
    return [last.summary[key] for key in ("steps", "train_loss", "validation_loss", "best_validation_loss")]


def _chaos(plan: Plan, settings: Settings, chance: random.Random, steps: int) -> tuple[RunFolder, Counter[str]]:
    """Kill and pause one job often enough, then let it finish; only what hit a living run counts."""
    tally: Counter[str] = Counter()
    run = begin(plan, settings)
    while tally["kills"] < KILLS or tally["pauses"] < PAUSES:
        wants_pause = tally["pauses"] * KILLS <= tally["kills"] * PAUSES
        what = _pause(run, _target(run, tally, chance, steps)) if wants_pause else _kill(run, tally, chance, steps)
        tally[what] += 1
        if what == "too late":
            pytest.fail(f"the run was over after {dict(tally)}: make it longer")
        if what != "pauses":
            tally["kills"] += 1
        run = _again(run, plan, settings)
    for place in ("artifacts", "README.md", "training_history.png", "output"):
        tally[_kill_while_writing(run, place)] += 1
        if status(run).state is not RunState.SUCCEEDED:
            run = _again(run, plan, settings)
    return until_over(run), tally


def _target(run: RunFolder, tally: Counter[str], chance: random.Random, steps: int) -> int:
    """A step ahead, near enough that all interruptions fit into the run."""
    start = checkpoints.start_of(run)
    at = start.step if start else 0
    left = KILLS + PAUSES - tally["kills"] - tally["pauses"]
    return at + chance.randint(1, max(1, (steps - at) // (left + 2)))


def _kill(run: RunFolder, tally: Counter[str], chance: random.Random, steps: int) -> str:
    """Kill it at once, while it prepares, while it trains or while a checkpoint is staged; return where."""
    place = chance.choices(["at once", "preparing", "training", "saving"], [1, 2, 10, 4])[0]
    events = follow(run, poll=0.001)
    if place == "preparing":
        for _ in range(chance.randint(1, 5)):
            next(events)
    elif place in ("training", "saving") and not until_step(run, _target(run, tally, chance, steps)):
        return "too late"
    if place == "saving":
        _until_staging(run)
    handle = handle_of(run)
    if handle is None or not is_alive(handle.worker):
        return "too late"
    kill(run)
    assert status(run).state is RunState.FAILED
    return f"killed {place}"


def _kill_while_writing(run: RunFolder, place: str) -> str:
    """Kill it while the result is written or published, when this much of it is there; return whether it was alive."""
    handle, output = handle_of(run), run.header().output
    assert handle is not None and output is not None
    while is_alive(handle.worker):
        there = {
            "artifacts": any(run.artifacts_dir.iterdir()),
            "output": (Path(output) / PRIVATE / "stage").exists(),
        }.get(place) or (run.artifacts_dir / place).exists()
        if there:
            kill(run)
            break
    until_over(run)
    return "result already out" if status(run).state is RunState.SUCCEEDED else "killed writing"


def _until_staging(run: RunFolder) -> None:
    """Wait until a checkpoint is being written (or the run is over)."""
    handle = handle_of(run)
    assert handle is not None
    while is_alive(handle.worker):
        if any(name.startswith((".staging", ".aside", ".trash")) for name in os.listdir(run.checkpoints_dir)):
            return


def _pause(run: RunFolder, target: int) -> str:
    if not until_step(run, target):
        return "too late"
    try:
        pause(run)
    except WrongRunState:
        return "too late"
    now = status(until_over(run))
    assert (now.state, now.exit) == (RunState.PAUSED, 75)
    newest, last = checkpoints.newest_verified(run), steps_of(run)[-1].step
    assert newest is not None and newest.step == last
    return "pauses"


def _again(run: RunFolder, plan: Plan, settings: Settings) -> RunFolder:
    """Resume, or start anew where the run was killed before its first checkpoint."""
    for own in checkpoints.listed(run):
        assert checkpoints.verify(own.path), f"{own.path} is visible and does not verify"
    return resume(Resumable(run), settings) if checkpoints.start_of(run) else begin(plan, settings)
