from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tunesmith.runs.durable import is_no_room, read_json, replacing, room_for, write_json
from tunesmith.spec.errors import DiskFull


def test_reads_what_was_written_and_leaves_no_draft(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ä": [1, None]})
    write_json(tmp_path / "a.json", {"ä": [2]})
    assert read_json(tmp_path / "a.json") == {"ä": [2]}
    assert os.listdir(tmp_path) == ["a.json"]


def test_no_file_or_half_of_one_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"a":')
    assert read_json(tmp_path / "half.json") is None
    assert read_json(tmp_path / "gone.json") is None


def test_knows_a_full_disk_by_number_text_or_cause() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    wrapped = RuntimeError("cannot save")
    wrapped.__cause__ = full
    assert is_no_room(full)
    assert is_no_room(wrapped)
    assert is_no_room(ValueError("I/O error: No space left on device (os error 28)"))
    assert not is_no_room(OSError(errno.EACCES, "denied"))


def test_a_full_disk_is_told_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="5 MB are needed"), room_for(tmp_path / "not" / "there", 5_000_000):
        raise OSError(errno.ENOSPC, "full")


def test_little_room_is_told_in_kilobytes() -> None:
    assert "(5 KB are needed, 0 KB are free)" in DiskFull("out", 4096, 0).message
    assert "(2 MB are needed, 1 KB are free)" in DiskFull("out", 2_000_000, 12).message


def test_a_file_that_is_replaced_keeps_its_content_until_all_of_the_other_is_there(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as file:
        file.write(b"old")
    with pytest.raises(OSError, match="full"), replacing(tmp_path / "a") as file:
        file.write(b"half of the")
        raise OSError(errno.ENOSPC, "full")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]
