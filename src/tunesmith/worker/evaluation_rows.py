"""What an evaluation measures on: rows that the model's training held out, rows that were given, and prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from tunesmith.data.held_out import NONE_TRAINED, Digests, Measurable, Split, given, held_out, trained_digests
from tunesmith.data.pruning import prune
from tunesmith.data.token_rows import EncodedRow, Indices, TokenRows
from tunesmith.modalities import task_of
from tunesmith.modalities.base import RUNNING_TEXT, Encoder, Task
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.folders import is_model, use_of
from tunesmith.modalities.text import MODALITY
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.settings import load_settings
from tunesmith.spec.errors import DataError, NothingToEvaluate, TunesmithError, Where, WritesNoText
from tunesmith.spec.events import Prepared
from tunesmith.spec.examples import Conversation, Example, Message, PromptCompletion
from tunesmith.worker.prepare import Data, find_task, limit_of, prepare_data
from tunesmith.worker.where_trained import where_trained

if TYPE_CHECKING:
    from tunesmith.spec.plan import Plan
    from tunesmith.spec.work import Asked, EvaluateRun
    from tunesmith.worker.reporting import Reporter

LONGEST: Final = 4096
"""Tokens at which rows are cut where no training says a length and the model sees more."""


@dataclass(frozen=True)
class Rows:
    """Examples of one origin, as the tokens of one model."""

    name: str
    """rows or prompts."""
    source: str
    """Where they come from, as part of a sentence."""
    examples: list[Example]
    tokens: TokenRows
    owners: Indices
    """(token rows) Place of each row's example."""
    found: int
    trained_on: int = 0
    labels: list[str] = field(default_factory=list)
    """Classes in order, where rows have one; ``tokens.labels`` are places in it."""
    held: BinaryIO | None = None
    """Open as long as the rows are used."""

    def read_by(self, encoder: Encoder, length: int) -> Rows:
        """Return the same examples as the tokens of another model."""
        encoded = [encoder(example) for example in self.examples]
        tokens, owners = _packed(encoded)
        return replace(self, tokens=tokens.truncated(length), owners=owners, held=None)


@dataclass(frozen=True)
class Material:
    """Everything that models are measured on, and how the model of the evaluation reads it."""

    task: Task
    encoder: Any
    """Of texts: ``TextEncoder``; else what the modality encodes its rows with."""
    folder: Path
    """Where its tokenizer is."""
    length: int
    """Tokens at which rows are cut."""
    groups: list[Rows]
    asked: list[Example]
    """The prompts, as examples with their expected answers, "" where none is known."""
    notes: list[str]
    data: Data | None
    """What the training of the model was made of, where its held-out rows are measured."""


def material(run: RunFolder, request: EvaluateRun, adapter: Path | None, reporter: Reporter) -> Material:
    """Find and encode the rows; those that the model was trained on are left out.

    Raises:
        NothingToEvaluate: there are none, or which ones were held out is not known any more.
        DataError: the data cannot be used.
    """
    training = RunFolder(Path(request.model.run)) if request.model.run else None
    if training is None:
        return _of_stranger(run, request, adapter)
    plan = training.plan()
    with where_trained(training):
        modality, task = find_task(plan)
        if request.prompts and modality is not MODALITY:
            raise WritesNoText(request.model.name, f"{task.does} and answers no prompts")
        needed = request.data is None or not (modality is MODALITY and task.writes and task.counts == "token")
        data = _data(run, training, plan, request, reporter) if needed else None
        encoder = data.encoder if data is not None else _encoder(plan, request)
        length = limit_of(plan, task) or LONGEST
        search = _Search(run, encoder, length, request)
        trained, notes = search.trained(training, own=request.data is not None)
        found = search.held_out(plan, trained) if request.data is None else None
    if found is None:
        found = search.given(trained)
    if not found.examples and not request.prompts:
        raise NothingToEvaluate(request.model.name, _why_nothing(found))
    running = plan.data.kinds.keys() <= RUNNING_TEXT
    asked = _asked(request.prompts, running=running)
    groups = [_rows(found, training.id)] if found.examples else []
    notes += _of_side(found)
    return Material(
        task,
        encoder,
        Path(at_home(plan, request).model.path),
        length,
        [*groups, *_prompts(asked, encoder, length)],
        asked,
        notes,
        data,
    )


