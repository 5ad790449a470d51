from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from data.sources.reading import faults, values
from tunesmith.data import compression
from tunesmith.data.sampling import sample
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import READERS, RawRow, read_file
from tunesmith.spec.job import DatasetRef

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": compression.zstd.compress,
}
TEXTS = [{"text": "a"}, {"text": "b"}]


def parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(TEXTS), file := io.BytesIO())
    return file.getvalue()


CONTENT: dict[str, Callable[[], bytes]] = {
    ".jsonl": lambda: b'{"text": "a"}\n{"text": "b"}\n',
    ".ndjson": lambda: b'{"text": "a"}\n{"text": "b"}\n',
    ".json": lambda: json.dumps(TEXTS).encode(),
    ".csv": lambda: b"text\na\nb\n",
    ".tsv": lambda: b"text\na\nb\n",
    ".tab": lambda: b"text\na\nb\n",
    ".txt": lambda: b"a\nb\n",
    ".yaml": lambda: b"- text: a\n- text: b\n",
    ".yml": lambda: b"- text: a\n- text: b\n",
    ".toml": lambda: b'[[data]]\ntext = "a"\n[[data]]\ntext = "b"\n',
    ".xml": lambda: b"<d><r><text>a</text></r><r><text>b</text></r></d>",
    ".parquet": parquet,
}


@pytest.mark.parametrize("kind", list(READERS))
@pytest.mark.parametrize("suffix", COMPRESS)
def test_every_type_of_file_may_be_compressed(tmp_path: Path, kind: str, suffix: str) -> None:
    (path := tmp_path / f"a{kind}{suffix}").write_bytes(COMPRESS[suffix](CONTENT[kind]()))
    assert [row for _, row in values(path)] == TEXTS


@pytest.mark.parametrize("suffix", COMPRESS)
def test_data_that_ends_early_or_is_damaged_is_a_fault_behind_the_rows_before_it(tmp_path: Path, suffix: str) -> None:
    content = COMPRESS[suffix]("".join(f'{{"text": "{n * 7919 % 100_003}"}}\n' for n in range(20_000)).encode())
    for damaged in (content[: len(content) // 2], content[:-400] + bytes(300) + content[-100:], b"no archive"):
        (path := tmp_path / f"a.jsonl{suffix}").write_bytes(damaged)
        *_, last = faults(path)
        assert "the compressed data is damaged" in last.message
        assert last.where.row == len(values(path)) + 1 or len(faults(path)) == 2


def test_a_file_that_unpacks_without_end_is_a_fault_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "FREE_BYTES", 2**20)
    (path := tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' + b"x" * (2**26)))
    tracemalloc.start()
    assert values(path) == [(1, {"text": "a"})]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25
    assert ["unpacks to more than 200 times its size" in fault.message for fault in faults(path)] == [True]


def test_rows_know_how_much_of_the_packed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress("".join(f'"{n * 7919 % 100_003}"\n' for n in range(30_000)).encode()))
    positions = [row.position for row in read_file(SourceFile(path)) if isinstance(row, RawRow)]
    assert positions == sorted(positions)
    assert positions[-1] == path.stat().st_size
    found = sample([DatasetRef(uri=str(path))], 10)
    assert (found.total_rows, found.exact, len(found.examples)) == (30_000, True, 10)
