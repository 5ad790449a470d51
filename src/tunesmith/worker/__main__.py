"""``python -m tunesmith.worker <run folder>``: does the run; every end gets a last word and a code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tunesmith.runs.checkpoints import listed
from tunesmith.runs.durable import disk_full, is_no_room
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.publish import release
from tunesmith.runs.rank_faults import CRASH, note_fault, noted_fault
from tunesmith.spec.errors import (
    Cancelled,
    DiskFull,
    Interruption,
    MemoryUsedUp,
    PackageMissing,
    RunCrashed,
    TunesmithError,
)
from tunesmith.worker.creator import end_with_creator
from tunesmith.worker.reporting import Reporter

KINDS: Final = {
    Kind.TRAIN: "tunesmith.worker.train:run",
    Kind.CONVERT: "tunesmith.worker.convert:run",
    Kind.SERVE: "tunesmith.worker.serve:run",
    Kind.EXPORT: "tunesmith.worker.export.run:run",
    Kind.EVALUATE: "tunesmith.worker.evaluate:run",
}
"""What does each kind of run; imported only when it is its turn, as most of them import torch."""
SAVES_NOTHING: Final = (Kind.EXPORT, Kind.EVALUATE)
"""Kinds of runs that begin again where they were broken off."""
TRAIN_PACKAGES: Final = frozenset(
    {"torch", "transformers", "peft", "accelerate", "bitsandbytes", "tensorboard", "matplotlib", "gguf"}
)
"""What the worker side needs beyond the service side: the extra ``train``."""
USAGE: Final = 2


def main(folder: Path, kinds: Mapping[Kind, str] = KINDS) -> int:
    """Do a run from its folder; return the exit status."""
    run = RunFolder(folder)
    rank = int(os.environ.get("RANK", "0"))
    try:
        header = run.header()
        reporter = Reporter(run, rank)
    except TunesmithError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    # bitsandbytes would like to fetch a faster kernel from a hub, and complains in every log where it cannot.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    reporter.listen(at_once=header.kind in SAVES_NOTHING)
    if header.kind in SAVES_NOTHING and header.job is None:
        end_with_creator(run, reporter)
    try:
        return _do(kinds[header.kind], run, reporter, rank)
    finally:
        reporter.stop_listening()
        if rank == 0 and header.output is not None:
            release(Path(header.output), run)


def _do(work: str, run: RunFolder, reporter: Reporter, rank: int) -> int:
    """Work, and say the last word whatever happens."""
    try:
        _find(work)(run, reporter)
    except (Interruption, KeyboardInterrupt) as error:
        asked = error if isinstance(error, Interruption) else Cancelled(run.id)
        _say(lambda: reporter.stop(asked))
        return _exit_code(asked)
    except BaseException as error:  # noqa: BLE001 -- this is where a run's every fault gets its last word.
        fault = _fault(error, run)
        if rank > 0:
            note_fault(run, rank, fault, _code(fault))
        elif not isinstance(error, TunesmithError):
            fault = noted_fault(run) or fault  # Without the others a step breaks off here too; theirs is the cause.
        if not isinstance(error, TunesmithError):
            traceback.print_exc()
        if not reporter.has_ended:
            _say(lambda: reporter.fail(fault, code=_code(fault)))
        return fault.exit_code
    if not reporter.has_ended:
        _say(lambda: reporter.finish({}, None))
    return 0


def _fault(error: BaseException, run: RunFolder) -> TunesmithError:
    """Say in the project's own words what went wrong."""
    if isinstance(error, TunesmithError):
        return error
    if is_no_room(error):
        own = listed(run)
        return disk_full(run.path, own[-1].bytes if own else 1_000_000)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return MemoryUsedUp(run.id)
    if isinstance(error, ModuleNotFoundError) and error.name in TRAIN_PACKAGES:
        return PackageMissing(error.name, "train")
    if isinstance(error, ModuleNotFoundError) and error.name == "xllamacpp":
        return PackageMissing(error.name, "gguf")
    first = str(error).strip().splitlines()[0] if str(error).strip() else ""
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return RunCrashed(run.id, what.rstrip("."), f"The whole story: tunesmith runs logs {run.id}")


def _code(fault: TunesmithError) -> str:
    return CRASH if isinstance(fault, RunCrashed) else fault.code


def _exit_code(interruption: Interruption) -> int:
    """Return 0 where torch's launcher watches: to it any other code is a fault, for which it kills the other ranks."""
    return 0 if "TORCHELASTIC_RUN_ID" in os.environ else interruption.exit_code


def _say(word: Callable[[], None]) -> None:
    """Say the last word; on a full disk the exit code alone must do."""
    try:
        word()
    except (DiskFull, OSError) as error:
        print(f"The last word could not be written: {error}", file=sys.stderr)


def _find(reference: str) -> Callable[[RunFolder, Reporter], None]:
    module, _, name = reference.partition(":")
    found: Callable[[RunFolder, Reporter], None] = getattr(importlib.import_module(module), name)
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m tunesmith.worker RUN_FOLDER", file=sys.stderr)
        sys.exit(USAGE)
    sys.exit(main(Path(sys.argv[1])))
