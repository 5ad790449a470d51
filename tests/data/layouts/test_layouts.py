from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.data.layouts import broken, side_of
from tunesmith.data.mixture import rows_of
from tunesmith.data.source_file import SourceFile
from tunesmith.spec.errors import UnreadableRow
from tunesmith.spec.job import DatasetRef


@pytest.mark.parametrize(
    ("name", "side"),
    [("1.png", ""), ("Train/1.png", ""), ("valid/images/1.png", "validation"), ("a/test/1.png", "test"), ("val", "")],
)
def test_a_side_is_told_by_a_folder_above(name: str, side: str) -> None:
    assert side_of(name) == side


def test_a_row_that_cannot_be_read_is_a_fault_and_the_others_are_read(tmp_path: Path) -> None:
    laid = (broken("a.xml is torn"), {"image": "a.png", "label": "cat"})
    file = SourceFile(tmp_path, "labelled_media", laid=laid)
    fault, row = rows_of(file, DatasetRef(uri=str(tmp_path)))
    assert isinstance(fault, UnreadableRow)
    assert fault.message == f"{tmp_path}/train:1: cannot be read: a.xml is torn. Mend or remove it."
    assert not isinstance(row, UnreadableRow)
