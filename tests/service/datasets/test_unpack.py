"""Archives as they are made to do harm: none of them leaves anything on the disk, or takes much of it on the way."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.data import archives
from tunesmith.service.datasets.unpack import unpacked
from tunesmith.spec.errors import ArchiveRefused

MOST = 600 * 10**6
"""Bytes that may come out where nothing else is said: more than any bomb here would need to be noticed."""
ROWS = b'{"text": "a"}\n'


def unpack(path: Path, most: int = MOST) -> Path:
    folder = path.parent / "out" / "set"
    unpacked(archive=str(path), folder=str(folder), name=path.name, most=most)
    return folder


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, *entries: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                tar.addfile(info, io.BytesIO(entry[1]))
    return path


def special(kind: bytes, name: str = "rows.jsonl", link: str = "../../canary") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_files_come_out_as_they_went_in(tmp_path: Path, name: str) -> None:
    files = {"train/a.jsonl": ROWS, "README.md": b"x", "deep/er/b.csv": b"text\n1\n"}
    path = zipped(tmp_path / name, files) if name == "a.zip" else tarred(tmp_path / name, *files.items())
    folder = unpack(path)
    assert {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*")} == files


def zip_link(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("rows.jsonl")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return path


def zip_lying(path: Path) -> Path:
    """A file of 300 MB that claims to have 10 bytes."""
    zipped(path, {"a.jsonl": b"a" * 300_000_000})
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", 10)
    content[22:26] = struct.pack("<I", 10)
    path.write_bytes(content)
    return path


def zip_overlapping(path: Path) -> Path:
    """Many entries of the list that share the bytes of one file."""
    zipped(path, {"a.jsonl": b"a" * 20_000_000})
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry, count = content[start:end], 2000
    entries = b"".join(entry[:46] + f"{n:06}.".encode()[:7] + entry[53:] for n in range(count))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(entries), start, 0)
    path.write_bytes(content[:start] + entries + tail)
    return path


def zip_of_a_million(path: Path, claimed: int = 0xFFFF) -> Path:
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0)
    entries = b"".join(entry + f"{n:06x}".encode() for n in range(1_000_000))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, claimed, claimed, len(entries), 0, 0)
    path.write_bytes(entries + tail)
    return path


def zip64_of_much(path: Path) -> Path:
    """A file whose 64-bit header claims 8 EiB."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.jsonl", "w", force_zip64=True) as file:
        file.write(ROWS)
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")
    entry = bytearray(content[at : content.index(b"PK\x05\x06")])
    extra = struct.pack("<HHQQ", 1, 16, 2**63 - 1, len(ROWS))
    entry[20:28] = struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF)
    entry[30:32] = struct.pack("<H", len(extra))
    entry += extra
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), at, 0)
    path.write_bytes(content[:at] + bytes(entry) + tail)
    return path


def nested(path: Path) -> Path:
    inner = zipped(path.with_name("inner.zip"), {"a.jsonl": b"a" * 10_000_000})
    content = inner.read_bytes()
    inner.unlink()
    return zipped(path, {f"{n}.zip": content for n in range(16)})


def tar_of_many(path: Path) -> Path:
    header = tarfile.TarInfo("a").tobuf()
    with path.open("wb") as file:
        for _ in range(20):
            file.write(header * 10_000)
    return path


def password(path: Path) -> Path:
    zipped(path, {"a.jsonl": ROWS})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return path


def cut(path: Path) -> Path:
    tarred(path, ("a.jsonl", ROWS * 1000), ("b.jsonl", ROWS * 1000))
    path.write_bytes(path.read_bytes()[:4000])
    return path


