"""The flags of ``train`` and ``plan``, made from the fields of a job, and the way from them (and a job file) to a job.

A field of ``spec`` is a flag here by being there. What a field cannot say stands in the tables below: further names
that a flag answers to, and the section of the help it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from pydantic import BaseModel

from tunesmith.cli.field_option import FieldOption, FieldType, field_option, flag_name
from tunesmith.cli.job_file import JobFile, read_job_file
from tunesmith.cli.job_layers import DATASET_FLAGS, SHORTHANDS, directory_layer, merged
from tunesmith.spec.errors import ContradictingKeys, Contradiction, UsageError
from tunesmith.spec.job import DatasetRef, JobSpec
from tunesmith.spec.wrong_values import bare, explained

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

SECTIONS: Final = ("Data", "Model", "Training", "Adapter", "Stopping", "Output", "Machine", "Command")
"""Sections of the help, in order."""

SECTION_OF: Final = {
    "options": "Data",
    "evaluation": "Data",
    "strict": "Data",
    "seed": "Data",
    "recipe.length": "Data",
    "model": "Model",
    "task": "Model",
    "recipe": "Training",
    "recipe.adapter": "Adapter",
    "recipe.stopping": "Stopping",
    "recipe.evaluate_every": "Stopping",
    "name": "Output",
    "labels": "Output",
    "output": "Output",
    "evaluation.test_prompts": "Output",
    "evaluation.prompts": "Output",
    "recipe.checkpoints": "Output",
    "resources": "Machine",
    "force": "Machine",
    "recipe.precision": "Machine",
    "recipe.gradient_checkpointing": "Machine",
    "recipe.batch.micro_tokens": "Machine",
    "recipe.batch.joined": "Machine",
}
"""Section of a field, by the longest path that it starts with."""

OTHER_NAMES: Final = {
    "--model": ["--model-path"],
    "--gradient-accumulation-steps": ["--gradient-accumulation"],
    "--max-seq-length": ["--max-length"],
    "--dtype": ["--precision"],
}
"""Further names of a flag."""

_NOT_FLAGS: Final = frozenset({"schema_version", "datasets", "options", "suggested"})
_CONFIG_HELP: Final = "File with any of these flags as keys, or a whole job; what is typed beats it."
_DIRECTORY_HELP: Final = (
    "A directory that `tunesmith models install` made: its model and ./lora inside it are the defaults."
)
_DATA_HELP: Final = (
    "A file, a folder, an archive, a quoted glob, a comma list of them, a name that `tunesmith pull` knows, or a hub "
    "name such as squad:train. Repeat it to mix."
)


class JobCommand(click.Command):
    """A command whose options stand in the sections of ``SECTIONS``."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        for section in SECTIONS:
            rows = [
                record
                for option in self.get_params(ctx)
                if getattr(option, "section", "Command") == section and (record := option.get_help_record(ctx))
            ]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows, col_max=26)


def job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the job file and every flag of a job to a command's function (below ``@click.command(cls=JobCommand)``)."""
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    options = [
        FieldOption(["config", "--config"], section="Command", type=file, metavar="JOB.yaml", help=_CONFIG_HELP),
        *_dataset_options(),
        *_field_options(),
        *_shorthand_options(),
        FieldOption(["--model-directory"], section="Model", type=folder, metavar="DIR", help=_DIRECTORY_HELP),
    ]
    for option in reversed(options):
        _attach(function, option)
    _attach(function, click.Argument(["job_file"], required=False, type=file, metavar="[JOB.yaml]"))
    return function


def job_from_flags(params: Mapping[str, Any]) -> tuple[JobSpec, dict[str, object]]:
    """Build the job that the flags and the job file ask for; a typed flag beats the file.

    Paths in a job file are relative to the working folder, as they are on the command line.

    Returns:
        The job, and what was asked for by dotted path, such as ``{"recipe.adapter.rank": 8}``.

    Raises:
        UsageError: neither names a model, or data.
        UnknownKey, BadEntry, UnreadableFile: the job file is off.
    """
    asked = _asked(params, directory_layer(params.get("model_directory")))
    if "model" not in asked and "model.source" not in asked:
        raise UsageError("No model is named. Give --model NAME_OR_FOLDER, or model: in a job file.")
    if not asked.get("datasets"):
        raise UsageError("No data is named. Give --data FILE_OR_FOLDER, or datasets: in a job file.")
    job = _job(asked, params)
    return job, {path: _value(job, path) for path in asked}


def changes_from_flags(params: Mapping[str, Any]) -> dict[str, object]:
    """Return what the flags and the job file ask for by dotted path, where a model and data need not be named."""
    asked = _asked(params, {})
    needed: dict[str, object] = {"model.source": "-", "datasets": [{"uri": "-"}]}
    job = _job({**needed, **asked}, params)
    return {path: _value(job, path) for path in asked}


