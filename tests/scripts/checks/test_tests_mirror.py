from __future__ import annotations

from scripts.checks.tests_mirror import faults


def test_names_a_format_without_a_test(plant, tmp_path):
    plant("src/tunesmith/data/formats/__init__.py", "")
    plant("src/tunesmith/data/formats/qa.py", "FORMAT = 1\n")
    plant("tests/data/formats/test_other.py", "")
    [fault] = faults(tmp_path)
    assert "src/tunesmith/data/formats/qa.py:1: has no test tests/data/formats/test_qa.py" in str(fault)


def test_names_a_layout_without_a_test(plant, tmp_path):
    plant("src/tunesmith/data/layouts/coco.py", "LAYOUT = 1\n")
    [fault] = faults(tmp_path)
    assert "has no test tests/data/layouts/test_coco.py" in str(fault)


def test_names_a_folder_of_tests_without_its_package(plant, tmp_path):
    plant("src/tunesmith/runs/__init__.py", "")
    plant("tests/running/test_folder.py", "")
    [fault] = faults(tmp_path)
    assert "there is no package 'running'" in str(fault)
    assert "Name it after the package it tests" in str(fault)


def test_names_a_folder_inside_another_too(plant, tmp_path):
    plant("src/tunesmith/data/formats/__init__.py", "")
    plant("tests/data/format/test_qa.py", "")
    [fault] = faults(tmp_path)
    assert "tests/data/format:1: there is no package 'data/format'" in str(fault)


def test_is_silent_when_each_has_its_test(plant, tmp_path):
    plant("src/tunesmith/cli/chat.py", "def command(): ...\n")
    plant("src/tunesmith/cli/progress.py", "def bar(): ...\n")
    plant("tests/cli/test_chat.py", "")
    plant("tests/chaos/test_kills.py", "")
    assert not list(faults(tmp_path))
