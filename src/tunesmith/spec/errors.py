"""Every error a user can cause, as classes that take facts and write their own sentence: what, where, what to do.

    TunesmithError
    ├── UsageError              exit 2,  HTTP 422   the request itself is off
    │   ├── BadValue
    │   ├── PromptTooLong
    │   └── UnknownName
    ├── DataError               exit 65, HTTP 422   the data is off
    │   ├── DataNotFound, UnreadableData
    │   ├── NoUsableRow
    │   ├── FaultyData
    │   ├── SplitImpossible
    │   ├── NothingTrained
    │   ├── TooMuchLost
    │   └── RowFault            one row: MissingColumn, WrongType, EmptyRow, UnknownFormat, UnreadableRow,
    │                            TemplateRefused
    ├── ConfigError             exit 78, HTTP 422   model, output, machine or resume do not go together
    │   ├── UnknownKey, BadEntry
    │   ├── ModelNotFound, NotALanguageModel, NoChatTemplate, UnreadableFile
    │   ├── AdapterMismatch, MissingTarget
    │   ├── OutputUnusable, OutputBusy, DiskFull
    │   ├── WillNotFit, NoSuchDevice
    │   ├── NothingToResume, ResumeDiffers, RunNotFound, RunAmbiguous, WrongRunState
    │   ├── PackageMissing, PullFailed, Offline
    ├── RunError                exit 70, HTTP 500   the run failed
    │   ├── RunCrashed, ModelGone, NotANumber, OutOfMemory
    └── Interruption            the run was asked to end: Paused (exit 75), Cancelled (exit 76)
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


class TunesmithError(Exception):
    """Base of every error that ends in one sentence for the user."""

    code: ClassVar[str] = "error"
    """Stable name, for programs; documented in ``docs/reference/errors.md``."""
    status: ClassVar[int] = 500
    """HTTP status."""
    exit_code: ClassVar[int] = 70
    """Exit status of the command line and of a worker (``sysexits.h`` numbers where they exist)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


# --- the request itself -------------------------------------------------------------------------------------------


class UsageError(TunesmithError):
    """A flag, command or value that the request may not have."""

    code = "usage"
    status = 422
    exit_code = 2


class BadValue(UsageError):
    """A value of the wrong type or out of range."""

    code = "bad_value"

    def __init__(self, name: str, value: object, wanted: str) -> None:
        super().__init__(f"{name}: {value!r} is not {wanted}. Give {wanted}.")


class PromptTooLong(UsageError):
    """A prompt that fills all that the model can see."""

    code = "prompt_too_long"

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"The prompt has {tokens} tokens and the model sees {limit}. Shorten the conversation.")


