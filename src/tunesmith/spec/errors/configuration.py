"""Errors of model, output, machine and resume, where they do not go together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tunesmith.spec.errors.base import TunesmithError, did_you_mean


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
        self.param = key


class BadEntry(ConfigError):
    """A value in a YAML or JSON file, or in a request, of the wrong type or out of range."""

    code = "bad_entry"

    def __init__(self, key: str, where: str, value: object, wanted: str) -> None:
        super().__init__(f"{where}: '{key}' is {value!r}, which is not {wanted}. Give {wanted}.")


class ContradictingKeys(ConfigError):
    """Two keys of a file that cannot both hold."""

    code = "contradicting_keys"

    def __init__(self, first: str, second: str, where: str) -> None:
        super().__init__(f"{where}: '{first}' and '{second}' contradict each other. Keep one of them.")


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


class TrainedElsewhere(ConfigError):
    """A model that only its makers' own package trains."""

    code = "trained_elsewhere"

    def __init__(self, source: str, why: str, instead: str) -> None:
        super().__init__(f"{source}: {why}. Take {instead}.")


class NotALanguageModel(ConfigError):
    """The model exists but cannot be trained for the task."""

    code = "not_a_language_model"

    def __init__(self, source: str, why: str) -> None:
        super().__init__(
            f"{source}: not a model that can be trained here: {why}. Choose one of a family that tunesmith knows."
        )


class WritesNoText(NotALanguageModel):
    """The model was trained for something other than writing, and is to answer."""

    code = "writes_no_text"

    def __init__(self, name: str, why: str) -> None:
        ConfigError.__init__(self, f"{name}: it {why}. Ask a model that was trained to write, or train one.")


class WrongKindOfModel(ConfigError):
    """A task that trains another kind of model."""

    code = "wrong_kind_of_model"

    def __init__(self, source: str, kind: str, task: str, instead: str) -> None:
        super().__init__(f"{source}: {kind}, which {task} does not train. {instead}")


class OtherKindOfData(ConfigError):
    """A model and data that are of another kind than the request says."""

    code = "other_kind_of_data"

    def __init__(self, source: str, found: str, wanted: str) -> None:
        super().__init__(
            f"{source} with this data is a model of {found}, and the request is for {wanted}. Choose the category of "
            f"{found}, or name a model and data of {wanted}."
        )


class PrecisionUnusable(ConfigError):
    """A typed number format that the device or the model cannot be trained in."""

    code = "precision_unusable"

    def __init__(self, flag: str, precision: str, why: str, instead: str) -> None:
        super().__init__(f"{flag} {precision}: {why}. Give {flag} {instead}, or leave it out.")


class NoChatTemplate(ConfigError):
    """The chat template cannot be used."""

    code = "no_chat_template"

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source}: its chat template cannot be used: {why}. Give another with --chat-template FILE.")
        self.why = why


class AdapterMismatch(ConfigError):
    """The adapter was trained on another base model."""

    code = "adapter_mismatch"

    def __init__(self, adapter: str | Path, wanted: str, found: str) -> None:
        super().__init__(
            f"{adapter}: this adapter belongs to '{wanted}', not to '{found}'. Use it with its own base model."
        )


class TokenizerMismatch(ConfigError):
    """The adapter was trained with other tokens than its base has."""

    code = "tokenizer_mismatch"

    def __init__(self, adapter: str | Path, base: str | Path, why: str) -> None:
        super().__init__(
            f"{adapter}: its tokenizer is not that of '{base}': {why}. Use it with the model it was trained on."
        )


class NothingToExport(ConfigError):
    """A run or folder has nothing of the kind that is to be exported."""

    code = "nothing_to_export"

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} cannot be exported: {why}. `tunesmith runs list` shows what else there is.")


class NothingToEvaluate(ConfigError):
    """There are no rows that a model can be measured on."""

    code = "nothing_to_evaluate"

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} cannot be evaluated: {why}. Give rows that it was not trained on, with --data FILE.")


class NotForGguf(ConfigError):
    """A model or tokenizer of a kind that is not written as GGUF."""

    code = "not_for_gguf"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The model cannot be exported as GGUF: {why}. `tunesmith export merged` writes it for transformers."
        )


