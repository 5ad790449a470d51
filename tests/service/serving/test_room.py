"""Memory for models that several servers of one machine take from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.runs.liveness import process, this_process
from tunesmith.service.serving.room import Room

GB = 1_000_000_000


@pytest.fixture
def ours(tmp_path: Path) -> Room:
    return Room(tmp_path, 10 * GB)


@pytest.fixture
def theirs(tmp_path: Path) -> Room:
    return Room(tmp_path, 10 * GB)


def take(room: Room, needs: float, *, held: float = 0.0) -> float:
    lacks = room.take(int(needs * GB), held=int(held * GB), taken=int(held * GB), free=0)
    return lacks / GB


def test_what_one_has_another_cannot_take(ours: Room, theirs: Room) -> None:
    assert take(ours, 6) == 0
    assert take(theirs, 5) == 1
    assert take(theirs, 4) == 0


def test_what_is_given_back_can_be_taken(ours: Room, theirs: Room) -> None:
    take(ours, 6)
    assert take(theirs, 5) == 1
    ours.tell(held=0, taken=0)
    assert take(theirs, 5) == 0
    assert theirs.wanted() is None and ours.wanted() is None


def test_who_waits_is_seen_and_comes_before_who_comes_later(tmp_path: Path, ours: Room, theirs: Room) -> None:
    third = Room(tmp_path, 10 * GB)
    take(ours, 6)
    take(theirs, 5)
    wanted = ours.wanted()
    assert wanted is not None and (wanted.lacks, wanted.needs) == (GB, 5 * GB)
    assert take(third, 3) > 0  # It would fit, and then who waits would have to wait for longer.
    theirs.give_up()
    assert take(third, 3) == 0


def test_who_has_most_is_known(ours: Room, theirs: Room) -> None:
    take(ours, 6)
    take(theirs, 2)
    assert ours.holds_most() and not theirs.holds_most()


def test_more_than_there_is_can_never_be_taken(ours: Room) -> None:
    with pytest.raises(OverflowError) as raised:
        take(ours, 11)
    assert raised.value.args == (10 * GB,)


def test_without_a_limit_models_may_have_a_share_of_what_is_free_and_what_they_have(tmp_path: Path) -> None:
    ours, theirs = Room(tmp_path, None), Room(tmp_path, None)
    assert ours.take(7 * GB, held=0, taken=0, free=10 * GB) == 0
    # It is loading and has taken nothing yet, so all is still free, and is promised all the same.
    assert theirs.take(6 * GB, held=0, taken=0, free=10 * GB) == 5 * GB
    ours.tell(held=7 * GB, taken=7 * GB)
    assert theirs.take(1 * GB, held=0, taken=0, free=3 * GB) == 0


def test_what_a_dead_server_had_is_free(tmp_path: Path, ours: Room) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        owner = process(other.pid).model_dump(mode="json")
        file = tmp_path / "1-abc.json"
        file.write_text(json.dumps({"owner": owner, "held": 9 * GB}))
        assert take(ours, 5) == 4
        other.kill()
    assert take(ours, 5) == 0
    assert not file.exists()


def test_another_machine_with_the_same_home_has_memory_of_its_own(tmp_path: Path, ours: Room) -> None:
    owner = this_process().model_copy(update={"boot": "another start"}).model_dump(mode="json")
    file = tmp_path / "1-abc.json"
    file.write_text(json.dumps({"owner": owner, "held": 9 * GB}))
    assert take(ours, 5) == 0
    assert file.exists()


def test_a_damaged_file_is_left_out(tmp_path: Path, ours: Room) -> None:
    (tmp_path / "2-x.json").write_text('{"held": ')
    assert take(ours, 5) == 0


def test_the_end_gives_everything_back(ours: Room, theirs: Room) -> None:
    take(ours, 6)
    ours.close()
    assert take(theirs, 10) == 0


def test_what_an_earlier_start_of_the_machine_left_counts_for_nothing_and_goes_in_the_end(
    tmp_path: Path, ours: Room
) -> None:
    owner = process(1).model_copy(update={"boot": "another"}).model_dump(mode="json")
    left = tmp_path / "1-a.json"
    left.write_text(json.dumps({"owner": owner, "held": 9 * GB}))
    assert take(ours, 6) == 0
    assert left.exists()  # It may be that of another machine with the same home.
    os.utime(left, (1, 1))
    take(ours, 1, held=6)
    assert not left.exists()
