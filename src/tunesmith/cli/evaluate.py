"""``tunesmith evaluate``: how good a model is, and whether it is better than the one that it was tuned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tunesmith.cli.text_option import whole_text
from tunesmith.spec.job import DatasetRef, Device
from tunesmith.spec.recipe import Precision
from tunesmith.spec.work import Asked, EvaluateSpec, Metric


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--baseline", metavar="MODEL", help="What to compare with; none for nothing. Default: its base.")
@click.option("--data", "data", multiple=True, metavar="DATA", help="Rows to measure on. Default: those held out.")
@click.option("--format", "format_", metavar="NAME", help="Format of the rows of --data. Default: found row by row.")
@click.option(
    "--prompt", "prompts", type=whole_text, multiple=True, metavar="TEXT", help="A prompt to answer; may be repeated."
)
@click.option(
    "--expected",
    type=whole_text,
    multiple=True,
    metavar="TEXT",
    help="The right answer to the --prompt of the same place.",
)
@click.option(
    "--prompts", "file", type=click.Path(path_type=Path), metavar="FILE",
    help='Lines of {"prompt": ..., "expected": ...}.',
)  # fmt: skip
@click.option("--rows", type=click.IntRange(1), metavar="N", help="Rows measured on, at most. Default: 200.")
@click.option("--answered", type=click.IntRange(0), metavar="N", help="Of these, rows answered in full. Default: 32.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice([each.value for each in Metric]),
    help="What to measure; may be repeated.",
)
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Longest answer. Default: 128.")
@click.option("--temperature", type=click.FloatRange(0, 10), metavar="T", help="0 takes the likeliest word.")
@click.option("--bootstrap", type=click.IntRange(100), metavar="N", help="Resamples of the rows. Default: 1000.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Of the resamples in an interval. Default: 0.95.",
)
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Decides rows and resamples. Default: 42.")
@click.option("--device", type=click.Choice([each.value for each in Device]), help="Where to compute.")
@click.option(
    "--precision", type=click.Choice([each.value for each in Precision]), help="Default: what suits the device."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *, model: str, data: tuple[str, ...], format_: str | None, prompts: tuple[str, ...], expected: tuple[str, ...],
    file: Path | None, max_tokens: int | None, temperature: float | None, as_json: bool, **typed: Any,
) -> None:  # fmt: skip
    """Measure a model on rows that it was not trained on, beside the model that it was tuned from.

    MODEL is a run, the folder of an adapter, of a checkpoint or of a model, or the name of one that was pulled. It is
    called better or worse only where that is more than the choice of the rows could make.

    \b
    tunesmith evaluate demo
    tunesmith evaluate ./lora --data test.jsonl
    tunesmith evaluate ./lora --prompt "What is 2 plus 2?" --expected "4"
    """
    from tunesmith.cli.evaluation_table import show
    from tunesmith.cli.progress import pulling
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.jobs.evaluation import evaluate
    from tunesmith.service.jobs.remote_work import done_by_server
    from tunesmith.spec.evaluation import EvaluationResult

    if format_ is not None and not data:
        raise click.UsageError("--format says how the rows of --data are written: give --data too.")
    sampling = {"max_tokens": max_tokens, "temperature": temperature}
    values = {
        "data": [DatasetRef(uri=uri, format=format_ or "auto") for uri in data],
        "prompts": [*_typed(prompts, expected), *(_read(file) if file is not None else [])],
        "sampling": {name: value for name, value in sampling.items() if value is not None},
        **typed,
    }
    spec = EvaluateSpec(
        model=model, **{name: value for name, value in values.items() if value not in (None, [], (), {})}
    )
    settings = current_settings()
    with pulling(model, quiet=as_json, doing="Evaluating") as tell:
        told = done_by_server(spec, settings, tell)
        result = evaluate(spec, settings, tell) if told is None else EvaluationResult.model_validate(told)
    if as_json:
        click.echo(json.dumps(result.model_dump(mode="json")))
    else:
        show(result)


def _typed(prompts: tuple[str, ...], expected: tuple[str, ...]) -> list[Asked]:
    if expected and len(expected) != len(prompts):
        raise click.UsageError("Give as many --expected as --prompt, in the same order, or use --prompts FILE.")
    answers = expected or (None,) * len(prompts)
    return [Asked(prompt=prompt, expected=answer) for prompt, answer in zip(prompts, answers, strict=True)]


def _read(file: Path) -> list[Asked]:
    """Read a file of prompts, one JSON object a line.

    Raises:
        UnreadableRow: a line is none.
    """
    from pydantic import ValidationError

    from tunesmith.spec.errors import UnreadableRow, Where

    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(Asked.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            why = ".".join([*map(str, first["loc"]), str(first["msg"]).lower()]).replace(".", ": ", bool(first["loc"]))
            raise UnreadableRow(Where(str(file), number), why) from error
    return found