class UnknownName(UsageError):
    """A name (of a format, mode, alias, ...) that does not exist."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"There is no {kind} '{name}'.{did_you_mean(name, names)} Known: {', '.join(names)}.")


# --- data ---------------------------------------------------------------------------------------------------------


class DataError(TunesmithError):
    """The data cannot be used as it is."""

    code = "data"
    status = 422
    exit_code = 65


class DataNotFound(DataError):
    """No file matches what ``--data`` names."""

    code = "data_not_found"

    def __init__(self, uri: str, hint: str = "Check the path; quote a glob so that the shell leaves it alone") -> None:
        super().__init__(f"{uri}: no such data. {hint}.")


class UnreadableData(DataError):
    """A file or folder that is there, and that no reader can read."""

    code = "unreadable_data"

    def __init__(self, uri: str, why: str, known: Iterable[str]) -> None:
        super().__init__(f"{uri}: cannot be read as data: {why}. Files may be: {', '.join(sorted(known))}.")


class NoUsableRow(DataError):
    """Every row of the data is faulty, or there is none."""

    code = "no_usable_row"

    def __init__(self, where: str, rows: int, first_fault: str = "") -> None:
        seen = f" First fault: {first_fault}" if first_fault else ""
        super().__init__(f"{where}: none of {rows} rows can be used.{seen} See `tunesmith data check {where}`.")


class FaultyData(DataError):
    """``--strict`` (or ``data check``) found faults."""

    code = "faulty_data"

    def __init__(self, count: int, first_fault: str) -> None:
        super().__init__(f"{count} rows have faults. First: {first_fault} Mend them, or leave --strict out to skip them.")


class SplitImpossible(DataError):
    """A typed validation split that leaves one side empty."""

    code = "split_impossible"

    def __init__(self, split: float, rows: int) -> None:
        super().__init__(
            f"--validation-split {split:g} of {rows} rows leaves no row for one side. Add rows, or choose another share."
        )


class NothingTrained(DataError):
    """No token of the data would be trained (every label is masked)."""

    code = "nothing_trained"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: no token would be trained: {why}.")


class TooMuchLost(DataError):
    """The length that the plan chose would cut off too many trained tokens."""

    code = "too_much_lost"

    def __init__(self, lost: float, limit: float, length: int, needed: int) -> None:
        super().__init__(
            f"At a length of {length} tokens {lost:.1%} of the trained tokens would be cut (at most {limit:.0%} may be). "
            f"Give --max-seq-length {needed} to keep them, or --max-seq-length {length} to accept the cut."
        )


@dataclass(frozen=True)
class Where:
    """A place in the data: the file, and the row counted from 1 (a line in line-based files)."""

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}:{self.row}"


class RowFault(DataError):
    """One row that cannot be used; the others still can."""

    code = "row_fault"

    def __init__(self, where: Where, column: str | None, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.column = column


class MissingColumn(RowFault):
    """A format's column is not in the row."""

    code = "missing_column"

    def __init__(self, column: str, where: Where, found: Iterable[str]) -> None:
        names = ", ".join(found) or "nothing"
        near = did_you_mean(column, found)
        super().__init__(
            where,
            column,
            f"no column '{column}' (found: {names}).{near} Rename it with columns: {{{column}: <your column>}}.",
        )


def _shown(value: object) -> str:
    """Show a value from someone's data within 60 characters, in little time however long or deep it is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring = 3, 60
    text = short.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class WrongType(RowFault):
    """A column holds a value of the wrong type."""

    code = "wrong_type"

    def __init__(self, column: str, where: Where, value: object, wanted: str) -> None:
        super().__init__(where, column, f"column '{column}' is {_shown(value)}, which is not {wanted}. Give {wanted}.")


class EmptyRow(RowFault):
    """A column that must say something says nothing."""

    code = "empty_row"

    def __init__(self, column: str, where: Where) -> None:
        super().__init__(where, column, f"column '{column}' is empty. Fill it in or remove the row.")


class UnknownFormat(RowFault):
    """No format recognises the row's columns."""

    code = "unknown_format"

    def __init__(self, where: Where, found: Iterable[str]) -> None:
        names = ", ".join(found) or "nothing"
        super().__init__(
            where, None, f"no format has these columns: {names}. Name one with --dataset-format, or rename the columns."
        )


class UnreadableRow(RowFault):
    """The file's syntax is broken at this row."""

    code = "unreadable_row"

    def __init__(self, where: Where, why: str) -> None:
        super().__init__(where, None, f"cannot be read: {why}. Mend or remove it.")


class TemplateRefused(RowFault):
    """The model's chat template will not render the row."""

    code = "template_refused"

    def __init__(self, where: Where, why: str) -> None:
        hint = "Mend the row, or give another --chat-template FILE."
        super().__init__(where, None, f"the model's chat template refuses it: {why}. {hint}")


# --- configuration ------------------------------------------------------------------------------------------------


class ConfigError(TunesmithError):
    """Model, output, machine or resume do not go together."""

    code = "configuration"
    status = 422
    exit_code = 78


class UnknownKey(ConfigError):
    """A key in a YAML or JSON file, or in a request, that nothing reads."""

    code = "unknown_key"

    def __init__(self, key: str, where: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"{where}: unknown key '{key}'.{did_you_mean(key, names)} Known here: {', '.join(names)}.")


