from __future__ import annotations

import json
from pathlib import Path

from cli.conftest import Call


def test_each_check_is_told_and_no_fault_is_success(tunesmith: Call, home: Path) -> None:
    said = tunesmith("--offline", "doctor")
    assert said.status == 0, said.out
    names = [line.split()[1] for line in said.out.splitlines() if not line.startswith(" ")]
    assert names == ["python", "packages", "home", "disk", "memory", "leftovers", "hub", "torch", "device"]
    assert str(home) in said.out


def test_a_fault_ends_with_78_and_says_what_to_do(tunesmith: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = tunesmith("--offline", "--home", str(tmp_path / "file" / "home"), "doctor", "--json")
    answer = json.loads(said.out)
    assert (said.status, answer["ok"]) == (78, False)
    assert [check["name"] for check in answer["checks"] if check["state"] == "fault"] == ["home"]
    assert all(check["advice"] for check in answer["checks"] if check["state"] != "ok")
