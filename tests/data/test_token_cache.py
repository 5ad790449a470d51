from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data.byte_encoder import ByteEncoder, write_chats
from tunesmith.data import token_cache
from tunesmith.data.locks import one_at_a_time
from tunesmith.data.mixture import ReadRow, locate, stream
from tunesmith.data.pruning import lock_of
from tunesmith.spec.errors import DiskFull, RowFault
from tunesmith.spec.job import DatasetRef


def key(*datasets: DatasetRef, encoder: str = "bytes") -> str:
    return token_cache.key(locate(datasets), encoder)


def build(folder: Path, data: Path) -> None:
    encoder = ByteEncoder()
    with token_cache.writing(folder, [str(data)]) as writer:
        for row in stream(locate([DatasetRef(uri=str(data))])):
            if isinstance(row, ReadRow):
                writer.add(row, encoder(row.example))
            else:
                writer.add_fault(row)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = write_chats(tmp_path / "chats.jsonl", [("ask", "say"), ("a", "b", "c", "d")])
    path.write_text(path.read_text() + "{bad\n")
    return path


def test_the_key_is_of_the_content(data: Path, tmp_path: Path) -> None:
    (copy := tmp_path / "copy.jsonl").write_bytes(data.read_bytes())
    assert key(DatasetRef(uri=str(data))) == key(DatasetRef(uri=str(copy)))


def test_the_key_changes_with_everything_that_changes_the_tokens(data: Path, tmp_path: Path) -> None:
    uri = str(data)
    (changed := tmp_path / "changed.jsonl").write_bytes(data.read_bytes().replace(b"ask", b"asc"))
    keys = [
        key(DatasetRef(uri=uri)),
        key(DatasetRef(uri=str(changed))),
        key(DatasetRef(uri=uri), encoder="other"),
        key(DatasetRef(uri=uri, format="openai")),
        key(DatasetRef(uri=uri, columns={"messages": "turns"})),
        key(DatasetRef(uri=uri, limit=1)),
        key(DatasetRef(uri=uri, validation=True)),
        key(DatasetRef(uri=uri), DatasetRef(uri=str(changed))),
        key(DatasetRef(uri=str(changed)), DatasetRef(uri=uri)),
    ]
    assert len(set(keys)) == len(keys)


def test_maps_what_was_written(data: Path, tmp_path: Path) -> None:
    build(tmp_path / "cache" / "entry", data)
    entry = token_cache.opened(tmp_path / "cache" / "entry", ["elsewhere.jsonl"])
    assert entry is not None
    assert [bytes(entry.rows.row(place)[0].tolist()) for place in range(3)] == [b"asksay", b"ab", b"abcd"]
    assert entry.rows.trained().tolist() == [3, 1, 1]
    assert entry.examples["sequences"].tolist() == [1, 2]
    assert entry.examples["row"].tolist() == [1, 2]
    [fault] = entry.faults.first
    assert fault.message.startswith("elsewhere.jsonl:3: cannot be read: not JSON")
    assert (fault.code, fault.where.row) == ("unreadable_row", 3)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [Path.unlink, cut, flip])
@pytest.mark.parametrize("name", ["ids.npy", "mask.npy", "offsets.npy", "examples.npy", "labels.json", "faults.jsonl"])
def test_notices_damage(data: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "cache" / "entry"
    build(folder, data)
    damage(folder / name)
    assert token_cache.opened(folder, [str(data)]) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": []}', '{"files": {}}', "\0"])
def test_notices_a_damaged_list(data: Path, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "cache" / "entry"
    build(folder, data)
    (folder / "entry.json").write_text(content)
    assert token_cache.opened(folder, [str(data)]) is None


def test_replaces_a_damaged_entry(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "entry"
    build(folder, data)
    flip(folder / "ids.npy")
    build(folder, data)
    assert token_cache.opened(folder, [str(data)]) is not None
    assert [path.name for path in folder.parent.iterdir()] == ["entry"]


def test_leaves_nothing_behind_when_it_is_interrupted(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "entry"
    with pytest.raises(KeyboardInterrupt), token_cache.writing(folder, [str(data)]):
        raise KeyboardInterrupt
    assert list(folder.parent.iterdir()) == []


def test_says_that_the_disk_is_full(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "entry"
    with pytest.raises(DiskFull, match="the disk is full"), token_cache.writing(folder, [str(data)]):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(folder.parent.iterdir()) == []


def test_sweeps_what_an_ended_process_left(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "entry"
    (dead := tmp_path / "cache" / ".staging-old-1").mkdir(parents=True)
    (own := tmp_path / "cache" / ".staging-entry-1").mkdir()
    (living := tmp_path / "cache" / f".staging-{'a' * 16}-1").mkdir()
    with one_at_a_time(lock_of(tmp_path / "cache" / ("a" * 64)), pytest.fail):
        build(folder, data)
    assert not dead.exists()
    assert not own.exists()
    assert living.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from data.byte_encoder import ByteEncoder
from tunesmith.data import prepare
from tunesmith.spec.job import DatasetRef

def progress(message, share):
    if share == 1.0:
        os.kill(os.getpid(), signal.SIGKILL)

prepare.prepare(
    [DatasetRef(uri=sys.argv[1])], ByteEncoder(), cache_dir=Path(sys.argv[2]), length=None, split=0.0,
    split_typed=False, seed=1, strict=False, drop_duplicates=False, length_chosen=True, progress=progress,
)
"""


def test_a_killed_writer_leaves_nothing_that_is_wrong(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    tests = Path(__file__).parent.parent
    killed = subprocess.run([sys.executable, "-c", KILLED, str(data), str(cache)], cwd=tests, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name[:9] for path in cache.iterdir() if path.is_dir()] == [".staging-"]
    other = cache / ("b" * 64)
    assert token_cache.opened(other, [str(data)]) is None
    build(other, data)
    assert [path.name for path in cache.iterdir()] == [other.name]


def test_every_kind_of_fault_comes_back_as_it_was(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": 1}\n{"text": ""}\n{"x": 1}\n{bad\n3\n')
    build(tmp_path / "cache" / "entry", path)
    entry = token_cache.opened(tmp_path / "cache" / "entry", [str(path)])
    assert entry is not None
    fresh = [row for row in stream(locate([DatasetRef(uri=str(path))])) if isinstance(row, RowFault)]
    assert [(type(fault), fault.message, fault.column) for fault in entry.faults.first] == [
        (type(fault), fault.message, fault.column) for fault in fresh
    ]
