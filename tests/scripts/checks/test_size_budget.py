from __future__ import annotations

from scripts.checks.size_budget import faults


def function_of(lines: int) -> str:
    return "def long():\n" + "    x = 1\n" * (lines - 1)


def test_names_a_function_over_its_budget(plant, tmp_path):
    plant("src/tunesmith/loop.py", "x = 1\n" + function_of(71))
    [fault] = faults(tmp_path)
    assert (str(fault.path), fault.line) == ("src/tunesmith/loop.py", 2)
    assert "function long has 71 lines, at most 70" in str(fault)
    assert "Give each step of it a name" in str(fault)


def test_names_a_file_over_its_budget(plant, tmp_path):
    plant("tests/test_everything.py", "x = 1\n" * 501)
    [fault] = faults(tmp_path)
    assert "501 lines, at most 500" in str(fault)


def test_names_a_door_over_its_budget(plant, tmp_path):
    plant("src/tunesmith/api/doors/front.py", "x = 1\n" * 151)
    plant("src/tunesmith/api/doors/back.py", "x = 1\n" * 150)
    [fault] = faults(tmp_path)
    assert "151 lines, at most 150" in str(fault)


def test_is_silent_at_the_budget(plant, tmp_path):
    plant("src/tunesmith/loop.py", function_of(70) + "x = 1\n" * 430)
    assert not list(faults(tmp_path))
