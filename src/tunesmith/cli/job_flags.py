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
from tunesmith.cli.wrong_values import bare, explained
from tunesmith.spec.errors import UnreadableFile, UsageError
from tunesmith.spec.job import DatasetRef, JobSpec
from tunesmith.spec.recipe import Part

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

DATASET_FLAGS: Final = {"format": "--dataset-format", "columns": "--columns", "limit": "--max-examples"}
"""Flags that hold for every ``--data``."""

_NOT_FLAGS: Final = frozenset({"schema_version", "datasets", "options"})
_DATA_HELP: Final = (
    "A file, a folder, a quoted glob, a comma list of them, or a name that `tunesmith pull` knows. Repeat it to mix."
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
    options = [*_dataset_options(), *_field_options()]
    for option in reversed(options):
        _attach(function, option)
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
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
    asked = _asked(params)
    if "model" not in asked and "model.source" not in asked:
        raise UsageError("No model is named. Give --model NAME_OR_FOLDER, or model: in a job file.")
    if not asked.get("datasets"):
        raise UsageError("No data is named. Give --data FILE_OR_FOLDER, or datasets: in a job file.")
    job = _job(asked, params.get("job_file"))
    return job, {path: _value(job, path) for path in asked}


def changes_from_flags(params: Mapping[str, Any]) -> dict[str, object]:
    """Return what the flags and the job file ask for by dotted path, where a model and data need not be named."""
    asked = _asked(params)
    needed: dict[str, object] = {"model.source": "-", "datasets": [{"uri": "-"}]}
    job = _job({**needed, **asked}, params.get("job_file"))
    return {path: _value(job, path) for path in asked}


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
    for name, flag in DATASET_FLAGS.items():
        yield field_option(f"data_{name}", fields[name], [flag], "Data")


def _field_options() -> Iterator[FieldOption]:
    """Yield a flag for each field of a job and of the modalities' options."""
    from tunesmith.modalities import MODALITIES

    for path, name, field in _fields(JobSpec):
        flag = "--label" if path == "labels" else flag_name(name, field)
        yield field_option(path, field, [flag, *OTHER_NAMES.get(flag, [])], _section(path))
    skip = "Do not answer held-out prompts before and after training (--test-prompts 0)."
    yield FieldOption(["skip_test", "--skip-test"], section="Output", is_flag=True, help=skip)
    for modality in MODALITIES.values():
        for path, name, field in _fields(modality.options, "options."):
            yield field_option(path, field, [flag_name(name, field)], "Data")


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


def _asked(params: Mapping[str, Any]) -> dict[str, object]:
    """Collect what the job file says and, over it, what was typed, by dotted path."""
    file = params.get("job_file")
    asked = dict(_flat(_read(file), JobSpec)) if file else {}
    for option in _field_options():
        name = str(option.name)
        if name != "skip_test" and params.get(name) is not None:
            asked[name.replace("__", ".")] = params[name]
    if params.get("skip_test"):
        asked["evaluation.test_prompts"] = 0
    datasets = _datasets(params, asked.get("datasets"))
    return asked if datasets is None else {**asked, "datasets": datasets}


def _datasets(params: Mapping[str, Any], listed: object) -> list[Any] | None:
    """Merge the data flags with the file's list: typed sources replace the file's of the same role."""
    old = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if isinstance(listed, list) and len(old) < len(listed):
        return listed  # not what a job file may hold: left for the job's own check to name
    train = [{"uri": uri} for uri in params.get("data") or ()] or [e for e in old if not e.get("validation")]
    check = [{"uri": uri, "validation": True} for uri in params.get("validation_data") or ()]
    check = check or [e for e in old if e.get("validation")]
    common = {name: params.get(f"data_{name}") for name in DATASET_FLAGS}
    common = {name: value for name, value in common.items() if value is not None}
    limit = {name: value for name, value in common.items() if name == "limit"}
    shape = {name: value for name, value in common.items() if name != "limit"}
    merged = [*({**entry, **shape, **limit} for entry in train), *({**entry, **shape} for entry in check)]
    return merged or None


def _read(file: Path) -> dict[str, Any]:
    """Read a job file: YAML, of which JSON is a part."""
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnreadableFile(file, " ".join(str(error).split())) from error
    if not isinstance(content, dict):
        raise UnreadableFile(file, "it holds no keys")
    return content


def _flat(tree: Mapping[Any, Any], part: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the leaves of a job file's tree by dotted path; what the job does not know stays as it is."""
    for key, value in tree.items():
        field = part.model_fields.get(str(key))
        kind = bare(field.annotation) if field else None
        inner = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        if isinstance(value, dict) and (inner or prefix + str(key) == "options"):
            yield from _flat(value, inner or Part, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _job(asked: Mapping[str, object], file: Path | None) -> JobSpec:
    from pydantic import ValidationError

    tree: dict[str, Any] = {}
    for path, value in asked.items():
        *parents, name = path.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = value
    try:
        return JobSpec.model_validate(tree)
    except ValidationError as error:
        raise explained(error, JobSpec, str(file or "job")) from error


def _value(job: JobSpec, path: str) -> object:
    """Look a dotted path up in a job."""
    found: Any = job
    for name in path.split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    return found
