"""A command that lives as long as its starter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from fleet import until
from tunesmith.service.serving import tether

STUBBORN = (
    "import subprocess, sys, signal; subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE); "
)
STUBBORN += "open(sys.argv[1], 'w').write('up'); signal.pause()"


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-E", tether.__file__, *command], stdin=subprocess.PIPE)


def test_the_command_and_its_children_end_with_the_pipe(tmp_path: Path) -> None:
    with start(sys.executable, "-c", STUBBORN, str(tmp_path / "up")) as starter:
        until((tmp_path / "up").exists, "it runs")
        family = psutil.Process(starter.pid).children(recursive=True)
        assert len(family) == 2
        assert starter.stdin is not None
        starter.stdin.close()
        psutil.wait_procs(family, timeout=20)
        assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)


def test_a_killed_starter_ends_the_command(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait()"
    command = [sys.executable, "-S", "-E", tether.__file__, sys.executable, "-c", STUBBORN, str(tmp_path / "up")]
    with subprocess.Popen([sys.executable, "-c", code, *command]) as starter:
        until((tmp_path / "up").exists, "it runs")
        family = psutil.Process(starter.pid).children(recursive=True)
        starter.kill()
    psutil.wait_procs(family, timeout=20)
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)


def test_the_code_of_the_command_is_handed_on() -> None:
    with start(sys.executable, "-c", "raise SystemExit(7)") as starter:
        assert starter.wait(20) == 7
