from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from made_sounds import make_wav2vec2, make_whisper, tones, write_sound
from tunesmith.data.media.payload import unpack
from tunesmith.modalities.audio.encode import SoundEncoder, Vocabulary
from tunesmith.service.datasets.preview import bracketed
from tunesmith.spec.errors import BadValue, KindRefused, NotALanguageModel, RowFault, Where
from tunesmith.spec.examples import LabelledSound, PlainText, Speech

WHERE = Where("rows.csv", 2)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wav2vec2(tmp_path_factory.mktemp("wav2vec2"))


@pytest.fixture
def sound(tmp_path: Path) -> str:
    return str(write_sound(tmp_path / "a.wav", tones("abcdef")))


def test_whisper_learns_what_follows_the_prompt(whisper: Path, sound: str) -> None:
    encoder = SoundEncoder(whisper)
    row = encoder(Speech(sound, "Hi", WHERE))[0]
    said = [encoder._tokenizer.id_to_token(number) for number in row.ids[100:]]
    assert said == ["<|startoftranscript|>", "<|notimestamps|>", "Ġ", "H", "i", "<|endoftext|>"]
    assert row.ids[:100] == [0] * 100
    assert row.mask == [False] * 102 + [True] * 4
    payload = unpack(np.frombuffer(row.media, np.uint8))
    assert payload.facts == {"frames": 100, "text": "Hi"}
    assert payload.arrays[0].shape == (9600,)


def test_what_is_trained_of_a_transcript_is_shown(whisper: Path, wav2vec2: Path, sound: str) -> None:
    written, spelled = SoundEncoder(whisper), SoundEncoder(wav2vec2)
    said = Speech(sound, "Hi", WHERE)
    assert bracketed(written(said)[0], written) == "<|startoftranscript|><|notimestamps|>[[ Hi<|endoftext|>]]"
    assert bracketed(spelled(said)[0], spelled) == "[[Hi]]"
    assert bracketed(spelled(LabelledSound(sound, "dog", WHERE))[0], spelled) == ""


def test_a_model_of_many_languages_is_told_which(tmp_path: Path, sound: str) -> None:
    model = make_whisper(tmp_path / "m", multilingual=True)
    encoder = SoundEncoder(model, language="de")
    row = encoder(Speech(sound, "Hi", WHERE))[0]
    said = [encoder._tokenizer.id_to_token(number) for number in row.ids[100:104]]
    assert said == ["<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>"]
    assert encoder.fingerprint != SoundEncoder(model, language="en").fingerprint
    with pytest.raises(BadValue, match="language"):
        SoundEncoder(model, language="xx")


def test_a_model_of_english_alone_takes_no_other_language(whisper: Path) -> None:
    with pytest.raises(BadValue, match="knows English alone"):
        SoundEncoder(whisper, language="de")


def test_faults_of_speech_name_their_row(whisper: Path, wav2vec2: Path, tmp_path: Path) -> None:
    long = str(write_sound(tmp_path / "long.wav", tones("abcdef" * 4)))
    short = str(write_sound(tmp_path / "short.wav", tones("ab")))
    with pytest.raises(RowFault, match=r"it lasts 2\.4 s; 2 s is the most"):
        SoundEncoder(whisper)(Speech(long, "a", WHERE))
    with pytest.raises(RowFault, match="the transcript has 93 tokens, and the model writes 64"):
        SoundEncoder(whisper)(Speech(short, "a" * 89, WHERE))
    with pytest.raises(RowFault, match="the transcript needs 39 frames, and the recording has 10"):
        SoundEncoder(wav2vec2)(Speech(short, "a" * 20, WHERE))
    with pytest.raises(KindRefused):
        SoundEncoder(whisper)(PlainText("a", WHERE))
    with pytest.raises(BadValue, match="at most 2"):
        SoundEncoder(whisper, max_seconds=3)
    with pytest.raises(RowFault, match=r"0\.1 s is the most"):
        SoundEncoder(wav2vec2, max_seconds=0.1)(Speech(short, "a", WHERE))


def test_a_recording_with_a_class_has_its_frames_and_one_label(wav2vec2: Path, sound: str) -> None:
    row = SoundEncoder(wav2vec2)(LabelledSound(sound, "dog", WHERE))[0]
    assert len(row.ids) == 30
    assert sum(row.mask) == 1


def test_a_folder_without_a_tokenizer_cannot_write(tmp_path: Path, sound: str) -> None:
    model = make_whisper(tmp_path / "m")
    (model / "tokenizer.json").unlink()
    with pytest.raises(NotALanguageModel, match=r"no tokenizer\.json"):
        SoundEncoder(model)(Speech(sound, "a", WHERE))


def test_characters_of_transcripts_become_a_vocabulary(tmp_path: Path) -> None:
    made = Vocabulary.of_codes(map(ord, "good day"))
    assert list(made.pieces) == ["<pad>", "<s>", "</s>", "<unk>", "|", "a", "d", "g", "o", "y"]
    ids = made.ids(map(ord, "good day"))
    assert made.text([0, *(number for each in ids for number in (each, each, 0))]) == "good day"
    assert made.text(ids) == "god day"
    assert made.lacks(map(ord, "dog!?")) == "!?"
    made.write(tmp_path)
    again = Vocabulary.of_folder(tmp_path)
    assert again is not None and again.pieces == made.pieces and again.own and not made.own


def test_a_vocabulary_of_capitals_reads_small_letters(tmp_path: Path) -> None:
    made = Vocabulary({"<pad>": 0, "<unk>": 1, "|": 2, "A": 3, "B": 4}, {}, own=True)
    assert made.ids(map(ord, "ab B?")) == [3, 4, 2, 4, 1]


def test_transformers_decodes_a_vocabulary_alike(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    made = Vocabulary.of_codes(map(ord, "good day"))
    made.write(tmp_path)
    best = [9, 7, 7, 0, 8, 8, 0, 8, 6, 4, 6, 5, 0, 9]
    assert AutoTokenizer.from_pretrained(tmp_path).decode(best) == made.text(best) == "ygood day"