HARMFUL: dict[str, Callable[[Path], Path]] = {
    "zip: up": lambda folder: zipped(folder / "a.zip", {"../canary": b"x", "a.jsonl": ROWS}),
    "zip: deep up": lambda folder: zipped(folder / "a.zip", {"a/b/../../../canary": b"x"}),
    "zip: absolute": lambda folder: zipped(folder / "a.zip", {"/tmp/canary": b"x"}),
    "zip: backslashes": lambda folder: zipped(folder / "a.zip", {"..\\..\\canary": b"x"}),
    "zip: link": lambda folder: zip_link(folder / "a.zip"),
    "zip: control characters": lambda folder: zipped(folder / "a.zip", {"a\x1b[31m.jsonl": ROWS}),
    "zip: endless name": lambda folder: zipped(folder / "a.zip", {"a" * 300 + ".jsonl": ROWS}),
    "zip: file as folder": lambda folder: zipped(folder / "a.zip", {"a": b"x", "a/b.jsonl": ROWS}),
    "zip: folder as file": lambda folder: zipped(folder / "a.zip", {"a/b.jsonl": ROWS, "a": b"x"}),
    "zip: thousandfold": lambda folder: zipped(folder / "a.zip", {"a.jsonl": b"a" * 300_000_000}),
    "zip: thousandfold in parts": lambda folder: zipped(
        folder / "a.zip", {f"{n}.jsonl": b"a" * 30_000_000 for n in range(10)}
    ),
    "zip: lying size": lambda folder: zip_lying(folder / "a.zip"),
    "zip: overlapping": lambda folder: zip_overlapping(folder / "a.zip"),
    "zip: a million": lambda folder: zip_of_a_million(folder / "a.zip"),
    "zip: a million that claims one": lambda folder: zip_of_a_million(folder / "a.zip", 1),
    "zip64: 8 EiB": lambda folder: zip64_of_much(folder / "a.zip"),
    "zip: nested": lambda folder: nested(folder / "a.zip"),
    "zip: password": lambda folder: password(folder / "a.zip"),
    "zip: nothing inside": lambda folder: zipped(folder / "a.zip", {}),
    "zip: no zip": lambda folder: (folder / "a.zip").write_bytes(b"PK\x03\x04") and folder / "a.zip",  # type: ignore[return-value]
    "tar: up": lambda folder: tarred(folder / "a.tar", ("../canary", b"x")),
    "tar: absolute": lambda folder: tarred(folder / "a.tar", ("/tmp/canary", b"x")),
    "tar: symlink": lambda folder: tarred(folder / "a.tar", special(tarfile.SYMTYPE)),
    "tar: through a link": lambda folder: tarred(
        folder / "a.tar", special(tarfile.SYMTYPE, "d", "../.."), ("d/canary", b"x")
    ),
    "tar: hard link": lambda folder: tarred(folder / "a.tar", special(tarfile.LNKTYPE)),
    "tar: character device": lambda folder: tarred(folder / "a.tar", special(tarfile.CHRTYPE)),
    "tar: block device": lambda folder: tarred(folder / "a.tar", special(tarfile.BLKTYPE)),
    "tar: pipe": lambda folder: tarred(folder / "a.tar", special(tarfile.FIFOTYPE)),
    "tar: twice": lambda folder: tarred(folder / "a.tar", ("a.jsonl", ROWS), ("a.jsonl", ROWS)),
    "tar: thousandfold": lambda folder: tarred(folder / "a.tgz", ("a.jsonl", bytes(300_000_000))),
    "tar: many": lambda folder: tar_of_many(folder / "a.tar"),
    "tar: cut": lambda folder: cut(folder / "a.tar"),
}


@pytest.mark.parametrize("harmful", HARMFUL)
def test_what_does_harm_is_refused_and_leaves_nothing(tmp_path: Path, harmful: str) -> None:
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    path = HARMFUL[harmful](tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ArchiveRefused) as refused:
        unpack(path)
    assert str(tmp_path) not in refused.value.message
    assert canary.read_text() == "untouched" and not Path("/tmp/canary").exists()
    assert [each for each in sorted(tmp_path.iterdir()) if each not in before] in ([], [tmp_path / "out"])
    assert list((tmp_path / "out").glob("*")) == []


def test_no_more_comes_out_than_may(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {f"{n}.jsonl": ROWS * 1000 for n in range(10)})
    with pytest.raises(ArchiveRefused, match=r"more than 50,000 bytes"):
        unpack(path, most=50_000)
    assert list((tmp_path / "out").glob("*")) == []
    assert len(list(unpack(path, most=140_000).iterdir())) == 10


def test_thousands_of_files_take_no_longer_each(tmp_path: Path) -> None:
    folder = unpack(zipped(tmp_path / "a.zip", {f"{n}.jsonl": ROWS for n in range(3000)}, zipfile.ZIP_STORED))
    assert len(list(folder.iterdir())) == 3000


def test_an_archive_that_was_read_is_let_go(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jsonl": ROWS})
    unpack(path)
    assert not [link for link in Path("/proc/self/fd").iterdir() if link.exists() and link.resolve() == path]
    assert archives.look_into(path).members
