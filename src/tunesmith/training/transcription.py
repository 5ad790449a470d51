"""Learning to write down what is said: rows of recordings with transcripts, and how wrong the model's own are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from tunesmith.data.token_rows import TokenRows
from tunesmith.training.pieces import Rows


@dataclass(frozen=True)
class SpeechBatch:
    """Recordings, and what is said in them."""

    inputs: dict[str, Tensor]
    """What the model hears, by its own names."""
    said: list[list[int]]
    """Numbers of each transcript: tokens with the prompt before them, or characters."""
    prompt: int
    """How many of them are not learned."""
    texts: list[str]
    """The transcripts themselves."""
    lengths: list[int]
    """Frames of each recording inside the model."""
    covered: Tensor | None
    """(recordings, frames) bool: frames that are hidden from the model."""
    tokens: int

    @property
    def labels(self) -> int:
        """Tokens or characters that are learned."""
        return sum(len(each) - self.prompt for each in self.said)


class Listener(Protocol):
    """A model that writes down what it hears."""

    def loss(self, batch: SpeechBatch) -> Tensor:
        """Sum the loss over the labels of a batch, in nats."""
        ...

    def heard(self, batch: SpeechBatch) -> tuple[Tensor, list[str]]:
        """Return the same sum, and the text of each recording, decoded as it is when the model serves."""
        ...


class Transcription:
    """The loss of transcripts, and how many words and characters of the model's own are wrong."""

    def __init__(
        self,
        listener: Listener,
        *,
        make: Callable[[TokenRows], Rows],
        errors: Callable[[str, str], Any],
    ) -> None:
        """``make`` makes batches of rows; ``errors`` counts what is wrong of what was heard, given what was said."""
        self.warnings: list[str] = []
        self._listener = listener
        self._make = make
        self._errors = errors

    def rows(self, rows: TokenRows) -> Rows:
        """Make batches of these rows."""
        return self._make(rows)

    def loss(self, batch: SpeechBatch) -> Tensor:
        """Sum of the loss over the labels of a batch, in nats."""
        return self._listener.loss(batch)

    def measure(self, batch: SpeechBatch) -> dict[str, float]:
        """Sum the loss, and what is wrong in the transcripts."""
        loss, texts = self._listener.heard(batch)
        sums = {"loss": float(loss), "wrong_words": 0.0, "words": 0.0, "wrong_characters": 0.0, "characters": 0.0}
        for said, heard in zip(batch.texts, texts, strict=True):
            found = self._errors(said, heard)
            for name in list(sums)[1:]:
                sums[name] += float(getattr(found, name))
        return sums

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Return the shares of words and of characters that are wrong."""
        return {
            "wer": sums["wrong_words"] / max(1.0, sums["words"]),
            "cer": sums["wrong_characters"] / max(1.0, sums["characters"]),
        }


class SpeechRows:
    """Recordings with transcripts as the loop sees them."""

    def __init__(
        self,
        rows: TokenRows,
        *,
        hear: Callable[[Sequence[Any], Sequence[np.random.Generator]], tuple[dict[str, Tensor], list[int], Any]],
        numbers: Callable[[Sequence[int]], list[int]],
        prompt: int,
        random: Callable[[int, int], np.random.Generator] | None = None,
    ) -> None:
        """``hear`` makes what the model reads of samples, with lengths and what is covered; ``numbers`` makes what it
        learns of a row's ids, of which ``prompt`` are not learned; ``random`` gives the random numbers of a row in an
        epoch, where recordings are varied.
        """
        self._rows = rows
        self.lengths = rows.lengths
        """(rows,) frames and tokens of each row."""
        self._hear = hear
        self._numbers = numbers
        self._prompt = prompt
        self._random = random
        self._trained = rows.trained()

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the tokens or characters that are learned."""
        return int(self._trained[list(rows)].sum())

    def batch(self, rows: Sequence[int], epoch: int = 0) -> SpeechBatch:
        """Make a batch of these rows."""
        assert self._rows.media is not None
        each = [self._rows.media[row] for row in rows]
        randoms = [] if self._random is None else [self._random(epoch, row) for row in rows]
        inputs, lengths, covered = self._hear([one.arrays[0] for one in each], randoms)
        said = [
            self._numbers(self._rows.row(row)[0][one.facts["frames"] :].tolist())
            for row, one in zip(rows, each, strict=True)
        ]
        texts = [str(one.facts["text"]) for one in each]
        return SpeechBatch(inputs, said, self._prompt, texts, lengths, covered, int(self.lengths[list(rows)].sum()))
