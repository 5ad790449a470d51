from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from made_sounds import tones, write_sound
from tunesmith.data.mixture import locate, read
from tunesmith.spec.errors import UnreadableData
from tunesmith.spec.examples import LabelledSound, Speech
from tunesmith.spec.job import DatasetRef


def said(folder: Path) -> list[tuple[str, str]]:
    rows = read([DatasetRef(uri=str(folder))])
    return [(str(Path(row.audio).relative_to(folder)), row.text) for row in rows if isinstance(row, Speech)]


def test_a_list_in_each_side_says_what_is_said(tmp_path: Path) -> None:
    for side in ("train", "test"):
        write_sound(tmp_path / side / "1.wav", tones("ab"))
        (tmp_path / side / "metadata.csv").write_text("file_name,transcription\n1.wav,hello there\n")
    assert said(tmp_path) == [("train/1.wav", "hello there"), ("test/1.wav", "hello there")]
    sides = [(each.dataset.validation, each.dataset.test) for each in locate([DatasetRef(uri=str(tmp_path))])]
    assert sides == [(False, False), (False, True)]


def test_recordings_lie_in_a_folder_of_clips(tmp_path: Path) -> None:
    write_sound(tmp_path / "clips" / "1.mp3", tones("ab"), format="MP3")
    for name in ("train", "dev", "validated"):
        (tmp_path / f"{name}.tsv").write_text("client_id\tpath\tsentence\tup_votes\nx\t1.mp3\tGood day.\t2\n")
    assert said(tmp_path) == [("clips/1.mp3", "Good day."), ("clips/1.mp3", "Good day.")]


def test_a_manifest_may_name_classes(tmp_path: Path) -> None:
    write_sound(tmp_path / "audio" / "1.wav", tones("ab"))
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"path": "1.wav", "label": "dog"}) + "\n")
    rows = [row for row in read([DatasetRef(uri=str(tmp_path))]) if isinstance(row, LabelledSound)]
    assert [(Path(row.audio).name, row.label) for row in rows] == [("1.wav", "dog")]


def test_an_archive_is_read_like_its_folder(tmp_path: Path) -> None:
    write_sound(tmp_path / "set" / "1.wav", tones("ab"))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(tmp_path / "set" / "1.wav", "set/1.wav")
        archive.writestr("set/metadata.csv", "path,sentence,label\n1.wav,hello,greeting\n")
    rows = [row for row in read([DatasetRef(uri=str(tmp_path / "set.zip"))]) if isinstance(row, Speech)]
    assert [row.text for row in rows] == ["hello"]


def test_a_quote_of_a_tsv_is_a_character_like_any_other(tmp_path: Path) -> None:
    for name in ("1.wav", "2.wav"):
        write_sound(tmp_path / "clips" / name, tones("ab"))
    (tmp_path / "train.tsv").write_text('path\tsentence\n1.wav\t"Stop, he said\n2.wav\tGo "on"\n')
    assert said(tmp_path) == [("clips/1.wav", '"Stop, he said'), ("clips/2.wav", 'Go "on"')]


@pytest.mark.parametrize("name", ["metadata.csv", "train.tsv"])
def test_a_quote_that_is_never_closed_is_told(tmp_path: Path, name: str) -> None:
    for number in (1, 2):
        write_sound(tmp_path / f"{number}.wav", tones("ab"))
    (tmp_path / name).write_text('path,sentence\n1.wav,"Stop\n2.wav,Go\n')
    with pytest.raises(UnreadableData, match="it is no CSV"):
        locate([DatasetRef(uri=str(tmp_path))])


def test_a_recording_may_be_named_below_path(tmp_path: Path) -> None:
    write_sound(tmp_path / "train" / "1.wav", tones("ab"))
    row = {"audio": {"path": "1.wav"}, "label": "dog"}
    (tmp_path / "train" / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    [found] = [row for row in read([DatasetRef(uri=str(tmp_path))]) if isinstance(row, LabelledSound)]
    assert (found.audio, found.label) == (str(tmp_path / "train" / "1.wav"), "dog")


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    write_sound(tmp_path / "1.wav", tones("ab"))
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "1.wav", \n')
    with pytest.raises(UnreadableData, match=r"metadata\.jsonl"):
        locate([DatasetRef(uri=str(tmp_path))])
