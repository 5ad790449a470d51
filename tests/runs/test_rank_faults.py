from __future__ import annotations

from tunesmith.runs.folder import RunFolder
from tunesmith.runs.rank_faults import note_fault, noted_fault
from tunesmith.spec.errors import OutOfMemory


def test_a_fault_is_told_in_its_own_words(run: RunFolder) -> None:
    assert noted_fault(run) is None
    fault = OutOfMemory(7, 4096)
    note_fault(run, 1, fault, fault.code)
    told = noted_fault(run)
    assert told is not None
    assert (told.message, told.code, told.exit_code) == (fault.message, "out_of_memory", 70)
