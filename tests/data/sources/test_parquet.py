from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources.reading import faults, values
from tunesmith.data.sampling import sample
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, read_file
from tunesmith.spec.errors import PackageMissing
from tunesmith.spec.examples import PlainText
from tunesmith.spec.job import DatasetRef


def table(path: Path, rows: list[dict[str, object]], **options: object) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def test_reads_plain_and_nested_columns(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": "Who?", "answers": {"text": ["Ada"], "answer_start": [0]}, "n": None},
        {"question": "What?", "answers": {"text": [], "answer_start": []}, "n": 3},
    ]
    assert values(table(tmp_path / "a.parquet", rows)) == [(1, rows[0]), (2, rows[1])]


def test_reads_only_the_groups_that_hold_a_wanted_row(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", [{"text": str(n)} for n in range(1, 101)], row_group_size=10)
    found = [row for row in read_file(SourceFile(path), {5, 95}) if isinstance(row, RawRow)]
    assert [(row.where.row, row.values) for row in found] == [(5, {"text": "5"}), (95, {"text": "95"})]
    assert found[-1].position == path.stat().st_size * 95 // 100


def test_knows_its_rows_without_reading_them(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", [{"text": str(n)} for n in range(100)])
    found = sample([DatasetRef(uri=str(path))], 10)
    assert (found.total_rows, found.exact) == (100, True)
    assert [row.text for row in found.examples if isinstance(row, PlainText)] == [str(n) for n in range(0, 100, 10)]


def test_a_file_without_a_row_is_a_fault(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert [fault.code for fault in faults(tmp_path / "a.parquet")] == ["empty_file"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet" * 100])
def test_what_is_no_parquet_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "a.parquet").write_bytes(content)
    assert values(path) == []
    assert "not Parquet" in faults(path)[0].message
    assert len(sample([DatasetRef(uri=str(path))], 10).faults) == 1


def test_damage_in_the_middle_leaves_what_stands_before_it(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": f"{n}" * 50} for n in range(1000)]
    path = table(tmp_path / "a.parquet", rows, row_group_size=100, compression="gzip")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = b"x" * 200
    path.write_bytes(content)
    assert 0 < len(values(path)) < 1000
    assert len(faults(path)) == 1


def test_says_how_to_install_what_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "a.parquet", [{"text": "a"}])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PackageMissing, match=r"pip install 'tunesmith\[parquet\]'"):
        values(path)


def test_damaged_pages_are_not_blamed_on_the_system(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", [{"text": f"{n * 7919 % 10007}" * 20} for n in range(500)])
    for place in range(4, path.stat().st_size // 2, 7):
        content = bytearray(path.read_bytes())
        content[place] ^= 0xFF
        (damaged := tmp_path / "b.parquet").write_bytes(content)
        assert not any("the system says" in fault.message for fault in faults(damaged))
