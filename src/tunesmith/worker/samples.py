"""Held-out examples and the user's prompts answered before and after training, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tunesmith.runs.durable import read_json, write_json
from tunesmith.spec.events import Phase, Sample
from tunesmith.worker.keeping import lineage

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.spec.examples import Example
    from tunesmith.worker.reporting import Reporter

FILE: Final = "before.json"
"""Where the answers of the base model are kept for the runs that resume this one."""


class Samples:
    """Questions to the model of a run; how they are asked and answered is its pieces' business."""

    def __init__(
        self, pieces: Any, encoder: Any, held_out: Sequence[Example], prompts: Sequence[str], count: int
    ) -> None:
        self._pieces = pieces
        self._encoder = encoder
        self._questions = pieces.questions(held_out, prompts, count)

    def before(self, run: RunFolder, reporter: Reporter) -> None:
        """Answer before training, where training overwrites the base model; an adapter can be switched off later."""
        if self._pieces.keeps_base or not self._questions:
            return
        for parent in lineage(run):
            kept = parent.path / FILE
            if kept.is_file():
                write_json(run.path / FILE, read_json(kept))
                return
        reporter.say(Phase(name="answering held-out questions before training"))
        write_json(run.path / FILE, self._pieces.answers(self._questions, self._encoder))

    def after(self, run: RunFolder, reporter: Reporter) -> None:
        """Answer with the trained model and tell both answers."""
        if not self._questions:
            return
        reporter.say(Phase(name="answering held-out questions with the trained model"))
        after = self._pieces.answers(self._questions, self._encoder)
        if self._pieces.keeps_base:
            reporter.say(Phase(name="answering the same questions with the base model"))
            before = self._pieces.answers(self._questions, self._encoder, base=True)
        else:
            before = read_json(run.path / FILE)
        for question, was, now in zip(self._questions, before, after, strict=True):
            reporter.say(Sample(prompt=question.shown, expected=question.expected, before=was, after=now))