class BadEntry(ConfigError):
    """A value in a YAML or JSON file, or in a request, of the wrong type or out of range."""

    code = "bad_entry"

    def __init__(self, key: str, where: str, value: object, wanted: str) -> None:
        super().__init__(f"{where}: '{key}' is {value!r}, which is not {wanted}. Give {wanted}.")


class UnreadableFile(ConfigError):
    """A configuration file that cannot be read or parsed."""

    code = "unreadable_file"

    def __init__(self, path: str | Path, why: str) -> None:
        super().__init__(f"{path}: cannot be read: {why}. Mend the file or name another.")


class ModelNotFound(ConfigError):
    """No such model: neither a folder, nor an alias, nor in the hub's cache."""

    code = "model_not_found"

    def __init__(self, source: str, hint: str) -> None:
        super().__init__(f"{source}: no such model. {hint}")


class NotALanguageModel(ConfigError):
    """The model exists but cannot be trained for the task."""

    code = "not_a_language_model"

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source}: not a language model that can be trained here: {why}. Choose a causal language model.")


class NoChatTemplate(ConfigError):
    """The chat template cannot be used."""

    code = "no_chat_template"

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source}: its chat template cannot be used: {why}. Give another with --chat-template FILE.")


class AdapterMismatch(ConfigError):
    """The adapter was trained on another base model."""

    code = "adapter_mismatch"

    def __init__(self, adapter: str | Path, wanted: str, found: str) -> None:
        super().__init__(f"{adapter}: this adapter belongs to '{wanted}', not to '{found}'. Use it with its own base model.")


class MissingTarget(ConfigError):
    """A typed target module that the model lacks."""

    code = "missing_target"

    def __init__(self, target: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(
            f"--target-modules: the model has no linear layer '{target}'.{did_you_mean(target, names)} It has: {', '.join(names)}."
        )


class OutputUnusable(ConfigError):
    """The output folder cannot be written."""

    code = "output_unusable"

    def __init__(self, path: str | Path, why: str) -> None:
        super().__init__(f"{path}: cannot be written: {why}. Choose another folder with --output.")


class OutputBusy(ConfigError):
    """Another run is writing into the same output right now."""

    code = "output_busy"

    def __init__(self, path: str | Path, run: str) -> None:
        super().__init__(
            f"{path}: run {run} is training into this output now. Wait for it (`tunesmith runs follow {run}`) or choose another --output."
        )


class DiskFull(ConfigError):
    """The disk has no room for a checkpoint or a result."""

    code = "disk_full"

    def __init__(self, path: str | Path, needed: int, free: int) -> None:
        super().__init__(
            f"{path}: the disk is full ({needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free). Free some space, then resume."
        )


class WillNotFit(ConfigError):
    """The memory estimate exceeds what the device has."""

    code = "will_not_fit"

    def __init__(self, needed: int, available: int, hint: str) -> None:
        super().__init__(
            f"The run needs about {needed / 2**30:.1f} GiB of memory and {available / 2**30:.1f} GiB are there. {hint} --force tries anyway."
        )


class NoSuchDevice(ConfigError):
    """The device that was asked for cannot be used on this machine."""

    code = "no_such_device"

    def __init__(self, why: str) -> None:
        super().__init__(f"--device cuda cannot be used: {why}. Leave it out, or give --device cpu.")


class NothingToResume(ConfigError):
    """No unfinished run with a checkpoint that verifies."""

    code = "nothing_to_resume"

    def __init__(self, where: str | Path) -> None:
        super().__init__(f"{where}: no unfinished run with a complete checkpoint. Start it without --resume.")


class ResumeDiffers(ConfigError):
    """A resumed run would not be the run that was started."""

    code = "resume_differs"

    def __init__(self, run: str, what: str, was: object, now: object) -> None:
        super().__init__(
            f"Run {run} cannot be resumed: {what} was {was} and is {now}. Put it back, or start a run without --resume."
        )


class RunNotFound(ConfigError):
    """No run of that name."""

    code = "run_not_found"
    status = 404

    def __init__(self, run: str, known: Iterable[str] = ()) -> None:
        super().__init__(f"There is no run '{run}'.{did_you_mean(run, known)} `tunesmith runs list` shows them.")


class RunAmbiguous(ConfigError):
    """The beginning of a run's name fits several runs."""

    code = "run_ambiguous"

    def __init__(self, run: str, known: Iterable[str]) -> None:
        names = sorted(known)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        super().__init__(f"'{run}' fits {', '.join(names[:3])}{more}. Give more of the name.")


class WrongRunState(ConfigError):
    """A run is not in a state in which this can be done."""

    code = "wrong_run_state"
    status = 409

    def __init__(self, run: str, state: str, action: str, hint: str) -> None:
        super().__init__(f"Run {run} is {state}: it cannot be {action}. {hint}")


class PackageMissing(ConfigError):
    """A Python package that this needs is not installed."""

    code = "package_missing"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"The package '{package}' is not installed. Install it with: pip install 'tunesmith[{extra}]'.")


