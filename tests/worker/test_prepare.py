"""What a plan says of the data arrives in the rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.jobs import tiny_job
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.plan import Plan
from tunesmith.worker.prepare import Data, prepare_data
from tunesmith.worker.reporting import Reporter


@pytest.fixture
def plan(tiny_model: Path, chat_file: Path, tmp_path: Path, home: Path) -> Plan:
    return plan_job(tiny_job(tiny_model, chat_file, tmp_path / "lora"), Settings(home=home))


def changed(plan: Plan, **parts: dict[str, Any]) -> Plan:
    """The same plan with other values in some parts of its job."""
    spec = plan.spec
    updated = {name: getattr(spec, name).model_copy(update=values) for name, values in parts.items()}
    return plan.model_copy(update={"spec": spec.model_copy(update=updated)})


def prepared(plan: Plan, home: Path) -> Data:
    run = RunFolder.create(home, kind="train", name="prepares", plan=plan)
    return prepare_data(run, plan, Reporter(run))


def test_test_rows_are_kept_aside(plan: Plan, home: Path) -> None:
    without, data = prepared(plan, home), prepared(changed(plan, evaluation={"test_split": 0.25}), home)
    assert (len(without.prepared.test), len(data.prepared.test)) == (0, 10)
    assert data.prepared.validation.lengths.tolist() == without.prepared.validation.lengths.tolist()


def test_a_resume_tells_other_data_from_the_same(plan: Plan, home: Path, chat_file: Path) -> None:
    first, again = prepared(plan, home), prepared(plan, home)
    assert first.fingerprint == again.fingerprint
    other = prepared(changed(plan, evaluation={"test_split": 0.25}), home)
    shorter = prepared(changed(plan, recipe={"length": 48}), home)
    chat_file.write_text(chat_file.read_text().replace("It is 4.", "It is 5."))
    assert len({each.fingerprint for each in (first, other, shorter, prepared(plan, home))}) == 4


def test_running_text_is_trained_in_pieces_and_resumes_exactly(plan: Plan, home: Path, chat_file: Path) -> None:
    rows = [json.dumps({"text": f"{number} " + "running text " * 30}) for number in range(20)]
    chat_file.write_text("\n".join(rows) + "\n")
    plan = changed(plan, recipe={"length": 64})
    first, again = prepared(plan, home), prepared(plan, home)
    ledger = first.prepared.ledger.total
    assert ledger.trained + ledger.context == ledger.tokens
    assert (len(first.prepared.train), first.prepared.train.tokens) == (16 * 7, ledger.tokens)
    assert first.fingerprint == again.fingerprint


def test_the_cache_keeps_within_what_the_settings_say(
    plan: Plan, home: Path, chat_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = home / "cache" / "tokens"
    prepared(plan, home).prepared.held.close()
    chat_file.write_text(chat_file.read_text() + chat_file.read_text())
    prepared(plan, home).prepared.held.close()
    assert len(list(tokens.iterdir())) == 2
    monkeypatch.setenv("TUNESMITH_CACHE_LIMIT_GB", "0")
    chat_file.write_text(chat_file.read_text() + chat_file.read_text())
    kept = prepared(plan, home).prepared.fingerprint
    assert [path.name for path in tokens.iterdir()] == [kept]
