"""A worker that does what its run says, with the real harness and no model: ``python scripted_worker.py RUN_FOLDER``.

What it does is the run's request ``{"does": NAME}``, the label ``does`` of its plan, or the name of its model's folder;
for an evaluation or an export the name of the run that is evaluated or exported.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

from tunesmith.runs import checkpoints, publish
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.spec.errors import Cancelled, DataNotFound, Paused
from tunesmith.spec.evaluation import Answered, EvaluationResult, Group, ModelSize
from tunesmith.spec.events import Phase, Progress, Started, Step
from tunesmith.spec.states import Request
from tunesmith.spec.work import EvaluateRun
from tunesmith.worker.__main__ import main
from tunesmith.worker.reporting import Reporter

NEVER = threading.Event()
MOMENT = 0.002
LIFETIME = 120
"""Seconds after which a worker that a failed test forgot ends itself."""
STEPS = 3
"""Steps of a job that names no number."""
WORKER = (__file__,)
"""What ``LocalExecutor(worker=...)`` wants."""


def run(run: RunFolder, reporter: Reporter) -> None:
    request = run.header().request
    if request is None:
        spec = run.spec()
        does = spec.labels.get("does") or Path(spec.model.source).name
    else:
        does = request["does"] if "does" in request else (request.get("source") or request["model"])["name"]
    DOES[does](run, reporter)


def train(run: RunFolder, reporter: Reporter, *, wait_at: int | None = None) -> None:
    """Take the plan's steps, save each, publish the count; at ``wait_at`` an unresumed run waits for a request."""
    start = checkpoints.start_of(run)
    done, total = start.step if start else 0, run.spec().recipe.max_steps or STEPS
    reporter.say(started(done, total))
    for step in range(done + 1, total + 1):
        reporter.say(taken(step))
        with checkpoints.stage(run, step) as staging:
            (staging.path / "state.bin").write_bytes(step.to_bytes(8, "little"))
            staging.commit({"fingerprint": "the same"})
        checkpoints.point(run, "last", f"checkpoint-{step}")
        while start is None and step == wait_at and reporter.request() is Request.NONE:
            NEVER.wait(MOMENT)
        obey(run, reporter, step)
    (run.artifacts_dir / "steps.txt").write_text(str(total))
    publish.publish(run.artifacts_dir, Path(run.header().output or ""), run)
    reporter.finish({"steps": total, "stopped_because": "the last epoch"}, run.artifacts_dir)


def write(run: RunFolder, reporter: Reporter, *, until: str | None = None) -> None:
    """Publish one file where the header says, or tell a number where it names no place, as exports and evaluations do.

    With ``until`` wait until a file of that ending lies beside the output.
    """
    output = Path(run.header().output or run.artifacts_dir)
    reporter.say(Progress(message="writing", done=0.25))
    while until is not None and not output.with_suffix(until).exists():
        obey(run, reporter, 0)
        NEVER.wait(MOMENT)
    (run.artifacts_dir / "written.txt").write_text(json.dumps(run.header().request))
    if run.header().output is None:
        reporter.finish(measured(run).model_dump(mode="json"), run.artifacts_dir)
        return
    with zipfile.ZipFile(run.artifacts_dir / "written.zip", "w") as archive:
        archive.writestr("adapter_config.json", "{}")
    publish.publish(run.artifacts_dir, output, run)
    reporter.finish({"output": str(output), "files": ["written.txt", "written.zip"]}, None)


def measured(run: RunFolder) -> EvaluationResult:
    """An evaluation that found nothing and repeats each prompt as its answer."""
    asked = EvaluateRun.model_validate(run.header().request)
    answers = [Answered(prompt=each.prompt, expected=each.expected, model=each.prompt) for each in asked.prompts]
    return EvaluationResult(
        model=asked.model.name,
        baseline=asked.baseline.name if asked.baseline else None,
        task="chat",
        verdict=None,
        verdict_by=None,
        why="Nothing was measured.",
        groups=[Group(name="prompts", source="given", rows=len(answers), found=len(answers), answers=answers)],
        size=ModelSize(total_parameters=10, trainable_parameters=2, model_size_mb=0.5),
        confidence=asked.confidence,
        bootstrap=asked.bootstrap,
        seed=asked.seed,
        precision="fp32",
        seconds=0.0,
    )


def write_without_hearing(run: RunFolder, reporter: Reporter) -> None:
    """Keep much, and look at no request."""
    (run.artifacts_dir / "much.bin").touch()
    reporter.say(Progress(message="writing", done=0.25))
    NEVER.wait()


