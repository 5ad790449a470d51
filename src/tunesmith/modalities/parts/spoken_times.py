"""When what is said: the tokens of time that Whisper writes between others, and what the frames of CTC tell.

How such tokens follow each other, and from where a window is heard on, is told in the paper of Whisper
(https://arxiv.org/abs/2212.04356, sections 2.3 and 3.8) and done likewise by transformers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from tunesmith.modalities.chat_template import read_json

STEP: Final = 2
"""Frames of a hundredth of a second between a token of time and the next."""
FRAMES: Final = 100
"""Of a second."""
PAUSE: Final = 0.5
"""Seconds of silence that end a segment of a model that spells."""


@dataclass(frozen=True)
class Segment:
    """Something that is said, from when to when, in seconds."""

    start: float
    end: float
    text: str
    tokens: tuple[int, ...] = ()
    """Of a model that writes, those of time among them."""
    chance: float | None = None
    """Mean logarithm of the chances of the tokens that were written with it."""
    silence: float | None = None
    """Chance that nothing is said at all, by the same model."""


@dataclass
class Written:
    """What a model writes of a recording, and with which chances where times are asked for."""

    tokens: list[int] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    """Logarithms, that of the end among them."""
    silence: float | None = None

    @property
    def chance(self) -> float:
        """The mean of the logarithms."""
        return sum(self.chances) / max(1, len(self.chances))


@dataclass(frozen=True)
class Clock:
    """The tokens of time: ``first`` stands for the begin of a window, each one more for two hundredths of a second."""

    first: int
    end: int
    """Token that ends what is written, before which ordinary ones stand."""
    silence: int
    """Token whose chance before all others is that of silence."""
    latest: int | None
    """Place of the latest time that may come first."""

    def rule(self, logits: Tensor, written: Sequence[int]) -> None:
        """Leave in (tokens,) only what may follow: times come in pairs and never fall, and a likely one is taken."""
        logits[self.first - 1] = -torch.inf
        times = [token for token in written if token >= self.first]
        if not written:
            logits[: self.first] = -torch.inf
            if self.latest is not None:
                logits[self.first + self.latest + 1 :] = -torch.inf
        elif written[-1] >= self.first:
            opened = len(written) < 2 or written[-2] >= self.first
            if opened:
                logits[self.first :] = -torch.inf
            else:
                logits[: self.end] = -torch.inf
                logits[self.first : times[-1]] = -torch.inf
        if times and written[-1] < self.first:
            logits[self.first : times[-1] + 1] = -torch.inf
        chances = logits.log_softmax(-1)
        if chances[self.first :].logsumexp(-1) > chances[: self.first].max():
            logits[: self.first] = -torch.inf

    def divided(self, tokens: Sequence[int], frames: int) -> tuple[list[tuple[int, int, tuple[int, ...]]], int]:
        """Divide what is written of so many frames at its pairs of times; return the parts and where to hear on.

        A part is begin, end and its tokens; begin, end and the place to go on are frames. What follows the last pair
        is heard again from there, unless it ends with a time.
        """
        cuts = [place + 1 for place, pair in enumerate(pairwise(tokens)) if min(pair) >= self.first]
        if not cuts:
            times = [token for token in tokens if token >= self.first]
            begin, end = (self._frames(token) for token in (times[0], times[-1])) if times else (0, 0)
            return [(begin, end or frames, tuple(tokens))], frames
        ended = tokens[-1] >= self.first and tokens[-2] < self.first
        if ended:
            cuts.append(len(tokens))
        parts = [tuple(tokens[begin:end]) for begin, end in pairwise([0, *cuts])]
        on = frames if ended else self._frames(parts[-1][-1])
        return [(self._frames(part[0]), self._frames(part[-1]), part) for part in parts], on

    def _frames(self, token: int) -> int:
        return (token - self.first) * STEP


def clock_of(model_dir: Path, silent: int, end: int) -> Clock | None:
    """Return the clock of a Whisper model; ``silent`` is its token for "no times", which those of time follow.

    None where it has no tokens of time.
    """
    if int(read_json(model_dir / "config.json").get("vocab_size", 0)) <= silent + 1:
        return None
    latest = read_json(model_dir / "generation_config.json").get("max_initial_timestamp_index")
    return Clock(silent + 1, end, silent - 1, latest)


def segments_of(words: Sequence[tuple[int, int, str]], seconds: float) -> list[Segment]:
    """Join words that are spelled without a pause; each has its first frame and the one after its last.

    ``seconds`` is how long a frame lasts.
    """
    found: list[Segment] = []
    for begin, end, word in words:
        start, over = begin * seconds, end * seconds
        if found and start - found[-1].end < PAUSE:
            found[-1] = Segment(found[-1].start, over, f"{found[-1].text} {word}")
        else:
            found.append(Segment(start, over, word))
    return found


def told(windows: Sequence[tuple[float, Sequence[Segment]]]) -> dict[str, Any]:
    """Return what is said, and when, of windows with the seconds before each, as OpenAI's clients read it."""
    said = [(begin, segment) for begin, segments in windows for segment in segments]
    shown = [_shown(number, begin, segment) for number, (begin, segment) in enumerate(said)]
    return {"text": " ".join(segment.text for _, segment in said), "segments": shown}


def _shown(number: int, begin: float, segment: Segment) -> dict[str, Any]:
    times = {"start": round(begin + segment.start, 2), "end": round(begin + segment.end, 2)}
    text = segment.text.encode()
    shown = {"id": number, **times, "text": segment.text, "compression_ratio": len(text) / len(zlib.compress(text))}
    if segment.chance is not None:
        shown |= {"seek": round(begin * FRAMES), "tokens": list(segment.tokens), "temperature": 0.0}
        shown |= {"avg_logprob": segment.chance, "no_speech_prob": segment.silence}
    return shown
