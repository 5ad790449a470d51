from __future__ import annotations

import os
import subprocess
import sys

from tunesmith.runs.liveness import Process, is_alive, process, this_process


def test_this_process_lives() -> None:
    assert is_alive(this_process())


def test_another_process_with_the_same_id_is_not_it() -> None:
    me = this_process()
    assert not is_alive(Process(pid=me.pid, started="1", boot=me.boot))


def test_nothing_lives_on_from_an_earlier_boot() -> None:
    me = this_process()
    assert not is_alive(Process(pid=me.pid, started=me.started, boot="an earlier one"))


def test_a_process_that_waits_to_be_reaped_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    described = process(child.pid)
    assert is_alive(described)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(described)
    child.wait()
    assert not is_alive(described)