def publish_and_be_killed(run: RunFolder, reporter: Reporter) -> None:
    """Publish as ``write`` does and, where nothing had been published, die before saying so."""
    output = Path(run.header().output or "")
    if publish.published_run(output) is None:
        (run.artifacts_dir / "written.txt").touch()
        publish.publish(run.artifacts_dir, output, run)
        os.kill(os.getpid(), signal.SIGKILL)
    write(run, reporter)


def obey(run: RunFolder, reporter: Reporter, step: int) -> None:
    request = reporter.request()
    if request is not Request.NONE:
        reporter.acknowledge(request, step)
    if request is Request.PAUSE:
        raise Paused(run.id, step)
    if request is Request.CANCEL:
        raise Cancelled(run.id)


def wait(run: RunFolder, reporter: Reporter) -> None:
    """Wait until something is asked, and obey."""
    reporter.say(started(0, 9))
    while True:
        obey(run, reporter, 0)
        NEVER.wait(MOMENT)


def hang(run: RunFolder, reporter: Reporter) -> None:
    """Hear nothing any more."""
    reporter.say(started(0, 9))
    NEVER.wait()


def leave_a_child(run: RunFolder, reporter: Reporter) -> None:
    """Start a process in a session of its own, as torch's launcher does, tell its id, and hang."""
    sleeper = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    child = subprocess.Popen(sleeper, start_new_session=True)
    reporter.say(Progress(message=str(child.pid)))
    NEVER.wait()


def tell_environment(run: RunFolder, reporter: Reporter) -> None:
    names = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "HF_HUB_OFFLINE", "PYTHONUNBUFFERED", "TUNESMITH_HOME")
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
    facts = {"folder": os.getcwd(), "group": os.getpgid(0), "session": os.getsid(0), "pid": os.getpid()}
    reporter.finish(facts | {name: os.environ.get(name) for name in names}, None)


def tell_rank(run: RunFolder, reporter: Reporter) -> None:
    reporter.say(Phase(name=f"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']}"))


def crash(run: RunFolder, reporter: Reporter) -> None:
    raise ValueError("the shapes do not agree\nsecond line")


def lack_data(run: RunFolder, reporter: Reporter) -> None:
    raise DataNotFound("nothing.jsonl")


def lack_data_with_zeros(run: RunFolder, reporter: Reporter) -> None:
    raise DataNotFound("no\0thing.jsonl")


def crash_when_asked(run: RunFolder, reporter: Reporter) -> None:
    reporter.say(started(0, 9))
    while reporter.request() is Request.NONE:
        NEVER.wait(MOMENT)
    crash(run, reporter)


def use_up_memory(run: RunFolder, reporter: Reporter) -> None:
    raise MemoryError


def fill_disk(run: RunFolder, reporter: Reporter) -> None:
    raise OSError(28, os.strerror(28), "somewhere")


def lack_torch(run: RunFolder, reporter: Reporter) -> None:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def be_killed(run: RunFolder, reporter: Reporter) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def say_nothing(run: RunFolder, reporter: Reporter) -> None:
    return


def leave_at_once(run: RunFolder, reporter: Reporter) -> None:
    os._exit(3)


def started(done: int, total: int) -> Started:
    return Started(
        step=done,
        total_steps=total,
        epochs=1,
        rows=40,
        validation_rows=0,
        trainable_parameters=10,
        parameters=1000,
        tokens_per_epoch=400,
    )


def taken(step: int) -> Step:
    return Step(
        step=step,
        epoch=step / 10,
        loss=1 / step,
        learning_rate=1e-4,
        grad_norm=1.0,
        tokens=40,
        trained_tokens=20,
        seconds=0.1,
        tokens_per_second=400.0,
        memory_bytes=1000,
    )


DOES = {
    "train": train,
    "train and wait": lambda run, reporter: train(run, reporter, wait_at=2),
    "write": write,
    "write-and-wait": lambda run, reporter: write(run, reporter, until=".go"),
    "write-without-hearing": write_without_hearing,
    "publish-and-be-killed": publish_and_be_killed,
    "be-killed": lambda run, reporter: be_killed(run, reporter),
    "wait": wait,
    "hang": hang,
    "leave a child": leave_a_child,
    "tell environment": tell_environment,
    "tell rank": tell_rank,
    "crash": crash,
    "crash when asked": crash_when_asked,
    "lack data": lack_data,
    "lack-data": lack_data,
    "lack data with zeros": lack_data_with_zeros,
    "use up memory": use_up_memory,
    "fill disk": fill_disk,
    "lack torch": lack_torch,
    "be killed": be_killed,
    "say nothing": say_nothing,
    "leave at once": leave_at_once,
}

if __name__ == "__main__":
    signal.alarm(LIFETIME)
    reference = "scripted_worker:run"
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(Path(sys.argv[1]), dict.fromkeys(Kind, reference)))
