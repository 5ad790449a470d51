from __future__ import annotations

import pytest

from scripts.checks.module_names import faults


@pytest.mark.parametrize("name", ["utils.py", "data_helpers.py", "common/__init__.py", "misc.py", "job_manager.py"])
def test_names_a_module_that_says_nothing(plant, tmp_path, name):
    plant(f"src/tunesmith/{name}", "")
    [fault] = faults(tmp_path)
    assert "says nothing" in str(fault)
    assert "Name it after the one thing it holds." in str(fault)


def test_leaves_words_alone_that_only_contain_such_a_name(plant, tmp_path):
    plant("src/tunesmith/commonplace.py", "")
    plant("src/tunesmith/utility_bill.py", "")
    assert not list(faults(tmp_path))
