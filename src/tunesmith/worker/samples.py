"""Held-out prompts answered before and after training, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tunesmith.runs.durable import read_json, write_json
from tunesmith.spec.events import Phase, Sample
from tunesmith.spec.examples import Conversation, Example, Message
from tunesmith.worker.keeping import lineage

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.worker.reporting import Reporter

MAX_TOKENS: Final = 64
"""Longest answer, in tokens."""
FILE: Final = "before.json"
"""Where the answers of the base model are kept for the runs that resume this one."""


class Samples:
    """A few held-out conversations up to their last answer."""

    def __init__(self, held_out: Sequence[Example], count: int) -> None:
        chosen = [example for example in held_out if isinstance(example, Conversation)][:count]
        self._asked: list[tuple[tuple[Message, ...], str]] = []
        for conversation in chosen:
            last = max(i for i, message in enumerate(conversation.messages) if message.role == "assistant")
            self._asked.append((conversation.messages[:last], conversation.messages[last].content))

    def before(self, run: RunFolder, reporter: Reporter, pieces: Any, encoder: Any) -> None:
        """Answer before training, where training overwrites the base model; an adapter can be switched off later."""
        if pieces.keeps_base or not self._asked:
            return
        for parent in lineage(run):
            kept = parent.path / FILE
            if kept.is_file():
                write_json(run.path / FILE, read_json(kept))
                return
        with pieces.answering() as model:
            answers = self._answers(reporter, model, encoder, "answering held-out questions before training")
        write_json(run.path / FILE, answers)

    def after(self, run: RunFolder, reporter: Reporter, pieces: Any, encoder: Any) -> None:
        """Answer with the trained model and tell both answers."""
        if not self._asked:
            return
        with pieces.answering() as model:
            after = self._answers(reporter, model, encoder, "answering held-out questions with the trained model")
        if pieces.keeps_base:
            with pieces.answering(base=True) as model:
                before = self._answers(reporter, model, encoder, "answering the same questions with the base model")
        else:
            before = read_json(run.path / FILE)
        for (prompt, expected), was, now in zip(self._asked, before, after, strict=True):
            question = next((m.content for m in reversed(prompt) if m.role == "user"), "")
            reporter.say(Sample(prompt=question, expected=expected, before=was, after=now))

    def _answers(self, reporter: Reporter, model: Any, encoder: Any, phase: str) -> list[str]:
        from tunesmith.modalities.sampling import Sampling
        from tunesmith.modalities.text.predictor import TextPredictor

        reporter.say(Phase(name=phase))
        greedy = Sampling(max_tokens=MAX_TOKENS, temperature=0.0)
        return TextPredictor(model, encoder).answers([prompt for prompt, _ in self._asked], greedy)