class MissingTarget(ConfigError):
    """A typed target module that the model lacks."""

    code = "missing_target"

    def __init__(self, target: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(
            f"--target-modules: the model has no linear layer '{target}'.{did_you_mean(target, names)} "
            f"It has: {', '.join(names)}."
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
            f"{path}: run {run} is training into this output now. "
            f"Wait for it (`tunesmith runs follow {run}`) or choose another --output."
        )


class OutputLocked(OutputBusy):
    """Another process holds an output's lock, and does not let it go."""

    def __init__(self, path: str | Path, seconds: float) -> None:
        ConfigError.__init__(
            self,
            f"{path}: another process has been writing here for {seconds:.0f} seconds. "
            "Wait for it (or end it, if it was stopped), or choose another --output.",
        )


class DiskFull(ConfigError):
    """The disk has no room for a checkpoint or a result."""

    code = "disk_full"

    def __init__(self, path: str | Path, needed: int, free: int) -> None:
        super().__init__(
            f"{path}: the disk is full ({_size(needed)} are needed, {_size(free)} are free). "
            "Free some space, then resume."
        )


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{-(-count // 1000):,} KB"


class WillNotFit(ConfigError):
    """The memory estimate exceeds what the device has."""

    code = "will_not_fit"

    def __init__(self, needed: int, available: int, hint: str) -> None:
        super().__init__(
            f"The run needs about {needed / 2**30:.1f} GiB of memory and "
            f"{available / 2**30:.1f} GiB are there. {hint} --force tries anyway."
        )
        self.needed = needed
        self.available = available


class NoSuchDevice(ConfigError):
    """The device that was asked for cannot be used on this machine."""

    code = "no_such_device"

    def __init__(self, why: str) -> None:
        super().__init__(f"--device cuda cannot be used: {why}. Leave it out, or give --device cpu.")


class DirectoryTaken(ConfigError):
    """A folder that no installation made, or one of another model, stands where a model is to be installed."""

    code = "directory_taken"

    def __init__(self, directory: str | Path, holds: str) -> None:
        super().__init__(f"{directory}: it holds {holds}. Choose another folder with --dir.")


class NotAModelDirectory(ConfigError):
    """No model directory of that name or in that place."""

    code = "not_a_model_directory"
    status = 404

    def __init__(self, name: str | Path, known: Iterable[str] = ()) -> None:
        super().__init__(
            f"{name}: no model directory.{did_you_mean(str(name), known)} `tunesmith models list` shows them, "
            "`tunesmith models install` makes one."
        )


class NoLogsYet(ConfigError):
    """There is nothing for TensorBoard to show."""

    code = "no_logs_yet"
    status = 404
    exit_code = 1

    def __init__(self, where: str | Path) -> None:
        super().__init__(f"{where}: no logs yet. Train something there first.")


class NoFreePort(ConfigError):
    """Every port that was tried is taken."""

    code = "no_free_port"

    def __init__(self, first: int, last: int) -> None:
        super().__init__(f"Ports {first} to {last} are all taken. Give another with --port.")


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


class GoesOnFromNewest(ConfigError):
    """Something older of a job was named, of which a server has the newest."""

    code = "goes_on_from_newest"

    def __init__(self, job: str, url: str, named: object) -> None:
        super().__init__(
            f"{job} of the server at {url} goes on from its newest checkpoint, not from {named}. "
            f"Go on with: tunesmith runs resume {job}; or give it up first: tunesmith runs cancel {job}."
        )


class NothingToContinue(ConfigError):
    """A run whose result another one cannot begin with."""

    code = "nothing_to_continue"

    def __init__(self, run: str, why: str) -> None:
        super().__init__(f"Run {run} cannot be continued: {why}. Name another run, or a model.")


class ContinuationDiffers(ConfigError):
    """A run that continues another one asks for what does not fit that one's weights."""

    code = "continuation_differs"

    def __init__(self, run: str, what: str, was: object, now: object, todo: str | None = None) -> None:
        """``todo`` says what to do where leaving it open is not it."""
        super().__init__(
            f"Run {run} cannot be continued with {what} {now}: it was trained with {was}. "
            f"{todo or f'Leave {what} open.'}"
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
        super().__init__(
            f"The package '{package}' is not installed. Install it with: pip install 'tunesmith[{extra}]'."
        )


class PackageUnusable(ConfigError):
    """A Python package that this needs is missing, too old or broken."""

    code = "package_unusable"

    def __init__(self, package: str, why: str) -> None:
        super().__init__(
            f"{package} {why}. Run `tunesmith doctor --fix`, or: pip install --force-reinstall --no-deps {package}"
        )


class PullFailed(ConfigError):
    """A model or data set could not be fetched or converted."""

    code = "pull_failed"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"{name}: could not be pulled: {why}. Check the name and the network, then run the command again."
        )


class Offline(ConfigError):
    """Something needs the network while ``--offline`` is in force."""

    code = "offline"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs the network and tunesmith is offline. Fetch it first, or leave --offline out.")
