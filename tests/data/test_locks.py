from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.data import locks

HOLDER = """
import sys
from pathlib import Path
from tunesmith.data import locks
held = locks.alone(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_many_share_a_file_and_nobody_has_it_alone(tmp_path: Path) -> None:
    (path := tmp_path / "lock").touch()
    first, second = locks.shared(path), locks.shared(path)
    assert first is not None
    assert second is not None
    assert locks.alone(path) is None
    first.close()
    second.close()
    held = locks.alone(path)
    assert held is not None
    assert locks.shared(path) is None
    held.close()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    waited: list[int] = []

    def kill() -> None:
        waited.append(1)
        holder.kill()
        holder.wait()

    with locks.one_at_a_time(tmp_path / "lock", kill):
        assert waited == [1]
        assert locks.alone(tmp_path / "lock") is None
    assert list(tmp_path.iterdir()) == []


def test_whoever_waits_may_give_up(tmp_path: Path) -> None:
    def give_up() -> None:
        raise TimeoutError

    with locks.one_at_a_time(tmp_path / "lock", pytest.fail), pytest.raises(TimeoutError):  # noqa: SIM117
        with locks.one_at_a_time(tmp_path / "lock", give_up):
            pytest.fail("two at a time")
