from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.speech import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Speech

WHERE = Where("audio_data.jsonl", 3)


@pytest.mark.parametrize("column", ["text", "transcript", "transcription", "sentence"])
@pytest.mark.parametrize("sound", ["audio", "audio_path", "audio_filepath", "sound"])
def test_reads_a_recording_and_what_is_said(sound: str, column: str) -> None:
    row = {sound: "a.wav", column: " Hello,\n there. ", "duration": 1.5}
    assert FORMAT.sniff(row)
    assert list(FORMAT.examples(row, WHERE)) == [Speech("a.wav", "Hello, there.", WHERE)]


def test_a_bare_path_needs_a_transcript_beside_it() -> None:
    assert FORMAT.sniff({"path": 1, "sentence": 1})
    assert FORMAT.sniff({"file_name": 1, "transcription": 1})
    assert not FORMAT.sniff({"file_name": 1, "text": 1})
    assert not FORMAT.sniff({"path": 1, "sentence": 1, "label": 1})
    assert not FORMAT.sniff({"audio": 1, "label": 1})


def test_a_data_set_of_a_hub_keeps_the_path_below() -> None:
    row = {"audio": {"path": "clips/a.mp3", "bytes": None}, "sentence": "yes"}
    assert list(FORMAT.examples(row, WHERE)) == [Speech("clips/a.mp3", "yes", WHERE)]


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"audio": "a.wav"}, MissingColumn, "transcription"),
        ({"audio": "a.wav", "text": " "}, EmptyRow, "text"),
        ({"audio": "a.wav", "text": None}, EmptyRow, "text"),
        ({"text": "yes"}, MissingColumn, "audio"),
        ({"audio": 3, "text": "yes"}, WrongType, "audio"),
        ({"audio": {"bytes": 1}, "text": "yes"}, WrongType, "audio"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault) as caught:
        list(FORMAT.examples(row, WHERE))
    assert caught.value.column == column
