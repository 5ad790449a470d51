"""From recordings to rows: decoded, at the rate that the model hears, with a length in frames. No torch.

A transcript becomes the model's tokens where it writes text (Whisper), and code points where it spells (CTC): which
number a character has is decided when all training rows are known (``Vocabulary``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from tunesmith.data.media import payload, sounds
from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.parts.hearing import Hearing, hearing_of
from tunesmith.spec.errors import BadValue, KindRefused, NotALanguageModel, RowFault, UnreadableFile
from tunesmith.spec.examples import KINDS, Example, LabelledSound, Speech

VERSION: Final = 2
"""Raised when the same recording is read into something else."""
PAD, UNKNOWN, BLANK_BETWEEN = "<pad>", "<unk>", "|"
ENGLISH_ONLY: Final = 51864
"""Whisper's tokens where it knows English alone."""
VOCABULARY: Final = "vocab.json"
TOKENIZER: Final = "tokenizer_config.json"


class SoundEncoder:
    """Reads the recordings of a data set as a model hears them."""

    sampled = 100
    """Recordings that a plan looks at: decoding takes a hundredth of a second and more for each."""

    def __init__(self, model_dir: Path, *, language: str = "en", max_seconds: float | None = None) -> None:
        """Look at what the model hears and writes.

        Raises:
            BadValue: a language that the model does not know, or recordings that are longer than it hears.
        """
        self.hearing: Hearing = hearing_of(model_dir, max_seconds)
        self._folder = model_dir
        self._language = language
        if self.hearing.way == "mel":
            refuse_language(model_dir, language)

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same recording could be read as something else."""
        said = None
        if self.hearing.way == "mel" and (self._folder / "tokenizer.json").is_file():
            digest = hashlib.sha256((self._folder / "tokenizer.json").read_bytes()).hexdigest()
            said = [self._language if is_multilingual(self._folder) else "", digest]
        return json.dumps(["sound", VERSION, self.hearing.as_dict(), said])

    def __call__(self, example: Example) -> list[EncodedRow]:
        """Read one recording.

        Raises:
            RowFault: it cannot be read, is silent, too long or without words, or the row is not about a recording.
        """
        match example:
            case Speech():
                if self.hearing.way == "bands":
                    raise KindRefused(example.where, KINDS[Speech], "it tells sounds apart and writes nothing")
                heard = self._heard(example)
                length = self.hearing.length(len(heard))
                said = self._tokens(example, length)
                ids = [0] * length + said.ids
                mask = [False] * (length + said.prompt) + [True] * (len(said.ids) - said.prompt)
                return [EncodedRow(ids, mask, payload.pack({"frames": length, "text": example.text}, [heard]))]
            case LabelledSound():
                heard = self._heard(example)
                length = max(2, self.hearing.length(len(heard)))
                mask = [place == 1 for place in range(length)]
                return [EncodedRow([0] * length, mask, payload.pack({}, [heard]))]
        raise KindRefused(example.where, KINDS[type(example)], "it learns from recordings")

    def spell(self, ids: Sequence[int]) -> str:
        """Return what the numbers of a transcript say: tokens, special ones included, or characters."""
        if self.hearing.way == "mel":
            return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))
        return "".join(map(chr, ids))

    def _heard(self, example: Speech | LabelledSound) -> sounds.Samples:
        heard = sounds.decode(example.audio, example.where, self.hearing.rate, self.hearing.most_seconds)
        if self.hearing.length(len(heard)) < 1:
            raise RowFault(example.where, "audio", "the recording is too short for this model. Remove the row.")
        return heard

    def _tokens(self, example: Speech, frames: int) -> Said:
        if self.hearing.way == "mel":
            ids = [*self.prompt.ids, *self._tokenizer.encode(f" {example.text}", add_special_tokens=False).ids]
            found = Said([*ids, self.prompt.end], len(self.prompt.ids))
            most = int(read_json(self._folder / "config.json").get("max_target_positions", 448))
            if len(found.ids) > most:
                why = f"the transcript has {len(found.ids)} tokens, and the model writes {most}. Divide the recording."
                raise RowFault(example.where, "text", why)
            return found
        codes = [ord(character) for character in example.text]
        needed = len(codes) + sum(one == other for one, other in pairwise(codes))
        if needed > frames:
            why = f"the transcript needs {needed} frames, and the recording has {frames}. Is it the right one?"
            raise RowFault(example.where, "text", why)
        return Said(codes, 0)

    @cached_property
    def prompt(self) -> Prompt:
        """What Whisper is asked with."""
        return prompt_of(self._folder, self._language)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return tokenizer_of(self._folder)


@dataclass(frozen=True)
class Said:
    """A transcript as numbers; the first ``prompt`` of them are asked with and not learned."""

    ids: list[int]
    prompt: int


@dataclass(frozen=True)
class Prompt:
    """How Whisper is asked to write, and what it never writes."""

    ids: list[int]
    end: int
    never: list[int]
    never_first: list[int]


def prompt_of(model_dir: Path, language: str) -> Prompt:
    """Return the tokens with which a Whisper model is asked for what is said in a language.

    Raises:
        BadValue: the model does not know the language.
        NotALanguageModel: its tokenizer lacks the tokens that every Whisper has.
    """
    tokenizer, said = tokenizer_of(model_dir), read_json(model_dir / "generation_config.json")
    config = read_json(model_dir / "config.json")
    names = ["<|startoftranscript|>"]
    if is_multilingual(model_dir):
        refuse_language(model_dir, language)
        names += [f"<|{language}|>", "<|transcribe|>"]
    names += ["<|notimestamps|>", "<|endoftext|>"]
    known = {name: tokenizer.token_to_id(name) for name in names}
    ids = [number for number in known.values() if number is not None]
    if len(ids) < len(names):
        missing = next(name for name, number in known.items() if number is None)
        raise NotALanguageModel(str(model_dir), f"its tokenizer has no token {missing}, which Whisper is asked with")
    never = said.get("suppress_tokens", config.get("suppress_tokens")) or []
    first = said.get("begin_suppress_tokens", config.get("begin_suppress_tokens")) or []
    return Prompt(ids[:-1], ids[-1], [each for each in never if each >= 0], first)


def refuse_language(model_dir: Path, language: str) -> None:
    """Refuse a language that a Whisper model does not know.

    Raises:
        BadValue: it does not.
    """
    if not is_multilingual(model_dir):
        if language != "en":
            raise BadValue("--language", language, "en, or left out: this model knows English alone")
        return
    if tokenizer_of(model_dir).token_to_id(f"<|{language}|>") is None:
        raise BadValue("--language", language, "a language of the model by its two letters, such as en, de or zh")


def is_multilingual(model_dir: Path) -> bool:
    """Whether a Whisper model is told the language."""
    said = read_json(model_dir / "generation_config.json").get("is_multilingual")
    config = read_json(model_dir / "config.json")
    return said if isinstance(said, bool) else int(config.get("vocab_size", 0)) > ENGLISH_ONLY


def tokenizer_of(model_dir: Path) -> Tokenizer:
    """Return the tokenizer of a folder.

    Raises:
        NotALanguageModel: it has none.
        UnreadableFile: it is damaged.
    """
    file = model_dir / "tokenizer.json"
    if not file.is_file():
        raise NotALanguageModel(str(model_dir), "the folder has no tokenizer.json")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more special
        raise UnreadableFile(file, str(error)) from error


class Vocabulary:
    """The characters that a CTC model spells with."""

    def __init__(self, pieces: dict[str, int], said: dict[str, Any], *, own: bool) -> None:
        """``pieces`` are the numbers of the characters; ``own`` says that a model folder brought them."""
        self.pieces = pieces
        self.own = own
        self.blank = pieces[str(_content(said.get("pad_token")) or PAD)]
        self._unknown = pieces.get(str(_content(said.get("unk_token")) or UNKNOWN), self.blank)
        self._between = str(_content(said.get("word_delimiter_token")) or BLANK_BETWEEN)
        letters = "".join(piece for piece in pieces if len(piece) == 1)
        self._case = "upper" if letters.isupper() else "lower" if letters.islower() else ""
        special = {self.blank, self._unknown, *(pieces[name] for name in ("<s>", "</s>") if name in pieces)}
        self._texts = {number: " " if piece == self._between else piece for piece, number in pieces.items()}
        self._texts |= dict.fromkeys(special, "")

    @classmethod
    def of_folder(cls, model_dir: Path) -> Vocabulary | None:
        """Return the vocabulary that a model folder brings; None where it brings none."""
        pieces = read_json(model_dir / VOCABULARY)
        if pieces and all(isinstance(value, dict) for value in pieces.values()):
            pieces = pieces.get("eng") or next(iter(pieces.values()))  # one of several languages
        said = read_json(model_dir / TOKENIZER)
        blank = str(_content(said.get("pad_token")) or PAD)
        return cls(pieces, said, own=True) if pieces and blank in pieces else None

    @classmethod
    def of_codes(cls, codes: Iterable[int]) -> Vocabulary:
        """Make a vocabulary of the characters (code points) that occur in transcripts."""
        letters = sorted({chr(code) for code in codes if not chr(code).isspace()} - {BLANK_BETWEEN})
        names = [PAD, "<s>", "</s>", UNKNOWN, BLANK_BETWEEN, *letters]
        return cls({name: number for number, name in enumerate(names)}, {}, own=False)

    def ids(self, codes: Iterable[int]) -> list[int]:
        """Return the numbers of the characters of a transcript."""
        return [self._id(chr(code)) for code in codes]

    def lacks(self, codes: Iterable[int]) -> str:
        """Return the characters that it does not have."""
        return "".join(sorted(chr(code) for code in set(codes) if self._id(chr(code)) == self._unknown))

    def text(self, best: Sequence[int]) -> str:
        """Return what the best number of each frame spells: repeats count once, blanks not at all."""
        return " ".join(word for _, _, word in self.words(best))

    def words(self, best: Sequence[int]) -> list[tuple[int, int, str]]:
        """Return each word of it, with its first frame and the one after its last."""
        words: list[tuple[int, int, str]] = []
        begins = True
        for place, number in enumerate(best):
            letter = self._texts.get(number, "")
            if not letter or letter.isspace():
                begins = begins or bool(letter)
                continue
            first, _, word = (place, place, "") if begins else words.pop()
            repeated = not begins and number == best[place - 1]
            words.append((first, place + 1, word if repeated else word + letter))
            begins = False
        return words

    def write(self, folder: Path) -> None:
        """Write the files by which transformers knows it."""
        (folder / VOCABULARY).write_text(json.dumps(self.pieces, ensure_ascii=False, indent=2), encoding="utf-8")
        said = {
            "tokenizer_class": "Wav2Vec2CTCTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": UNKNOWN,
            "pad_token": PAD, "word_delimiter_token": BLANK_BETWEEN, "do_lower_case": False,
            "replace_word_delimiter_char": " ",
        }  # fmt: skip
        (folder / TOKENIZER).write_text(json.dumps(said, indent=2))

    def _id(self, character: str) -> int:
        if character.isspace() or character == BLANK_BETWEEN:
            return self.pieces.get(self._between, self._unknown)
        cased = (
            character.upper() if self._case == "upper" else character.lower() if self._case == "lower" else character
        )
        return self.pieces.get(character, self.pieces.get(cased, self._unknown))


def _content(token: object) -> object:
    return token.get("content") if isinstance(token, dict) else token
