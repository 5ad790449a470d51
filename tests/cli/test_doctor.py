from __future__ import annotations

import json
from pathlib import Path

from cli.conftest import Call


def test_each_check_is_told_and_no_fault_is_success(tunesmith: Call, home: Path) -> None:
    said = tunesmith("--offline", "doctor")
    assert said.status == 0, said.out
    names = [line.split()[1] for line in said.out.splitlines() if not line.startswith(" ")]
    assert names == [
        "python",
        "packages",
        "home",
        "disk",
        "memory",
        "leftovers",
        "hub",
        "torch",
        "device",
        "bitsandbytes",
    ]
    assert str(home) in said.out


def test_a_fault_ends_with_78_and_says_what_to_do(tunesmith: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = tunesmith("--offline", "--home", str(tmp_path / "file" / "home"), "doctor", "--json")
    answer = json.loads(said.out)
    assert (said.status, answer["ok"]) == (78, False)
    assert [check["name"] for check in answer["checks"] if check["state"] == "fault"] == ["home"]
    assert all(check["advice"] for check in answer["checks"] if check["state"] != "ok")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(tunesmith: Call, home: Path) -> None:
    left = home / "runs" / "dead"
    said = tunesmith("--offline", "doctor", "--reinstall", "--dry-run")
    assert said.status == 0, said.out
    assert "would pip install --force-reinstall --no-deps" in said.out
    assert not left.exists()


def test_nothing_to_mend_is_said(tunesmith: Call) -> None:
    said = tunesmith("--offline", "doctor", "--fix")
    assert (said.status, said.out.splitlines()[-1]) == (0, "Nothing to mend.")