def command_keys(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the job file says of the command rather than of the job: resume, resume_from, tensorboard_port."""
    file = _file(params)
    return {} if file is None else {key: value for key, value in file.command.items() if value is not None}


def _attach(function: Callable[..., Any], parameter: click.Parameter) -> None:
    """Do what click's own decorators do, with a parameter that is already made."""
    function.__dict__.setdefault("__click_params__", []).append(parameter)


def _dataset_options() -> Iterator[FieldOption]:
    """Yield the flags of the data, which fill a list of ``DatasetRef``."""
    fields = DatasetRef.model_fields
    uri = FieldType(fields["uri"], metavar="DATA")
    yield FieldOption(["data", "--data"], section="Data", multiple=True, type=uri, help=_DATA_HELP)
    yield FieldOption(
        ["validation_data", "--validation-data"],
        section="Data",
        multiple=True,
        type=uri,
        help="Data to validate on, instead of splitting some off.",
    )
    yield FieldOption(
        ["test_data", "--test-data"],
        section="Data",
        multiple=True,
        type=uri,
        help="Data for the one evaluation at the end, instead of splitting some off.",
    )
    for name, flag in DATASET_FLAGS.items():
        yield field_option(f"data_{name}", fields[name], [flag], "Data")


def _field_options() -> Iterator[FieldOption]:
    """Yield a flag for each field of a job and of the modalities' options."""
    from tunesmith.modalities import MODALITIES

    for path, name, field in _fields(JobSpec):
        flag = "--label" if path == "labels" else flag_name(name, field)
        yield field_option(path, field, [flag, *OTHER_NAMES.get(flag, [])], _section(path))
    own: set[str] = set()  # Modalities share names, such as that of the option which balances classes.
    for modality in MODALITIES.values():
        for path, name, field in _fields(modality.options, "options."):
            if path not in own:
                yield field_option(path, field, [flag_name(name, field)], "Data")
            own.add(path)


def _shorthand_options() -> Iterator[FieldOption]:
    """Yield the switches that say in a word what a field says too."""
    for name, shorthand in SHORTHANDS.items():
        flag = f"--{name.replace('_', '-')}"
        yield FieldOption([name, flag], section="Training", is_flag=True, help=shorthand.help)
    skip = "Answer no prompts before and after training (--test-prompts 0)."
    yield FieldOption(["skip_test", "--skip-test"], section="Output", is_flag=True, help=skip)


def _fields(part: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield dotted path, name and field of each leaf."""
    for name, field in part.model_fields.items():
        kind = bare(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}.")
        elif prefix or name not in _NOT_FLAGS:
            yield prefix + name, name, field


def _section(path: str) -> str:
    known = [start for start in SECTION_OF if path == start or path.startswith(start + ".")]
    return SECTION_OF[max(known, key=len)]


def _asked(params: Mapping[str, Any], lowest: Mapping[str, object]) -> dict[str, object]:
    """Collect what was asked for by dotted path: the lowest layer, over it the job file, over it what was typed."""
    file = _file(params)
    fields = {str(option.name): str(option.name).replace("__", ".") for option in _field_options()}
    if file is None:
        return merged([(params, Contradiction)], fields, lowest)
    where = str(file.path)

    def clash(first: str, second: str) -> ContradictingKeys:
        return ContradictingKeys(_key(first), _key(second), where)

    return merged([(file.flat, clash), (params, Contradiction)], fields, {**lowest, **file.nested})


def _key(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _file(params: Mapping[str, Any]) -> JobFile | None:
    """Read the job file, if one is named, as an argument or by --config."""
    named = [path for path in (params.get("job_file"), params.get("config")) if path]
    if len(named) > 1:
        raise Contradiction(str(named[0]), f"--config {named[1]}")
    options = [*_dataset_options(), *_field_options(), *_shorthand_options()]
    return read_job_file(named[0], options) if named else None


def _job(asked: Mapping[str, object], params: Mapping[str, Any]) -> JobSpec:
    from pydantic import ValidationError

    tree: dict[str, Any] = {}
    for path, value in asked.items():
        *parents, name = path.split(".")
        if any(".".join(parents[: depth + 1]) in asked for depth in range(len(parents))):
            continue  # A file holds something else where a map of settings belongs, which the job's own check names.
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = value
    try:
        return JobSpec.model_validate(tree)
    except ValidationError as error:
        where = params.get("job_file") or params.get("config") or "job"
        raise explained(error, JobSpec, str(where)) from error


def _value(job: JobSpec, path: str) -> object:
    """Look a dotted path up in a job."""
    found: Any = job
    for name in path.split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    return found
