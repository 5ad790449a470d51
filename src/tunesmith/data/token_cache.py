"""Tokenised data by content: what was encoded once, from the same bytes in the same way, is mapped from disk.

An entry holds untruncated rows; length, split and duplicates are decided later, on views. A folder
``<cache>/<key>`` holds ``ids``, ``mask``, ``offsets`` and what is decoded of pictures and recordings (``media``,
``media_offsets``) as ``TokenRows`` loads them, ``examples.npy`` (one ``EXAMPLE`` each), ``labels.json`` (the classes,
first seen first), ``faults.jsonl``, and ``entry.json``, which lists every file with its sha256 and is written last.
Pictures and recordings are files of their own, which the key does not know: the entry notes the size and the time of
change of each file (of an archive once), and where the rows that name them lie; it is no longer used when one of them
is another.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data import faults as plain
from tunesmith.data import locks, media
from tunesmith.data.array_file import ArrayFile
from tunesmith.data.faults import SHOWN, Faults
from tunesmith.data.kinds import kind_of
from tunesmith.data.mixture import Located, ReadRow, digest
from tunesmith.data.pruning import NAMED, STAGING, sweep
from tunesmith.data.source_file import SourceFile
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.spec.errors import DiskFull, RowFault
from tunesmith.spec.examples import BoxedImage, LabelledImage, LabelledSound, LabelledText

VERSION: Final = 5
"""Raised when the same bytes are read into other examples, or the layout changes: older entries are then left alone."""

EXAMPLE: Final = np.dtype(
    [
        ("digest", "<u8"),
        ("row", "<i8"),
        ("file", "<i4"),
        ("source", "<i4"),
        ("sequences", "<i4"),
        ("kind", "<i4"),
        ("label", "<i4"),
    ]
)
"""What is kept of an example beside its tokens.