class PullFailed(ConfigError):
    """A model or data set could not be fetched or converted."""

    code = "pull_failed"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: could not be pulled: {why}. Check the name and the network, then run the command again.")


class Offline(ConfigError):
    """Something needs the network while ``--offline`` is in force."""

    code = "offline"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs the network and tunesmith is offline. Fetch it first, or leave --offline out.")


# --- the run ------------------------------------------------------------------------------------------------------


class RunError(TunesmithError):
    """The run failed."""

    code = "run_failed"
    status = 500
    exit_code = 70


class RunCrashed(RunError):
    """The worker ended without a last word."""

    code = "run_crashed"

    def __init__(self, run: str, reason: str, hint: str) -> None:
        super().__init__(f"Run {run} failed: {reason}. {hint}")


class ModelGone(RunError):
    """The process that holds a model ended while it was needed."""

    code = "model_gone"

    def __init__(self) -> None:
        super().__init__("The process that holds the model went away in the middle of an answer. Run the command again.")


class Relayed(TunesmithError):
    """What another process found wrong, in its words and with its code."""

    def __init__(self, message: str, code: str, exit_code: int) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]
        self.exit_code = exit_code  # type: ignore[misc]


class NotANumber(RunError):
    """The loss or a gradient was not a number, twice."""

    code = "not_a_number"

    def __init__(self, step: int, layer: str) -> None:
        super().__init__(
            f"Step {step}: the gradient of '{layer}' is not a number, also after going back with half the learning rate. "
            "Lower --learning-rate, or look at the data of this step."
        )


class OutOfMemory(RunError):
    """A single row does not fit in memory."""

    code = "out_of_memory"

    def __init__(self, step: int, tokens: int) -> None:
        super().__init__(
            f"Step {step}: one row of {tokens} tokens does not fit in memory. Lower --max-seq-length or use --gradient-checkpointing."
        )


class MemoryUsedUp(RunError):
    """The machine's memory ran out outside a training step."""

    code = "memory_used_up"

    def __init__(self, run: str) -> None:
        super().__init__(
            f"Run {run} ran out of memory. Free some, or lower --micro-batch-tokens or --max-seq-length, then resume it."
        )


# --- asked to end -------------------------------------------------------------------------------------------------


class Interruption(TunesmithError):
    """The run was asked to end before it was done; not a fault."""

    code = "interrupted"
    status = 409
    exit_code = 76


class Paused(Interruption):
    """The run saved its state and stopped; it can be resumed."""

    code = "paused"
    exit_code = 75

    def __init__(self, run: str, step: int) -> None:
        super().__init__(f"Run {run} is paused at step {step}. Go on with: tunesmith runs resume {run}")


class Cancelled(Interruption):
    """The run was cancelled."""

    code = "cancelled"
    exit_code = 76

    def __init__(self, run: str) -> None:
        super().__init__(f"Run {run} was cancelled.")
