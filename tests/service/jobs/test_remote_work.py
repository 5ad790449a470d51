"""Evaluations and exports that a server does for a command: how the command ends where they do not succeed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.service.jobs import remote_work
from tunesmith.service.jobs.remote import RemoteJob
from tunesmith.service.jobs.remote_work import done_by_server
from tunesmith.settings import Settings
from tunesmith.spec.errors import Relayed
from tunesmith.spec.states import RunState
from tunesmith.spec.work import ExportSpec


class Ending:
    """A server whose jobs have ended in one state as soon as they are handed over."""

    def __init__(self, state: RunState) -> None:
        self.job = RemoteJob("job-0123456789ab", state)

    def submit_work(self, work: ExportSpec, start: str) -> RemoteJob:
        return self.job


@pytest.mark.parametrize(("state", "exit_code"), [(RunState.CANCELLED, 76), (RunState.PAUSED, 75)])
def test_a_command_whose_job_others_ended_exits_as_one_that_was_ended(
    state: RunState, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_work, "server_of", lambda settings: Ending(state))
    with pytest.raises(Relayed, match=f"is {state}") as ended:
        done_by_server(ExportSpec(source="lora"), Settings(home=tmp_path), lambda message, done: None)
    assert (ended.value.exit_code, ended.value.code) == (exit_code, str(state))