``sequences`` rows of tokens in a row are its own; a preference has exactly two, the better and then the worse one.
``kind`` is a number of ``data.kinds``, ``label`` a place in the entry's list of classes, -1 where there is none.
"""

_ARRAYS: Final[dict[str, np.dtype[Any]]] = {
    "ids": np.dtype(np.int32),
    "mask": np.dtype(np.uint8),
    "offsets": np.dtype(np.int64),
    "examples": EXAMPLE,
    "media": np.dtype(np.uint8),
    "media_offsets": np.dtype(np.int64),
}
_LARGE: Final = "media.npy"
"""Known by its size alone: it may have many gigabytes, and each of its rows says what it holds."""
_FILES: Final = (*(f"{name}.npy" for name in _ARRAYS if f"{name}.npy" != _LARGE), "labels.json", "faults.jsonl")
_TOKENS_AT_ONCE: Final = 1 << 20
"""Tokens collected before they are written."""
_MEDIA_A_TOKEN: Final = 64
"""Bytes of pictures and recordings that count like a token."""
_EXAMPLES_AT_ONCE: Final = 1 << 14
"""Examples collected before they are written, however short they are."""


@dataclass(frozen=True)
class Entry:
    """An entry of the cache, mapped."""

    rows: TokenRows
    examples: NDArray[Any]
    """(examples) of ``EXAMPLE``."""
    labels: list[str]
    """Names of the classes, first seen first."""
    faults: Faults
    media: str
    """sha256 over all pictures and recordings as they were decoded; empty where there are none."""
    held: BinaryIO
    """Open as long as the entry is used, so that nobody prunes it."""


def key(located: Sequence[Located], encoder: str) -> str:
    """Return the name of the entry: sha256 over the files' bytes, how they are read and how they are encoded."""
    reading = [
        {
            "format": each.dataset.format,
            "columns": each.dataset.columns,
            "limit": each.dataset.limit,
            "validation": each.dataset.validation,
            "test": each.dataset.test,
            "files": [[_content(file), file.inside, file.suffixes, file.format] for file in each.files],
        }
        for each in located
    ]
    content = json.dumps([VERSION, encoder, reading], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def opened(folder: Path, files: Sequence[str]) -> Entry | None:
    """Map an entry, its faults named after today's files; None if there is none or it is damaged."""
    try:
        held = locks.shared(folder / "entry.json")
        if held is None:
            return None
        listed = json.loads(held.read())
        if any(_sha256(folder / name) != listed["files"][name] for name in _FILES):
            return None
        if (folder / _LARGE).stat().st_size != listed["media_size"] or not media.is_as_stamped(listed["stamps"]):
            return None
        if listed["places"] not in (None, _places(files)):
            return None  # The same rows elsewhere name other pictures.
        examples = np.asarray(np.load(folder / "examples.npy", mmap_mode="r"))
        labels = json.loads((folder / "labels.json").read_text())
        faults = Faults(listed["faults"], list(islice(_faults(folder, files), SHOWN)))
        with suppress(OSError):
            os.utime(folder / "entry.json")
        return Entry(TokenRows.load(folder), examples, labels, faults, listed["media"], held)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _places(files: Sequence[str]) -> list[str]:
    return [os.path.abspath(name) for name in files]


def _faults(folder: Path, files: Sequence[str]) -> Iterator[RowFault]:
    with (folder / "faults.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            data = json.loads(line)
            yield plain.from_dict(data | {"file": files[data["file"]]})


def record(row: ReadRow, encoded: Sequence[EncodedRow], labels: dict[str, int]) -> tuple[int, ...]:
    """Return what is kept of an example, as a record of ``EXAMPLE``; a class that is not in ``labels`` is added."""
    example, label = row.example, -1
    if isinstance(example, LabelledText | LabelledImage | LabelledSound):
        label = labels.setdefault(example.label, len(labels))
    elif isinstance(example, BoxedImage):
        for name in (*example.names, *(box.label for box in example.boxes)):
            labels.setdefault(name, len(labels))
    content = b"".join(each.media for each in encoded)
    return digest(example, content), example.where.row, row.file, row.source, len(encoded), kind_of(example), label


class Writer:
    """Writes an entry in pieces; it holds no more than ``_TOKENS_AT_ONCE`` tokens."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self._folder = folder
        self._file_numbers = {name: number for number, name in enumerate(files)}
        self._arrays = {name: ArrayFile(folder / f"{name}.npy", dtype) for name, dtype in _ARRAYS.items()}
        self._arrays["offsets"].extend(np.zeros(1))
        self._arrays["media_offsets"].extend(np.zeros(1))
        self._media, self._media_places, self._media_size = bytearray(), array("q"), 0
        self._media_digest = hashlib.sha256()
        self._stamps: dict[str, tuple[int, int]] = {}
        self._places = _places(files)
        self._ids, self._mask, self._ends = array("i"), bytearray(), array("q")
        self._examples: list[tuple[int, ...]] = []
        self._labels: dict[str, int] = {}
        self._tokens = 0
        self._faults = (folder / "faults.jsonl").open("w", encoding="utf-8")
        self._fault_count = 0

    def add(self, row: ReadRow, encoded: Sequence[EncodedRow]) -> None:
        """Add an example with its rows of tokens."""
        self._examples.append(record(row, encoded, self._labels))
        if any(sequence.media for sequence in encoded):
            for name in media.named(row.example):
                file, size, changed = media.stamp(name)
                self._stamps[file] = size, changed
        for sequence in encoded:
            self._ids.extend(sequence.ids)
            self._mask.extend(sequence.mask)
            self._tokens += len(sequence.ids)
            self._ends.append(self._tokens)
            self._media.extend(sequence.media)
            self._media_digest.update(sequence.media)
            self._media_size += len(sequence.media)
            self._media_places.append(self._media_size)
        held = max(len(self._ids), len(self._media) // _MEDIA_A_TOKEN)
        if held >= _TOKENS_AT_ONCE or len(self._examples) >= _EXAMPLES_AT_ONCE:
            self._flush()

    def add_fault(self, fault: RowFault) -> None:
        """Add a row that cannot be used."""
        data = plain.as_dict(fault)
        message = data["message"].removeprefix(f"{fault.where}: ")
        data |= {"file": self._file_numbers[fault.where.file], "message": message}
        self._faults.write(json.dumps(data) + "\n")
        self._fault_count += 1

    def finish(self) -> None:
        """Write what is left, and the list of files."""
        self._flush()
        for growing in self._arrays.values():
            growing.close()
        self._faults.close()
        (self._folder / "labels.json").write_text(json.dumps(list(self._labels)))
        hashes = {name: _sha256(self._folder / name) for name in _FILES}
        listed = {
            "version": VERSION,
            "faults": self._fault_count,
            "files": hashes,
            "media": self._media_digest.hexdigest() if self._media_size else "",
            "media_size": (self._folder / _LARGE).stat().st_size,
            "stamps": [[file, *stamp] for file, stamp in self._stamps.items()],
            "places": self._places if self._media_size else None,
        }
        (self._folder / "entry.json").write_text(json.dumps(listed))

    def _flush(self) -> None:
        self._arrays["ids"].extend(np.frombuffer(self._ids, np.intc))
        self._arrays["mask"].extend(np.frombuffer(self._mask, np.uint8))
        self._arrays["offsets"].extend(np.frombuffer(self._ends, np.int64))
        self._arrays["examples"].extend(np.array(self._examples, EXAMPLE))
        self._arrays["media"].extend(np.frombuffer(self._media, np.uint8))
        self._arrays["media_offsets"].extend(np.frombuffer(self._media_places, np.int64))
        self._media, self._media_places = bytearray(), array("q")
        self._ids, self._mask, self._ends, self._examples = array("i"), bytearray(), array("q"), []


@contextmanager
def writing(folder: Path, files: Sequence[str]) -> Iterator[Writer]:
    """Write an entry beside its place and rename it there when all of it is written; the caller holds its lock.

    Raises:
        DiskFull: there is no room for it; nothing is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent, own=folder)
    staging = folder.parent / f"{STAGING}{folder.name[:NAMED]}-{os.getpid()}-{time.monotonic_ns()}"
    staging.mkdir()
    try:
        writer = Writer(staging, files)
        yield writer
        writer.finish()
        _replace(staging, folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        free = shutil.disk_usage(folder.parent).free
        raise DiskFull(folder.parent, sum(file.stat().st_size for file in staging.iterdir()), free) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(staging: Path, folder: Path) -> None:
    """Put the entry in its place; what stands there is damaged, or an equal entry of another process."""
    if folder.exists():
        aside = staging.with_name(staging.name + "-old")
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        staging.rename(folder)
    except OSError:
        if not (folder / "entry.json").exists():
            raise


def _content(file: SourceFile) -> str:
    """Stand for a file's bytes; a file that cannot be opened is a fault when it is read, not here."""
    if file.laid is not None:
        return hashlib.sha256(json.dumps(file.laid, sort_keys=True).encode(errors="surrogatepass")).hexdigest()
    try:
        return _sha256(file.path)
    except OSError as error:
        return f"unreadable: {error.errno}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
