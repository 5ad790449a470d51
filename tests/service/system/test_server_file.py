from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.runs.liveness import process
from tunesmith.service.system.server_file import FIRST, ServerAddress, announced, live_server, live_servers
from tunesmith.settings import Settings

URL = "http://127.0.0.1:8000"


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


def leave(home: Path, name: str, pid: int) -> ServerAddress:
    """Write the file of another process."""
    address = ServerAddress(url=f"http://127.0.0.1:{pid}", token="theirs", process=process(pid))
    (home / name).write_text(json.dumps(address.model_dump()))
    return address


def ended() -> int:
    """Return the id of a process that is gone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def test_a_server_is_found_while_it_serves_and_not_after(settings: Settings) -> None:
    assert live_server(settings) is None
    with announced(settings, URL + "/", "secret") as address:
        assert live_server(settings) == address
        assert (address.url, address.token) == (URL, "secret")
    assert live_server(settings) is None
    assert list(settings.home.iterdir()) == []


def test_only_its_user_can_read_the_token(settings: Settings) -> None:
    with announced(settings, URL, "secret"):
        assert stat.S_IMODE((settings.home / FIRST).stat().st_mode) == 0o600


def test_the_file_of_a_server_that_died_is_taken_over(settings: Settings) -> None:
    leave(settings.home, FIRST, ended())
    assert live_server(settings) is None
    with announced(settings, URL, "secret") as address:
        assert live_servers(settings) == [address]
        assert [path.name for path in settings.home.iterdir()] == [FIRST]


def test_a_second_server_leaves_the_first_ones_file_alone(settings: Settings) -> None:
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        first = leave(settings.home, FIRST, living.pid)
        with announced(settings, URL, "secret") as address:
            assert live_servers(settings) == [first, address]
        assert live_servers(settings) == [first]
    finally:
        living.communicate()


@pytest.mark.parametrize("content", ["", "[]", '{"url": 3}', "\x00"])
def test_a_file_that_makes_no_sense_is_no_server(settings: Settings, content: str) -> None:
    (settings.home / FIRST).write_text(content)
    assert live_server(settings) is None
