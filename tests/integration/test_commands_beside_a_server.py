"""The command line while a server of the same home lives: it queues, follows and asks, and says what happens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fleet import LightServer, fleet, light_job, until
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder, run_folders
from tunesmith.runs.handle import handle_of
from tunesmith.runs.status import status

JOB = re.compile(r"job-[0-9a-f]{12}")
RUN = re.compile(r"\d{8}-\d{6}-[\w-]+")


class Terminal:
    """``tunesmith`` in a process of its own, as one types it."""

    def __init__(self, home: Path, folder: Path, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tunesmith.cli.main", "--home", str(home), *arguments],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment | {"PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip
        self.said = ""

    def hears(self, words: str) -> str:
        """Read until these words were printed; return all so far."""
        assert self.process.stdout is not None
        while words not in self.said:
            line = self.process.stdout.readline()
            assert line, f"'{words}' was never said, but:\n{self.said}"
            self.said += line
        return self.said

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ends(self) -> int:
        """Read to the end; return the exit status."""
        out, _ = self.process.communicate(timeout=120)
        self.said += out
        return self.process.returncode


class Desk:
    """A home with a server, a folder to work in, and jobs for the scripted worker."""

    def __init__(self, home: Path, folder: Path, server: LightServer, model: Path, data: Path) -> None:
        self.home, self.folder, self.server, self.model, self.data = home, folder, server, model, data

    def job(self, name: str, does: str = "train", steps: int = 3, output: str | None = None) -> str:
        spec = light_job(self.model, self.data, Path(output or name), steps=steps, does=does)["spec"]
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({**spec, "name": name, "output": {"dir": output or f"./{name}"}}))
        return path.name

    def types(self, *arguments: str) -> Terminal:
        return Terminal(self.home, self.folder, *arguments)

    def says(self, *arguments: str) -> str:
        terminal = self.types(*arguments)
        assert terminal.ends() == 0, terminal.said
        return terminal.said

    def state(self, job: str) -> str:
        state: str = httpx.get(f"{self.server.url}/api/jobs/{job}", timeout=30).json()["state"]
        return state

    def sees_step(self, step: int) -> None:
        """Wait until the newest run has taken a step."""
        until(lambda: self.runs() and (status(self.runs()[0]).step or 0) >= step, f"step {step} is taken")

    def runs(self) -> list[RunFolder]:
        return run_folders(self.home / "runs")


@contextmanager
def desk(home: Path, folder: Path, model: Path, data: Path, slots: int = 1) -> Iterator[Desk]:
    folder.mkdir(exist_ok=True)
    with fleet(home, f"sqlite:///{home / 'tunesmith.db'}", 1, slots=slots) as servers:
        yield Desk(home, folder, servers[0], model, data)


@pytest.fixture
def at(home: Path, tmp_path: Path, tiny_model: Path, chat_file: Path) -> Iterator[Desk]:
    with desk(home, tmp_path / "work", tiny_model, chat_file) as found:
        yield found


def test_a_job_is_queued_with_the_server_and_followed_to_its_end(at: Desk) -> None:
    said = at.says("train", at.job("lora"))
    assert f"{at.server.url} has it as job-" in said
    assert "Done in" in said
    assert (at.folder / "lora/steps.txt").read_text() == "3", "a relative output starts from the terminal's folder"
    job = JOB.search(said)
    assert job is not None
    assert at.state(job.group()) == "succeeded"
    shown = json.loads(at.says("runs", "show", job.group(), "--json"))
    assert (shown["state"], shown["job"], shown["job_state"]) == ("succeeded", job.group(), "succeeded")


def test_an_export_is_a_job_of_the_server_and_lands_where_it_was_typed(at: Desk) -> None:
    at.says("train", at.job("write"))
    said = json.loads(at.says("export", "merged", "--run", "write", "--output", "merged", "--json"))
    assert said["output"] == str(at.folder / "merged") and (at.folder / "merged/written.txt").is_file()
    (job,) = httpx.get(f"{at.server.url}/api/jobs", params={"kind": "export"}, timeout=30).json()["jobs"]
    assert (job["state"], job["device"], job["door"]) == ("succeeded", "side", "api")


def test_an_evaluation_is_a_job_of_the_server(at: Desk) -> None:
    at.says("train", at.job("write"))
    said = json.loads(at.says("evaluate", "run:write", "--prompt", "Hello?", "--json"))
    assert said["why"] == "Nothing was measured." and said["groups"][0]["answers"][0]["model"] == "Hello?"
    refused = at.types("evaluate", "no-such-model-anywhere")
    assert refused.ends() != 0 and "no-such-model-anywhere" in refused.said


@pytest.mark.slow
def test_ctrl_c_cancels_an_export_that_a_server_does(at: Desk) -> None:
    at.says("train", at.job("write-and-wait"))
    terminal = at.types("export", "merged", "--run", "write-and-wait", "--output", "merged")
    exports = {"params": {"kind": "export"}, "timeout": 30}

    def state() -> str:
        jobs = httpx.get(f"{at.server.url}/api/jobs", **exports).json()["jobs"]  # type: ignore[arg-type]
        return str(jobs[0]["state"]) if jobs else ""

    until(lambda: state() == "running", "the export runs")
    terminal.interrupt()
    assert terminal.ends() != 0
    until(lambda: state() == "cancelled", "the server has cancelled it")


@pytest.mark.slow
def test_json_is_one_line_at_the_end(at: Desk) -> None:
    summary = json.loads(at.says("train", at.job("lora"), "--json"))
    assert summary["steps"] == 3


def test_a_plan_that_fails_is_the_commands_own_error_and_queues_nothing(at: Desk) -> None:
    terminal = at.types("train", "--model", "./nowhere", "--data", str(at.data))
    assert terminal.ends() == 78
    assert httpx.get(f"{at.server.url}/jobs", timeout=30).json() == []


def test_ctrl_c_pauses_the_job_and_resuming_goes_on_with_it(at: Desk) -> None:
    terminal = at.types("train", at.job("lora", does="train and wait", steps=6))
    job = JOB.search(terminal.hears("has it as"))
    at.sees_step(2)
    terminal.interrupt()
    assert terminal.ends() == 75, terminal.said
    assert "Saving and stopping" in terminal.said
    assert job is not None
    assert at.state(job.group()) == "paused"
    assert "Done in" in at.says("runs", "resume", at.runs()[0].id)
    assert at.state(job.group()) == "succeeded"
    assert len(at.runs()) == 2


def test_train_resume_goes_on_with_the_job_also_beyond_its_end(at: Desk) -> None:
    job = at.job("lora", does="train and wait", steps=6)
    terminal = at.types("train", job)
    named = JOB.search(terminal.hears("has it as"))
    at.sees_step(2)
    terminal.interrupt()
    assert terminal.ends() == 75, terminal.said
    assert named is not None
    first = at.runs()[0]
    differs = at.types("train", job, "--resume", "--max-steps", "5")
    assert differs.ends() == 78
    assert "recipe.max_steps was 6 and is 5" in differs.said
    checkpoint = checkpoints.start_of(first)
    assert checkpoint is not None
    at.says("train", job, "--resume-from", str(checkpoint.path), "--max-steps", "8")
    assert at.state(named.group()) == "succeeded"
    assert (at.folder / "lora/steps.txt").read_text() == "8"
    assert [run.header().job for run in at.runs()] == [first.header().job] * 2, "no run beside the server's"
    shown = httpx.get(f"{at.server.url}/api/jobs/{named.group()}", timeout=30).json()
    assert (shown["spec"]["recipe"]["max_steps"], shown["plan"]["steps"]) == (8, 8)


def test_what_the_server_would_not_go_on_from_is_refused_until_the_job_is_given_up(at: Desk) -> None:
    job = at.job("lora", does="train and wait", steps=6)
    terminal = at.types("train", job)
    named = JOB.search(terminal.hears("has it as"))
    at.sees_step(2)
    terminal.interrupt()
    assert terminal.ends() == 75, terminal.said
    assert named is not None
    older = str(checkpoints.listed(at.runs()[0])[0].path)
    for again in (("train", job, "--resume-from", older), ("runs", "resume", older)):
        refused = at.types(*again)
        assert refused.ends() == 78
        assert f"{named.group()} of the server at {at.server.url} goes on from its newest checkpoint" in refused.said
    assert len(at.runs()) == 1
    assert "Asked" not in at.says("runs", "cancel", named.group())
    assert at.types("runs", "resume", older, "--detach").ends() == 0
    assert len(at.runs()) == 2


@pytest.mark.slow
def test_a_second_ctrl_c_cancels_at_once_and_nothing_is_tried_again(at: Desk) -> None:
    terminal = at.types("train", at.job("lora", does="hang"))
    job = JOB.search(terminal.hears("has it as"))
    until(lambda: at.runs() and status(at.runs()[0]).state == "running", "the run has begun")
    terminal.interrupt()
    terminal.hears("Saving and stopping")
    terminal.interrupt()
    assert terminal.ends() == 76, terminal.said
    assert job is not None
    until(lambda: at.state(job.group()) == "cancelled", "the job is cancelled")
    assert len(at.runs()) == 1


def test_a_job_that_waits_can_be_paused_before_it_begins(at: Desk) -> None:
    first = at.types("train", at.job("first", does="wait"))
    until(lambda: at.runs(), "the first one has begun")
    second = at.types("train", at.job("second"))
    second.hears("Queued as job-")
    second.interrupt()
    assert second.ends() == 75
    assert "is paused before it began" in second.said
    first.interrupt()
    assert first.ends() == 75


def test_a_run_that_is_killed_is_tried_again_and_followed(at: Desk) -> None:
    terminal = at.types("train", at.job("lora", does="train and wait", steps=6))
    at.sees_step(2)
    handle = handle_of(at.runs()[0])
    assert handle is not None
    os.kill(handle.worker.pid, signal.SIGKILL)
    assert terminal.ends() == 0, terminal.said
    assert "Done in" in terminal.said
    assert len(at.runs()) == 2


def test_the_run_goes_on_without_the_server_and_the_command_says_so(at: Desk) -> None:
    terminal = at.types("train", at.job("lora", steps=600))
    at.sees_step(2)
    at.server.kill()
    assert terminal.ends() == 0, terminal.said
    assert f"The server at {at.server.url} went away. The run goes on." in terminal.said
    assert (at.folder / "lora/steps.txt").read_text() == "600"


def test_two_jobs_into_one_output_take_turns(home: Path, tmp_path: Path, tiny_model: Path, chat_file: Path) -> None:
    with desk(home, tmp_path / "work", tiny_model, chat_file, slots=2) as at:
        first = at.types("train", at.job("first", does="train and wait", output="./lora"))
        at.sees_step(2)
        second = at.types("train", at.job("second", output="./lora"))
        said = second.hears("lora:")
        assert re.search(r"Queued as job-.*lora", said), said
        first.interrupt()
        assert first.ends() == 75
        assert second.ends() == 0, second.said


def test_runs_are_asked_through_their_jobs(at: Desk) -> None:
    detached = json.loads(at.says("train", at.job("lora", does="wait"), "--detach", "--json"))
    assert detached["server"] == at.server.url
    job = detached["job"]
    until(lambda: at.runs() and status(at.runs()[0]).state == "running", "the run has begun")
    waiting = json.loads(at.says("train", at.job("next"), "--detach", "--json"))["job"]
    assert waiting in at.says("runs", "list")
    assert "queued" in at.says("runs", "show", waiting)
    assert f"Job {waiting} was cancelled." in at.says("runs", "cancel", waiting)
    asked = json.loads(at.says("runs", "pause", at.runs()[0].id, "--json"))
    assert (asked["job"], asked["asked"]) == (job, "pause")
    until(lambda: at.state(job) == "paused", "the job is paused")
    at.says("runs", "resume", job, "--detach")
    until(lambda: len([run for run in at.runs() if status(run).state == "running"]) == 1, "it goes on")
    at.says("runs", "cancel", job)
    until(lambda: at.state(job) == "cancelled", "the job is cancelled")
