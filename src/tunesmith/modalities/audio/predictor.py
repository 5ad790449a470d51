"""Models of recordings that answer: with what is said (``Writer``, ``Speller``), or with classes.

Training measures words and characters by the same decoding that serves: the best token after the other for a model
that writes, the best character of each frame for one that spells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from tunesmith.data.media import payload
from tunesmith.data.media.sounds import SILENT, samples_of
from tunesmith.modalities.audio.encode import (
    Prompt,
    Vocabulary,
    is_multilingual,
    prompt_of,
    refuse_language,
    tokenizer_of,
)
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.parts.adapter_layers import refuse_other
from tunesmith.modalities.parts.asking import Question
from tunesmith.modalities.parts.hearing import Hearing, hearing_of
from tunesmith.modalities.parts.sound_batches import HOP, Ears, Samples
from tunesmith.modalities.parts.spoken_times import (
    FRAMES,
    STEP,
    Clock,
    Segment,
    Written,
    clock_of,
    segments_of,
    told,
)
from tunesmith.spec.errors import NotALanguageModel, UnreadableMedia, Where
from tunesmith.spec.examples import Speech
from tunesmith.training.forward import inner
from tunesmith.training.loading import load_sound_classifier, load_speller, load_writer_of_speech
from tunesmith.training.precision import DTYPES
from tunesmith.training.transcription import SpeechBatch

SEARCHED_SECONDS: Final = 5.0
"""End of a window in which the quietest place is looked for, where a long recording is divided."""
BLOCK_SECONDS: Final = 0.1
LISTED: Final = 5
"""Classes that an answer names, unless more are asked for."""
RUNS_ON: Final = 32
"""Tokens beyond three times those of the longest transcript, after which a measured answer that runs on is stopped."""


class Writer:
    """A model that hears a whole window and then writes, such as Whisper."""

    def __init__(self, model: Any, prompt: Prompt, tokenizer: Tokenizer) -> None:
        self._model = model
        self.prompt = prompt
        self._tokenizer = tokenizer

    @property
    def longest(self) -> int:
        """Tokens that it writes at most."""
        return int(inner(self._model).config.max_target_positions) - len(self.prompt.ids)

    def loss(self, batch: SpeechBatch) -> Tensor:
        """Sum the cross entropy of the tokens that follow the prompt, in nats."""
        return self._loss(self._states(batch.inputs), batch)

    def heard(self, batch: SpeechBatch) -> tuple[Tensor, list[str]]:
        """Return the same sum, and what the model writes by itself."""
        states = self._states(batch.inputs)
        most = 3 * max(len(each) - batch.prompt for each in batch.said) + RUNS_ON
        return self._loss(states, batch), self._written(states, min(most, self.longest), self.prompt)

    def texts(self, inputs: dict[str, Tensor], prompt: Prompt | None = None) -> list[str]:
        """Write down what is said in recordings."""
        return self._written(self._states(inputs), self.longest, prompt or self.prompt)

    def timed(self, features: Tensor, frames: int, prompt: Prompt, clock: Clock) -> list[Segment]:
        """Write down what is said in a window of so many frames, and when: seconds from its begin.

        ``features`` is (1, bands, frames); what follows the last pair of times is heard once more from there.
        """
        asked = replace(prompt, ids=prompt.ids[:-1])
        found: list[Segment] = []
        begin = 0
        while begin < frames:
            rest = nn.functional.pad(features[..., begin:], (0, begin))
            [written] = self._tokens(self._states({"input_features": rest}), self.longest + 1, asked, clock)
            parts, on = clock.divided(written.tokens, frames - begin)
            for start, end, tokens in parts:
                text = self._text([token for token in tokens if token < clock.first])
                times = (begin + start) / FRAMES, (begin + end) / FRAMES
                found.append(Segment(*times, text, tokens, written.chance, written.silence))
            begin += max(STEP, on)
        return [segment for segment in found if segment.text]

    def _states(self, inputs: dict[str, Tensor]) -> Tensor:
        encoder = inner(self._model).model.encoder
        states: Tensor = encoder(inputs["input_features"].to(encoder.conv1.weight.dtype)).last_hidden_state
        return states

    def _loss(self, states: Tensor, batch: SpeechBatch) -> Tensor:
        model = inner(self._model)
        longest = max(map(len, batch.said)) - 1
        ids = torch.full((len(batch.said), longest), self.prompt.end, dtype=torch.int64)
        learned = torch.zeros(len(batch.said), longest, dtype=torch.bool)
        for row, said in enumerate(batch.said):
            ids[row, : len(said) - 1] = torch.tensor(said[:-1])
            learned[row, batch.prompt - 1 : len(said) - 1] = True
        targets = torch.tensor([token for said in batch.said for token in said[batch.prompt :]], device=states.device)
        hidden = model.model.decoder(
            input_ids=ids.to(states.device), encoder_hidden_states=states, use_cache=False
        ).last_hidden_state
        logits = model.proj_out(hidden[learned.to(states.device)]).float()
        return nn.functional.cross_entropy(logits, targets, reduction="sum")

    def _written(self, states: Tensor, most: int, prompt: Prompt) -> list[str]:
        return [self._text(each.tokens) for each in self._tokens(states, most, prompt)]

    def _text(self, tokens: Sequence[int]) -> str:
        return " ".join(self._tokenizer.decode(list(tokens), skip_special_tokens=True).split())

    @torch.no_grad()
    def _tokens(self, states: Tensor, most: int, prompt: Prompt, clock: Clock | None = None) -> list[Written]:
        """Take the best token after the other, until all have ended; with a ``clock`` tokens of time among them."""
        model, rows = inner(self._model), len(states)
        ids = torch.tensor([prompt.ids] * rows, device=states.device)
        written = [Written() for _ in range(rows)]
        ended, cache = torch.zeros(rows, dtype=torch.bool, device=states.device), None
        for step in range(most):
            out = model.model.decoder(
                input_ids=ids, encoder_hidden_states=states, past_key_values=cache, use_cache=True
            )
            cache = out.past_key_values
            logits = model.proj_out(out.last_hidden_state[:, -1]).float()
            logits[:, [*prompt.never, *(prompt.never_first if step == 0 else [])]] = -torch.inf
            if clock is not None:
                if step == 0:
                    before = model.proj_out(out.last_hidden_state[:, 0]).float().softmax(-1)[:, clock.silence]
                    for each, silence in zip(written, before.tolist(), strict=True):
                        each.silence = silence
                for row, each in enumerate(written):
                    clock.rule(logits[row], each.tokens)
                    if not ended[row]:
                        each.chances.append(float(logits[row].log_softmax(-1).max()))
            best = logits.argmax(-1)
            ended |= best == prompt.end
            if bool(ended.all()):
                break
            for row, token in enumerate(best.tolist()):
                if not ended[row]:
                    written[row].tokens.append(token)
            ids = best.unsqueeze(1)
        return written


class Speller:
    """A model that says of each frame which character is heard (CTC), such as Wav2Vec2."""

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._call = InFormat(model)

    def loss(self, batch: SpeechBatch) -> Tensor:
        """Sum the CTC loss of the transcripts, in nats."""
        return self._loss(self._logits(batch.inputs, batch.covered), batch)

    def heard(self, batch: SpeechBatch) -> tuple[Tensor, list[str]]:
        """Return the same sum, and what the best characters of all frames spell."""
        logits = self._logits(batch.inputs)
        return self._loss(logits, batch), self._spelled(logits, batch.lengths)

    def texts(self, inputs: dict[str, Tensor], lengths: Sequence[int]) -> list[str]:
        """Spell what is said in recordings of so many frames."""
        with torch.no_grad():
            return self._spelled(self._logits(inputs), lengths)

    def words(self, inputs: dict[str, Tensor], lengths: Sequence[int]) -> list[list[tuple[int, int, str]]]:
        """Spell it word by word, each from its first frame to the one after its last."""
        best = self._logits(inputs).argmax(-1).tolist()
        return [self._vocabulary.words(each[:length]) for each, length in zip(best, lengths, strict=True)]

    def _logits(self, inputs: dict[str, Tensor], covered: Tensor | None = None) -> Tensor:
        hidden = {} if covered is None else {"covered": covered}
        logits: Tensor = self._call(**inputs, **hidden).logits
        return logits.float()

    def _loss(self, logits: Tensor, batch: SpeechBatch) -> Tensor:
        targets = torch.tensor([number for said in batch.said for number in said])
        return nn.functional.ctc_loss(
            logits.log_softmax(-1).transpose(0, 1),
            targets.to(logits.device),
            torch.tensor(batch.lengths),
            torch.tensor([len(said) for said in batch.said]),
            blank=self._vocabulary.blank,
            reduction="sum",
            zero_infinity=True,
        )

    def _spelled(self, logits: Tensor, lengths: Sequence[int]) -> list[str]:
        best = logits.argmax(-1).tolist()
        return [self._vocabulary.text(each[:length]) for each, length in zip(best, lengths, strict=True)]


class InFormat:
    """Calls a model with recordings in the number format of its weights, some of its frames hidden where asked."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._covered: Tensor | None = None
        found = inner(model)
        if hasattr(found.config, "apply_spec_augment"):
            found.config.apply_spec_augment = False  # transformers draws what it covers from a generator of its own
        part = getattr(getattr(found, found.base_model_prefix, None), "feature_projection", None)
        if part is not None:
            part.register_forward_hook(self._cover)

    def __call__(self, *, covered: Tensor | None = None, **inputs: Tensor) -> Any:
        """``covered`` is (recordings, frames) bool, for models that read samples."""
        dtype = next(each.dtype for each in inner(self._model).parameters() if each.is_floating_point())
        self._covered = covered
        try:
            return self._model(
                **{name: each.to(dtype) if each.is_floating_point() else each for name, each in inputs.items()}
            )
        finally:
            self._covered = None

    def _cover(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Put the vector that stands for hidden frames in their place, where there is anything to hide."""
        if self._covered is None:
            return output
        found = inner(self._model)
        states = output[0] if isinstance(output, tuple) else output
        mark = getattr(getattr(found, found.base_model_prefix), "masked_spec_embed", states.new_zeros(()))
        states = torch.where(self._covered.unsqueeze(-1), mark.to(states.dtype), states)
        return (states, *output[1:]) if isinstance(output, tuple) else states


class Hearer(Protocol):
    """What asks a model before and after its training."""

    def __call__(self, samples: Samples) -> str:
        """Return what is said in a recording."""
        ...


class Transcribing:
    """Shows what a model writes down of recordings that were held out."""

    def __init__(self, hear: Hearer) -> None:
        self._hear = hear

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Take the first recordings; a prompt of the user's is text, which these models do not hear."""
        chosen = [example for example in held_out if isinstance(example, Speech)][:count]
        return [Question(Path(example.audio).name, example.text, example) for example in chosen]

    def answers(self, model: Any, encoder: Any, questions: Sequence[Question]) -> list[str]:
        """Write each of them down."""
        rows = [encoder(question.asked)[0] for question in questions]
        held = [payload.unpack(np.frombuffer(row.media, np.uint8)) for row in rows]
        return [self._hear(each.arrays[0]) for each in held]


@dataclass(frozen=True)
class Window:
    """A part of a recording that a model hears at once."""

    begin: float
    """Seconds of the recording before it."""
    samples: Samples


class Listener(Protocol):
    """What a kind of model makes of the windows of a recording."""

    def __call__(self, parts: list[Window], options: dict[str, Any]) -> dict[str, Any]:
        """Return what is heard, as ``SoundPredictor.predict`` does."""
        ...


class SoundPredictor:
    """A loaded model that says what it hears."""

    def __init__(self, hearing: Hearing, ears: Ears, listener: Listener) -> None:
        self.hearing = hearing
        self.ears = ears
        self.listener = listener

    def predict(self, content: bytes, **options: Any) -> dict[str, Any]:
        """Return what is heard in the bytes of a sound file; a long one is heard window by window.

        ``{"text": ...}`` of what is said, ``{"labels": [{"label", "score"}]}`` of what it is of. Options: ``language``
        of those that write in many, ``top_k`` of those that tell classes apart, ``times`` to be told when what is said:
        ``segments``, where the model knows, and the ``duration`` of the recording in seconds.

        Raises:
            UnreadableMedia: it is no recording that can be read.
        """
        try:
            samples = samples_of(content, self.hearing.rate)
        except ValueError as error:
            raise UnreadableMedia(Where("the upload", 1), "the recording", str(error)) from None
        with torch.no_grad():
            found = self.listener(list(windows(samples, self.hearing)), options)
        return {**found, "duration": round(len(samples) / self.hearing.rate, 3)} if options.get("times") else found


class Writing:
    """Whisper and its like."""

    def __init__(self, ears: Ears, writer: Writer, folder: Path, language: str) -> None:
        """``language`` is what is spoken where nobody says it."""
        self._ears = ears
        self.writer = writer
        self._folder = folder
        self._language = language

    def __call__(self, parts: list[Window], options: dict[str, Any]) -> dict[str, Any]:
        """Return what is heard."""
        language = options.get("language")
        prompt = self.writer.prompt
        if language is not None:
            refuse_language(self._folder, str(language))
            if is_multilingual(self._folder):
                prompt = prompt_of(self._folder, str(language))
        clock = clock_of(self._folder, prompt.ids[-1], prompt.end) if options.get("times") else None
        if clock is not None:
            found = [(part.begin, self._timed(part, prompt, clock)) for part in parts]
            return {**told(found), "language": language or self._language}
        texts = [self.writer.texts(self._ears.inputs([part.samples]), prompt)[0] for part in parts]
        return {"text": " ".join(text for text in texts if text)}

    def _timed(self, part: Window, prompt: Prompt, clock: Clock) -> list[Segment]:
        features = self._ears.inputs([part.samples])["input_features"]
        frames = min(features.shape[-1], -(-len(part.samples) // HOP))
        found, over = self.writer.timed(features, frames, prompt, clock), frames / FRAMES
        return [replace(segment, end=min(segment.end, over)) for segment in found if segment.start < over]


class Spelling:
    """Wav2Vec2 and its like."""

    def __init__(self, ears: Ears, speller: Speller, frame: float) -> None:
        """``frame`` is how many seconds a frame lasts."""
        self._ears = ears
        self._speller = speller
        self._frame = frame

    def __call__(self, parts: list[Window], options: dict[str, Any]) -> dict[str, Any]:
        """Return what is heard."""
        found = [(part.begin, self._spelled(part.samples)) for part in parts]
        said = told(found)
        return said if options.get("times") else {"text": said["text"]}

    def _spelled(self, heard: Samples) -> list[Segment]:
        [words] = self._speller.words(self._ears.inputs([heard]), self._ears.lengths([heard]))
        return segments_of(words, self._frame)


class Classing:
    """What tells classes apart; of several windows the mean counts."""

    def __init__(self, ears: Ears, model: Any, classes: Sequence[str]) -> None:
        self._ears = ears
        self._call = InFormat(model)
        self._classes = classes

    def __call__(self, parts: list[Window], options: dict[str, Any]) -> dict[str, Any]:
        """Return what is heard."""
        if not parts:
            raise UnreadableMedia(Where("the upload", 1), "the recording", "it is silent")
        scores = torch.stack(
            [self._call(**self._ears.inputs([part.samples])).logits[0].float().softmax(-1) for part in parts]
        ).mean(0)
        best = scores.topk(min(int(options.get("top_k", LISTED)), len(self._classes)))
        found = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return {"labels": [{"label": self._classes[place], "score": score} for score, place in found]}


def windows(samples: Samples, hearing: Hearing) -> Iterator[Window]:
    """Divide a recording at quiet places into parts that the model can hear at once; silent ones are left out."""
    size, block = int(hearing.most_seconds * hearing.rate), int(BLOCK_SECONDS * hearing.rate)
    searched = int(min(SEARCHED_SECONDS, hearing.most_seconds / 4) * hearing.rate)
    begin = 0
    while begin < len(samples):
        end = min(len(samples), begin + size)
        if end < len(samples):
            last = samples[end - searched : end].astype(np.float32)
            blocks = last[: len(last) // block * block].reshape(-1, block)
            end = end - searched + (int((blocks**2).mean(1).argmin()) * block + block // 2)
        part = samples[begin:end]
        audible = int(np.abs(part.astype(np.int32)).max()) >= SILENT * 32768
        if audible and hearing.length(len(part)) > 0:
            yield Window(begin / hearing.rate, part)
        begin = end


def load_predictor(
    model_dir: Path, adapter: Path | None = None, device: str | torch.device = "cpu", precision: str = "fp32"
) -> SoundPredictor:
    """Load a result, or a base model with the ``adapter`` that was trained on it.

    Raises:
        NotALanguageModel: the folder holds no model that says what it hears.
    """
    place, folder = torch.device(device), adapter or model_dir
    hearing = hearing_of(model_dir)
    ears = Ears(hearing, place)
    kind = _kind(model_dir, adapter)
    if kind == "classes":
        classes = _classes(model_dir, adapter)
        model = _ready(
            load_sound_classifier(model_dir, precision, classes, 0).model, adapter, model_dir, place, precision
        )
        return SoundPredictor(hearing, ears, Classing(ears, model, classes))
    if kind == "writes":
        model = _ready(load_writer_of_speech(model_dir, precision).model, adapter, model_dir, place, precision)
        language = _trained_language(folder)
        spoken = language if is_multilingual(model_dir) else "en"
        writer = Writer(model, prompt_of(model_dir, spoken), tokenizer_of(model_dir))
        writing = Writing(ears, writer, model_dir, spoken)
        return SoundPredictor(hearing, ears, writing)
    vocabulary = Vocabulary.of_folder(folder) or Vocabulary.of_folder(model_dir)
    if vocabulary is None:
        raise NotALanguageModel(str(folder), "it has no vocab.json, so nothing can be spelled with it")
    loaded = load_speller(model_dir, precision, 0, len(vocabulary.pieces), vocabulary.blank, own=adapter is None)
    speller = Speller(_ready(loaded.model, adapter, model_dir, place, precision), vocabulary)
    return SoundPredictor(hearing, ears, Spelling(ears, speller, hearing.frame_seconds))


def _kind(model_dir: Path, adapter: Path | None) -> str:
    """Return what a model does: writes, spells or classes."""
    task = _info(adapter or model_dir).get("task")
    config = read_json(model_dir / "config.json")
    named = str((config.get("architectures") or [""])[0])
    if task == "audio-classification" or (task is None and named.endswith("Classification")):
        return "classes"
    if config.get("model_type") == "whisper":
        return "writes"
    if task == "speech-recognition" or named.endswith("CTC"):
        return "spells"
    why = "its model makes vectors of sounds; train it for speech-recognition or audio-classification first"
    raise NotALanguageModel(str(model_dir), why)


def _classes(model_dir: Path, adapter: Path | None) -> list[str]:
    if adapter is not None:
        return [str(name) for name in _info(adapter).get("classes", [])]
    named = read_json(model_dir / "config.json").get("id2label") or {}
    return [str(name) for _, name in sorted(named.items(), key=lambda each: int(each[0]))]


def _info(folder: Path) -> dict[str, Any]:
    return read_json(folder / "adapter_info.json") or read_json(folder / "model_info.json")


def _trained_language(folder: Path) -> str:
    options = (_info(folder).get("training_config") or {}).get("options") or {}
    return str(options.get("language") or "en")


def _ready(model: Any, adapter: Path | None, model_dir: Path, device: torch.device, precision: str) -> Any:
    if adapter is not None:
        from peft import PeftModel

        refuse_other(model, adapter, model_dir)
        model = PeftModel.from_pretrained(model, str(adapter))
    return model.to(device, DTYPES[precision]).eval()
