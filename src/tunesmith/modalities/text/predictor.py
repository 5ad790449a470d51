"""Models that answer: what each task asks before and after its training, and a loaded model that writes.

- How a task shows what it has learned is a ``Respondent``: ``Conversing`` (chat, DPO), ``Continuing`` (running text),
  ``Classifying`` and ``Silent`` (``parts/asking.py``). A task's builder names its own; another way to ask is a class
  of two methods here.
- ``load_predictor`` and ``TextPredictor`` are for `chat`, `generate` and the completions: a result that writes, token
  by token. What writes none is refused (``SILENT``).
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from tunesmith.generation.drawing import choose
from tunesmith.generation.text import Detokenizer, first_of, possible_start
from tunesmith.modalities.adapter_fit import check_adapter
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.parts.asking import Question
from tunesmith.modalities.text import MODALITY
from tunesmith.modalities.text.families import family_for
from tunesmith.spec.errors import PromptTooLong, Where, WritesNoText
from tunesmith.spec.examples import Conversation, LabelledText, Message, Preference, PromptCompletion
from tunesmith.spec.sampling import Sampling
from tunesmith.training.loading import load_model

SILENT = {
    end: task.does
    for task in MODALITY.tasks
    if not task.writes
    for end in (task.loader.removeprefix("AutoModel"), task.peft)
    if end
}
"""Ends of the names of architectures, and of PEFT's tasks, that do not write, and what they do."""
SHOWN = 200
"""Characters of a text that a sample shows."""
SAMPLED = Sampling(max_tokens=64, temperature=0.0)
"""How the answers before and after training are written."""


class Tokens(Protocol):
    """What a predictor needs of a text encoder."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        ...

    def prompt(self, messages: Conversation | Sequence[Message]) -> list[int]:
        """Render a conversation up to where the assistant speaks."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Turn tokens into text, without special tokens."""
        ...


class Conversing:
    """Conversations up to their last answer."""

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Ask for the last answer of a conversation, or the better one of two; a prompt is what the user says."""
        spoken = [self._question(example) for example in held_out if isinstance(example, Conversation | Preference)]
        return [*spoken[:count], *(Question(prompt, "", (Message("user", prompt),)) for prompt in prompts)]

    def answers(self, model: Any, encoder: Any, questions: Sequence[Question]) -> list[str]:
        """Answer without drawing."""
        return TextPredictor(model, encoder).answers([question.asked for question in questions], SAMPLED)

    @staticmethod
    def _question(example: Conversation | Preference) -> Question:
        turns = example.messages if isinstance(example, Conversation) else (*example.messages, *example.chosen)
        last = max(place for place, turn in enumerate(turns) if turn.role == "assistant")
        shown = next((turn.content for turn in reversed(turns[:last]) if turn.role == "user"), "")
        expected = turns[last].content or turns[last].tool_calls
        return Question(shown, expected, Conversation(turns[:last], example.where, example.tools))


class Continuing:
    """Beginnings of texts: those of held-out completions, and those that the user gives."""

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Ask how each prompt goes on."""
        begun = [example for example in held_out if isinstance(example, PromptCompletion)][:count]
        asked = [Question(example.prompt, example.completion, example.prompt) for example in begun]
        return [*asked, *(Question(prompt, "", prompt) for prompt in prompts)]

    def answers(self, model: Any, encoder: Any, questions: Sequence[Question]) -> list[str]:
        """Continue without drawing."""
        predictor = TextPredictor(model, encoder)
        return ["".join(predictor.answer(encoder.text(question.asked), SAMPLED)).strip() for question in questions]