class _Search:
    """Looks for rows with one encoder, one limit and one seed."""

    def __init__(self, run: RunFolder, encoder: TextEncoder, length: int, request: EvaluateRun) -> None:
        home = run.path.parent.parent
        self._encoder = encoder
        self._request = request
        self._cache = home / "cache" / "tokens"
        self._cache_limit = load_settings(home=home).cache_limit_gb * 1e9
        self._how: dict[str, Any] = {
            "cache_dir": self._cache, "length": length, "limit": request.rows, "seed": request.seed,
            "progress": lambda name, done: None,
        }  # fmt: skip

    def held_out(self, plan: Plan, trained: Digests) -> Measurable:
        return held_out(plan.spec.datasets, self._encoder, _split(plan), trained=trained, **self._how)

    def given(self, trained: Digests) -> Measurable:
        found = given(self._request.data or [], self._encoder, trained=trained, **self._how)
        prune(self._cache, self._cache_limit)
        return found

    def trained(self, training: RunFolder, *, own: bool) -> tuple[Digests, list[str]]:
        """Return what the runs that this one continues (with ``own``: it too) trained on, and what is unknown."""
        found, notes = [NONE_TRAINED], []
        for earlier in _lineage(training) if own else _lineage(training)[1:]:
            try:
                with where_trained(earlier):
                    plan = earlier.plan()
                    found.append(
                        trained_digests(
                            plan.spec.datasets, self._encoder, _split(plan),
                            cache_dir=self._cache, progress=lambda name, done: None,
                        )
                    )  # fmt: skip
            except TunesmithError:
                notes.append(f"Whether rows were trained on by run {earlier.id} is not known: its data is gone.")
        return np.unique(np.concatenate(found)), notes


def _of_stranger(run: RunFolder, request: EvaluateRun, adapter: Path | None) -> Material:
    """Material of a model of whose training nothing is known."""
    model = Path(request.model.model)
    if (use := use_of(model, adapter)) is not None:
        why = f"it {use.does}, which only the run of its training knows to measure"
        raise NothingToEvaluate(request.model.name, why)
    own = adapter is not None and (adapter / "tokenizer.json").is_file()
    folder = adapter if adapter is not None and own else model
    encoder = TextEncoder(folder)
    config = read_json(model / "config.json")
    seen = config.get("max_position_embeddings") or config.get("n_positions") or LONGEST
    length = min(int(seen), LONGEST)
    info = read_json((adapter or model) / ("adapter_info.json" if adapter is not None else "model_info.json"))
    task = task_of(info.get("task"))
    asked = _asked(request.prompts, running=False)
    groups, notes = [], []
    if request.data is not None:
        found = _Search(run, encoder, length, request).given(NONE_TRAINED)
        if not found.examples and not asked:
            raise NothingToEvaluate(request.model.name, _why_nothing(found))
        groups = [_rows(found, "")] if found.examples else []
        notes = ["Whether the model was trained on these rows is not known here."]
    return Material(task, encoder, folder, length, [*groups, *_prompts(asked, encoder, length)], asked, notes, None)


def _data(run: RunFolder, training: RunFolder, plan: Plan, request: EvaluateRun, reporter: Reporter) -> Data:
    """Prepare the data of a training again, and see that it still is what was trained on.

    Raises:
        NothingToEvaluate: it is not, or is gone.
    """
    try:
        data = prepare_data(run, at_home(plan, request), reporter)
    except DataError as error:
        raise NothingToEvaluate(request.model.name, f"the data of its training cannot be read ({error})") from error
    told = next((event.body for event in read(training.events)[0] if isinstance(event.body, Prepared)), None)
    if told is None or told.fingerprint != data.fingerprint:
        why = "the data of its training is not what it was, so that the rows which it held out are not known"
        raise NothingToEvaluate(request.model.name, why)
    return data


