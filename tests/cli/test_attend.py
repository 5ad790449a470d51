from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tunesmith.cli.attend import attend, short
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.recipe import Recipe

PRELUDE = """
import sys, time
from pathlib import Path
from tunesmith.runs.control import asked
from tunesmith.runs.event_log import EventWriter
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.events import Ended, Failed, Finished, Phase, Started, Warned
from tunesmith.spec.states import Request
run = RunFolder(Path(sys.argv[1]))
say = EventWriter(run.events).append
say(Phase(name="preparing"))
"""
FINISHES = """
(Path(run.header().output) / "adapter_config.json").write_text("{}")
(Path(run.header().output) / "training_history.png").write_text("")
say(Finished(summary={"run": run.id, "steps": 12, "seconds": 3.2}, artifacts=None))
"""
PAUSES = """
say(Started(step=0, total_steps=9, epochs=1, rows=9, validation_rows=0, trainable_parameters=1, parameters=2,
            tokens_per_epoch=9))
while asked(run) is not Request.PAUSE:
    time.sleep(0.01)
say(Ended(request=Request.PAUSE, step=4, checkpoint="checkpoint-4"))
sys.exit(75)
"""
HANGS = """
time.sleep(600)
"""


LANDS = """
say(Started(step=0, total_steps=None, epochs=None, rows=9, validation_rows=0, trainable_parameters=1, parameters=2,
            tokens_per_epoch=9))
while asked(run) is not Request.CANCEL:
    time.sleep(0.01)
say(Finished(summary={"run": run.id, "steps": 12, "seconds": 3.2, "stopped_because": "landed"}, artifacts=None))
"""


class Worker:
    """Launches a run whose worker does what a script says."""

    def __init__(
        self, home: Path, output: Path, script: str, interrupts: int = 0, mode: str = "medium", task: str = "chat"
    ) -> None:
        self.home, self.output, self.script, self.interrupts, self.task = home, output, script, interrupts, task
        self.recipe = Recipe(mode=mode)

    def __call__(self) -> RunFolder:
        self.output.mkdir(exist_ok=True)
        spec = JobSpec(model=ModelRef(source="m"), datasets=[DatasetRef(uri="d")], recipe=self.recipe, task=self.task)
        run = RunFolder.create(self.home, kind="train", name="r", output=self.output, spec=spec)
        LocalExecutor(worker=("-c", PRELUDE + self.script)).launch(run, env={})
        for _ in range(self.interrupts):
            signal.raise_signal(signal.SIGINT)
        return run


def test_a_run_that_succeeds_says_where_everything_is(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attend(Worker(home, Path("out"), FINISHES)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Preparing", "Done in 0:03: 12 steps."]
    assert [line.split()[-1] for line in lines[2:4]] == ["./out", "./out/training_history.png"]
    assert str(home / "runs") in lines[4]
    assert "  tunesmith chat --adapter ./out" in lines


@pytest.mark.parametrize("task", ["classification", "mlm"])
def test_what_writes_no_text_is_not_offered_for_a_talk(
    task: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attend(Worker(home, Path("out"), FINISHES, task=task))
    merge, show = capsys.readouterr().out.splitlines()[-2:]
    assert merge.startswith("  tunesmith export merged --run ")
    assert merge.endswith(" --output ./out-merged")
    assert show.startswith("  tunesmith runs show ")


def test_the_next_commands_can_be_given(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attend(Worker(home, Path("out"), FINISHES), next_commands=["tunesmith demo"])
    assert capsys.readouterr().out.splitlines()[-2:] == ["Try next:", "  tunesmith demo"]


def test_json_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert attend(Worker(home, Path("out"), FINISHES), as_json=True) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out)["steps"] == 12


def test_a_run_that_fails_gives_its_sentence_and_its_exit_status(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = 'say(Failed(code="no_usable_row", message="x: nothing to use.", exit_code=65)); sys.exit(65)'
    assert attend(Worker(home, Path("out"), script), as_json=True) == 65
    said = capsys.readouterr()
    assert said.err == "Error: x: nothing to use.\n"
    assert json.loads(said.out) == {"error": {"code": "no_usable_row", "message": "x: nothing to use."}}


def test_a_run_that_dies_is_explained(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert attend(Worker(home, Path("out"), script)) == 70
    assert "failed: killed, most likely out of memory" in capsys.readouterr().err


def test_ctrl_c_saves_and_stops(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert attend(Worker(home, Path("out"), PAUSES, interrupts=1)) == 75
    said = capfd.readouterr()
    assert "Saving and stopping; Ctrl-C again stops now." in said.err
    assert "is paused at step 4. Go on with: tunesmith runs resume" in said.err
    assert "Paused at step 4, saved in checkpoint-4" in said.out


def test_a_paused_run_is_summed_up_for_programs(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert attend(Worker(home, Path("out"), PAUSES, interrupts=1), as_json=True) == 75
    summary = json.loads(capfd.readouterr().out)
    assert (summary["state"], summary["steps"], summary["stopped_because"]) == ("paused", 4, "pause")


def test_ctrl_c_lands_a_run_without_end(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert attend(Worker(home, home / "out", LANDS, interrupts=1, mode="non-stop")) == 0
    said = capfd.readouterr()
    assert "12 steps" in said.out


def test_a_second_ctrl_c_stops_a_run_without_end_at_once(home: Path) -> None:
    assert attend(Worker(home, home / "out", HANGS, interrupts=2, mode="non-stop")) == 76


def test_a_second_ctrl_c_stops_at_once(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert attend(Worker(home, Path("out"), HANGS, interrupts=2)) == 76
    assert "was cancelled." in capfd.readouterr().err


def test_ctrl_c_means_this_process_again_afterwards(home: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    attend(Worker(home, Path("out"), FINISHES), as_json=True)
    assert signal.getsignal(signal.SIGINT) is before


def test_paths_are_written_as_the_user_would() -> None:
    assert short(Path.cwd() / "lora") == "./lora"
    assert short(Path.home() / "x" / "y") == "~/x/y"
    assert short(Path("/elsewhere")) == "/elsewhere"