class Classifying:
    """Texts whose class is asked for."""

    def __init__(self, classes: Sequence[str], length: int) -> None:
        """``length`` is what the model reads of a text, in tokens."""
        self._classes = list(classes)
        self._length = length

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Ask for the class of held-out texts and of the prompts."""
        texts = [example for example in held_out if isinstance(example, LabelledText)][:count]
        asked = [Question(_short(example.text), example.label, example.text) for example in texts]
        return [*asked, *(Question(_short(prompt), "", prompt) for prompt in prompts)]

    def answers(self, model: Any, encoder: Any, questions: Sequence[Question]) -> list[str]:
        """Name the likeliest class of each."""
        device = next(model.parameters()).device
        named = []
        for question in questions:
            [row] = encoder(LabelledText(question.asked, "", Where("prompt", 1)))
            ids = torch.tensor([row.ids[: self._length]], device=device)
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            named.append(self._classes[int(logits[0].argmax())])
        return named


def load_predictor(
    model_dir: Path, *, encoder: Tokens, adapter: Path | None = None, device: str = "cpu", precision: str = "fp32"
) -> TextPredictor:
    """Load a model folder, and an adapter onto it, ready to answer.

    Raises:
        AdapterMismatch: the adapter's shapes are not those of the model.
        NotALanguageModel: transformers has no causal language model for the folder.
    """
    for folder in (adapter, model_dir):
        if folder is not None:
            refuse_silent(folder)
    if adapter is not None:
        check_adapter(adapter, model_dir)
    model = load_model(model_dir, precision)
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter))
    return TextPredictor(model.to(device).eval(), encoder)


def refuse_silent(folder: Path) -> None:
    """Refuse what was trained to tell classes apart or to fill in words: its head for writing would be made up.

    Raises:
        WritesNoText: the folder holds such a model or adapter.
    """
    config = read_json(folder / "config.json")
    kinds = [read_json(folder / "adapter_config.json").get("task_type") or "", *(config.get("architectures") or [])]
    for kind in map(str, kinds):
        for end, does in SILENT.items():
            if kind.endswith(end):
                raise WritesNoText(folder.name, f"{does} and writes no text")
    writes = any(str(kind).endswith(("ForCausalLM", "LMHeadModel")) for kind in kinds)
    if family_for(str(config.get("model_type", ""))).kind == "encoder" and not writes:
        raise WritesNoText(folder.name, "sees both sides of a text and writes none")


class TextPredictor:
    """Answers with a model that is in memory: one that was loaded, or one in the middle of its training."""

    def __init__(self, model: Any, encoder: Tokens) -> None:
        self._model = model
        self._encoder = encoder
        self.limit = int(getattr(model.config, "max_position_embeddings", 0) or 0) or None
        """Positions that the model can see, in tokens; None where its configuration does not say."""

    def answer(self, ids: Sequence[int], sampling: Sampling) -> Answer:
        """Answer a prompt's tokens; iterate over the result for the text, piece by piece, as it comes.

        Raises:
            PromptTooLong: the model sees fewer tokens than the prompt has.
        """
        if self.limit is not None and len(ids) >= self.limit:
            raise PromptTooLong(len(ids), self.limit)
        room = sampling.max_tokens if self.limit is None else min(sampling.max_tokens, self.limit - len(ids))
        tokens = generate(self._model, ids, sampling)
        return Answer(tokens, self._encoder, limit=room, stop=sampling.stop, prompt_tokens=len(ids))

    def answers(self, prompts: Iterable[Conversation | Sequence[Message]], sampling: Sampling) -> list[str]:
        """Answer each conversation, and leave the model in the mode that it was in."""
        was_training = self._model.training
        self._model.eval()
        try:
            return ["".join(self.answer(self._encoder.prompt(turns), sampling)).strip() for turns in prompts]
        finally:
            self._model.train(was_training)


class Answer(Iterator[str]):
    """The pieces of one answer. Closing it, or dropping it, ends the computation."""

    def __init__(
        self, tokens: Iterator[int], encoder: Tokens, *, limit: int, stop: Sequence[str] = (), prompt_tokens: int = 0
    ) -> None:
        self.prompt_tokens = prompt_tokens
        self.tokens = 0
        """Tokens generated so far, the one that ended the answer included."""
        self.finish_reason: str | None = None
        """stop or length, once the answer is complete."""
        self._pieces = self._read(tokens, encoder, limit, tuple(text for text in stop if text))

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """End the answer here."""
        self._pieces.close()

    def _read(
        self, tokens: Iterator[int], encoder: Tokens, limit: int, stop: Sequence[str]
    ) -> Generator[str, None, None]:
        detokenizer = Detokenizer(encoder.decode)
        held = ""
        for token in tokens:
            self.tokens += 1
            ended = token in encoder.stop_ids
            held += detokenizer.flush() if ended else detokenizer.add(token)
            place = first_of(stop, held)
            if place is not None or ended:
                self.finish_reason = "stop"
                yield from _nonempty(held[:place])
                return
            if self.tokens >= limit:
                break
            keep = possible_start(stop, held)
            yield from _nonempty(held[: len(held) - keep])
            held = held[len(held) - keep :]
        held += detokenizer.flush()
        place = first_of(stop, held)
        self.finish_reason = "length" if place is None else "stop"
        yield from _nonempty(held[:place])


def generate(model: Any, ids: Sequence[int], sampling: Sampling) -> Iterator[int]:
    """Yield tokens without end, each computed from the ones before with a key-value cache."""
    device = next(model.parameters()).device
    chooser = torch.Generator(device="cpu")
    if sampling.seed is None:
        chooser.seed()
    else:
        chooser.manual_seed(sampling.seed)
    step = torch.tensor([list(ids)], device=device)
    last_only = _last_logits_only(model)
    cache = None
    while True:
        with torch.inference_mode():
            output = model(input_ids=step, past_key_values=cache, use_cache=True, **last_only)
            token = choose(output.logits[0, -1].float().cpu(), sampling, chooser)
        cache = output.past_key_values
        yield token
        step = torch.tensor([[token]], device=device)


def _last_logits_only(model: Any) -> dict[str, int]:
    """Return the argument that spares the prompt's logits, (tokens x vocabulary) numbers, where the model has it."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(base.forward).parameters else {}


def _nonempty(text: str) -> Iterator[str]:
    if text:
        yield text


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}…"