def at_home(plan: Plan, request: EvaluateRun) -> Plan:
    """Return the plan with its model where it now is: the base may have moved, or be the result of a full training."""
    folder = Path(plan.model.path)
    if (folder / "tokenizer.json").is_file() or (is_model(folder) and use_of(folder) is not None):
        return plan
    return plan.model_copy(update={"model": plan.model.model_copy(update={"path": request.model.model})})


def _encoder(plan: Plan, request: EvaluateRun) -> TextEncoder:
    options = MODALITY.options.model_validate(plan.spec.options)
    encoder = MODALITY.encoder(Path(at_home(plan, request).model.path), options)
    assert isinstance(encoder, TextEncoder)
    return encoder


def _split(plan: Plan) -> Split:
    spec = plan.spec
    return Split(
        share=spec.evaluation.validation_split or 0.0,
        test=spec.evaluation.test_split,
        typed=not plan.split_chosen,
        seed=spec.seed,
        drop_duplicates=bool(spec.options.get("drop_duplicates", False)),
    )


def _lineage(training: RunFolder) -> list[RunFolder]:
    """Return a run and those whose results it went on from, the newest first."""
    found = [training]
    while (earlier := found[-1].header().continues) is not None:
        folder = RunFolder(training.path.parent / earlier)
        if not folder.exists() or folder in found:
            break
        found.append(folder)
    return found


def _rows(found: Measurable, training: str) -> Rows:
    source = {
        "test": f"rows that run {training} kept for a test",
        "validation": f"validation rows of run {training}, on which it was not trained",
        "given": "rows that were given",
    }[found.side]
    return Rows(
        "rows", source, found.examples, found.rows, found.owners,
        found=found.found, trained_on=found.trained_on, labels=found.labels, held=found.held,
    )  # fmt: skip


def _asked(prompts: Sequence[Asked], *, running: bool) -> list[Example]:
    examples: list[Example] = []
    for number, asked in enumerate(prompts, 1):
        where, expected = Where("prompts", number), asked.expected or ""
        if running:
            examples.append(PromptCompletion(asked.prompt, expected, where))
        else:
            turns = (Message("user", asked.prompt), Message("assistant", expected))
            examples.append(Conversation(turns, where))
    return examples


def _prompts(asked: Sequence[Example], encoder: Encoder, length: int) -> list[Rows]:
    """Return the prompts whose answer is known, as rows."""
    known = [example for example in asked if expected_of(example)]
    if not known:
        return []
    empty = Rows("prompts", "prompts whose right answer is known", known, *_packed([]), found=len(known))
    return [empty.read_by(encoder, length)]


def expected_of(example: Example) -> str:
    """Return the answer that an example ends with, "" where it has none."""
    match example:
        case Conversation(messages=messages):
            return messages[-1].content if messages[-1].role == "assistant" else ""
        case PromptCompletion(completion=completion):
            return completion
    return ""


def _packed(encoded: Sequence[Sequence[EncodedRow]]) -> tuple[TokenRows, Indices]:
    counts = np.array([len(rows) for rows in encoded], np.int64)
    return TokenRows.of(row for rows in encoded for row in rows), np.repeat(np.arange(len(counts)), counts)


def _why_nothing(found: Measurable) -> str:
    if found.trained_on:
        return f"all {found.trained_on} rows are ones that it was trained on"
    return "its training held no rows out" if found.side != "given" else "the rows hold nothing to predict"


def _of_side(found: Measurable) -> list[str]:
    notes = []
    if found.side == "validation":
        notes.append("The validation rows also chose which weights were kept; rows of a --test-split are stricter.")
    if found.trained_on:
        notes.append(f"{found.trained_on} rows were left out because the model was trained on equal ones.")
    return notes
