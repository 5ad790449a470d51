"""Measures a language model, and what it is compared with, on the same rows: token by token, and by its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tunesmith.modalities.parts.asking import Question
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.modalities.text.metrics import SCORES
from tunesmith.modalities.text.predictor import Continuing, Conversing
from tunesmith.spec.errors import ScoreNotANumber
from tunesmith.spec.evaluation import Group, Measurement, ModelSize
from tunesmith.spec.examples import Conversation, Example, PromptCompletion
from tunesmith.spec.sampling import Sampling
from tunesmith.spec.work import EvaluateRun, Metric, ModelFolders
from tunesmith.worker import side_by_side
from tunesmith.worker.contender import Contender
from tunesmith.worker.evaluation_rows import Material, Rows
from tunesmith.worker.side_by_side import Resampling

if TYPE_CHECKING:
    import torch

    from tunesmith.training.scoring import RowScores
    from tunesmith.worker.telling import Teller

OF_TOKENS: Final = frozenset({Metric.PERPLEXITY, Metric.TOKEN_ACCURACY})
"""Metrics for which no answer has to be written."""


@dataclass(frozen=True)
class Measured:
    """What an evaluation found."""

    groups: list[Group]
    size: ModelSize
    notes: list[str]


@dataclass(frozen=True)
class _Found:
    """What one model made of the material."""

    groups: list[Rows]
    """Its rows, in its own tokens."""
    scores: list[RowScores]
    """Of each group; none where no metric needs them."""
    answers: list[str]


def measure_language(
    request: EvaluateRun,
    material: Material,
    adapter: Path | None,
    baseline_adapter: Path | None,
    device: torch.device,
    tell: Teller,
) -> Measured:
    """Measure a model and its baseline.

    A baseline that is the base of the model's adapter is the same model with the adapter switched off; any other is
    loaded once the first is gone.

    Raises:
        ScoreNotANumber: a loss is not a number.
    """
    baseline = request.baseline
    shared = baseline is not None and adapter is not None and baseline_adapter is None
    shared = shared and baseline is not None and Path(baseline.model) == Path(request.model.model)
    questions = _questions(request, material)
    size, found = None, []
    for place, folders in enumerate([request.model, *([] if baseline is None or shared else [baseline])]):
        encoder = material.encoder if place == 0 else _reader(material, Path(folders.model), baseline_adapter)
        groups = material.groups
        if encoder is not material.encoder:
            groups = [group.read_by(encoder, material.length) for group in groups]
        longest = max((int(group.tokens.lengths.max()) for group in groups), default=1)
        ways = (False, True) if shared else (False,)
        contender = Contender(
            Path(folders.model), (adapter, baseline_adapter)[place],
            checkpoint=_whole_checkpoint(folders, (adapter, baseline_adapter)[place]),
            precision=str(request.precision or "fp32"), device=device, length=longest,
        )  # fmt: skip
        names = {
            bare: baseline.name if baseline is not None and (bare or place) else request.model.name for bare in ways
        }
        found += _measure(contender, names, groups, questions, encoder, request, tell)
        size = size or contender.size()
        del contender
    assert size is not None
    compared, notes = _compared(request, material, questions, found)
    return Measured(compared, size, notes)


def _measure(
    contender: Contender,
    names: Mapping[bool, str],
    groups: list[Rows],
    questions: Sequence[Question],
    encoder: TextEncoder,
    request: EvaluateRun,
    tell: Teller,
) -> list[_Found]:
    """Measure one model once for each of ``names``: whether its adapter is off, and what it is then called."""
    answers: list[list[str]] = [[] for _ in names]
    prompts = [_prompt(question, encoder) for question in questions]
    sampling = Sampling(**{**request.sampling.model_dump(), "stop": tuple(request.sampling.stop)})
    if prompts:
        beats = [(bare, tell.doing(f"asking {name}")) for bare, name in names.items()]
        answers = contender.answer(prompts, encoder, sampling, beats)
    scored = groups if _wanted(request) & OF_TOKENS else []
    found = []
    for (bare, name), said in zip(names.items(), answers, strict=True):
        scores = [contender.score(group.tokens, tell.doing(f"scoring {name}"), bare=bare) for group in scored]
        if not all(np.isfinite(each.nats).all() for each in scores):
            raise ScoreNotANumber(name, str(request.precision or "fp32"))
        found.append(_Found(groups, scores, said))
    return found


def _whole_checkpoint(folders: ModelFolders, adapter: Path | None) -> Path | None:
    """Return the checkpoint that holds every weight of a model, if one is meant."""
    return Path(folders.checkpoint) if folders.checkpoint is not None and adapter is None else None


def _compared(
    request: EvaluateRun, material: Material, questions: Sequence[Question], found: Sequence[_Found]
) -> tuple[list[Group], list[str]]:
    """Put both models side by side, group by group; prompts without expected answers are answered and not measured."""
    how = Resampling(request.bootstrap, request.confidence, request.seed)
    wanted = sorted(_wanted(request))
    ours, theirs = found[0], found[1] if len(found) > 1 else None
    answers = [
        side_by_side.answered(
            question.shown, question.expected or None, ours.answers[place],
            theirs.answers[place] if theirs is not None else None, wanted,
        )
        for place, question in enumerate(questions)
    ]  # fmt: skip
    own = len(answers) - len(material.asked)
    parts = {"rows": answers[:own], "prompts": answers[own:]}
    groups, notes = [], []
    for place, rows in enumerate(material.groups):
        measured: list[Measurement] = []
        per = "token"
        if ours.scores:
            other = (theirs.groups[place], theirs.scores[place]) if theirs is not None else None
            measured, per = _of_scores(material, rows, ours.scores[place], other, wanted, how)
        if per != "token":
            notes.append("Model and baseline read the rows as different tokens, so the perplexity is of a character.")
        replies = parts[rows.name]
        groups.append(
            Group(
                name=rows.name, source=rows.source, rows=len(rows.examples), found=rows.found,
                trained_on=rows.trained_on, answered=len(replies), per=per, answers=replies,
                measurements=[*measured, *side_by_side.of_answers(replies, wanted, how)],
            )
        )  # fmt: skip
    if material.asked and not any(group.name == "prompts" for group in groups):
        count = len(material.asked)
        answers = parts["prompts"]
        groups.append(Group(name="prompts", source="prompts", rows=count, found=count, answered=count, answers=answers))
    return groups, notes


def _of_scores(
    material: Material,
    rows: Rows,
    scores: RowScores,
    other: tuple[Rows, RowScores] | None,
    wanted: Sequence[str],
    how: Resampling,
) -> tuple[list[Measurement], str]:
    model = side_by_side.by_example(scores, rows.owners, len(rows.examples))
    if other is None:
        return side_by_side.of_scores(model, None, wanted, how, tokens=True), "token"
    baseline = side_by_side.by_example(other[1], other[0].owners, len(rows.examples))
    if (model[:, 2] == baseline[:, 2]).all():
        return side_by_side.of_scores(model, baseline, wanted, how, tokens=True), "token"
    model[:, 2] = baseline[:, 2] = _characters(rows, material.encoder)
    return side_by_side.of_scores(model, baseline, wanted, how, tokens=False), "character"


def _characters(rows: Rows, encoder: TextEncoder) -> np.ndarray:
    """Count the characters that the labelled tokens of each example spell."""
    counts = np.zeros(len(rows.examples))
    for place, owner in enumerate(rows.owners):
        ids, mask = rows.tokens.row(place)
        counts[owner] += len(encoder.decode([int(token) for token in ids[mask > 0]]))
    return np.maximum(counts, 1)


def _wanted(request: EvaluateRun) -> frozenset[Metric]:
    return frozenset(Metric if request.metrics is None else request.metrics)


def _reader(material: Material, model: Path, adapter: Path | None) -> TextEncoder:
    """Return how another model reads the rows: the same way if its tokens and its template are the same."""
    own = adapter if adapter is not None and (adapter / "tokenizer.json").is_file() else model
    known: TextEncoder = material.encoder
    if own == material.folder:
        return known
    encoder = TextEncoder(own)
    return known if encoder.fingerprint == known.fingerprint else encoder


def _questions(request: EvaluateRun, material: Material) -> list[Question]:
    """Return what is asked: some of the rows, where an answer is measured, and then every prompt."""
    asked = [question for example in material.asked for question in _question(example)]
    if not _wanted(request) & SCORES.keys():
        return asked
    rows = next((group.examples for group in material.groups if group.name == "rows"), [])
    found = [question for example in rows for question in _question(example)]
    short = (question for question in found if len(_prompt(question, material.encoder)) < material.length)
    return [*islice(short, request.answered), *asked]


def _question(example: Example) -> list[Question]:
    if isinstance(example, Conversation):
        return Conversing().questions([example], (), 1)
    return Continuing().questions([example], (), 1) if isinstance(example, PromptCompletion) else []


def _prompt(question: Question, encoder: TextEncoder) -> list[int]:
    if isinstance(question.asked, str):
        return encoder.text(question.asked)
    return encoder.prompt(question.asked)
