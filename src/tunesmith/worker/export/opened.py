"""An export in the hands of its user: opened with the library that it is for, and asked.

``Opened`` is what a parity check needs of it; ``WithTransformers`` opens a model folder, or an adapter on its base,
with transformers and PEFT. The one of a GGUF file is ``llama_cpp.LlamaCpp``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from tunesmith.worker.export.replay import Replayed

LIKELIEST: Final = 256
"""Tokens whose chances are compared one by one; the others are compared as one."""
REPLY: Final = 32
"""Tokens of an answer that is written to see whether it ends."""
TOGETHER: Final = 10
"""Answers that transformers writes at once."""


@dataclass(frozen=True)
class Chances:
    """What may come next: the likeliest tokens, best first, and the logarithm of the chance of each."""

    tokens: Tensor
    logs: Tensor


@dataclass(frozen=True)
class Reply:
    """How an answer went that was written without drawing, in at most ``REPLY`` tokens."""

    ended: bool
    """Whether the model ended it by itself."""
    text: str


class Opened(Protocol):
    """An export that was opened as its user would."""

    @property
    def by(self) -> str:
        """What opened it, with its version."""
        ...

    def prompt(self, row: Replayed) -> list[int]:
        """Make the tokens of a prompt with what the export brings, its tokenizer and its template."""
        ...

    def chances(self, row: Replayed) -> list[Chances]:
        """Return what may come next at each of the row's places."""
        ...

    def replies(self, rows: Sequence[Replayed]) -> list[Reply]:
        """Write the answer to each prompt, as users ask for it."""
        ...

    def ends_at(self, tokens: Iterable[int]) -> bool:
        """Whether an answer ends at each of these tokens."""
        ...

    def close(self) -> None:
        """Free its memory."""
        ...


def likeliest(logits: Tensor) -> Chances:
    """Return the chances that logits, (vocabulary), speak of."""
    logs = logits.float().log_softmax(-1)
    best = logs.topk(min(LIKELIEST, len(logs)))
    return Chances(best.indices, best.values)


class WithTransformers:
    """A model folder, opened by transformers' Auto classes; its files alone decide."""

    def __init__(self, folder: Path, model: Any) -> None:
        """Take a loaded model; ``folder`` holds what goes with it."""
        import transformers

        self.by = f"transformers {transformers.__version__}"
        self._model = model.eval()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._ends = _ends(folder, model)

    def prompt(self, row: Replayed) -> list[int]:
        """As ``Opened``."""
        if row.messages is None:
            return list(self._tokenizer(row.text)["input_ids"])
        made = self._tokenizer.apply_chat_template(
            row.messages, tools=row.tools, add_generation_prompt=True, tokenize=True, return_dict=True
        )
        return list(made["input_ids"])

    def chances(self, row: Replayed) -> list[Chances]:
        """As ``Opened``."""
        logits = logits_of(self._model, row)
        return [likeliest(each) for each in logits]

    def replies(self, rows: Sequence[Replayed]) -> list[Reply]:
        """As ``Opened``."""
        found = written(self._model, [row.prompt for row in rows], self._ends)
        return [Reply(ended, str(self._tokenizer.decode(ids, skip_special_tokens=True))) for ids, ended in found]

    def ends_at(self, tokens: Iterable[int]) -> bool:
        """As ``Opened``."""
        return set(tokens) <= self._ends

    def close(self) -> None:
        """As ``Opened``."""
        self._model = None


def logits_of(model: Any, row: Replayed) -> Tensor:
    """Return what a model says at the places of a row, (places, vocabulary), or of the row as a whole, (1, classes)."""
    with torch.no_grad():
        logits: Tensor = model(input_ids=torch.tensor([row.row])).logits[0].float()
    return logits[row.places] if logits.dim() == 2 else logits.unsqueeze(0)


def written(model: Any, prompts: Sequence[Sequence[int]], ends: set[int]) -> list[tuple[list[int], bool]]:
    """Write answers without drawing; return the tokens of each, without the one that ended it, and whether one did."""
    groups = [prompts[start : start + TOGETHER] for start in range(0, len(prompts), TOGETHER)]
    return [answer for group in groups for answer in _written(model, group, ends)]


def _written(model: Any, prompts: Sequence[Sequence[int]], ends: set[int]) -> list[tuple[list[int], bool]]:
    """Write some answers at once, over prompts that are padded on the left."""
    longest, fill = max(map(len, prompts)), min(ends, default=0)
    ids = torch.tensor([[fill] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    seen = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with torch.no_grad():
        made = model.generate(
            input_ids=ids, attention_mask=seen, do_sample=False, max_new_tokens=REPLY,
            eos_token_id=sorted(ends) or None, pad_token_id=fill, repetition_penalty=1.0,
        )  # fmt: skip
    answers = []
    for row in made[:, longest:].tolist():
        stop = next((place for place, token in enumerate(row) if token in ends), None)
        answers.append((row[:stop], stop is not None))
    return answers


def _ends(folder: Path, model: Any) -> set[int]:
    """Return the tokens at which ``generate`` stops: those of the folder's generation_config.json, else the model's."""
    from transformers import GenerationConfig

    own = (folder / "generation_config.json").is_file()
    config = GenerationConfig.from_pretrained(folder) if own else getattr(model, "generation_config", None)
    ends = getattr(config, "eos_token_id", None)
    return set(ends if isinstance(ends, list) else [] if ends is None else [ends])
