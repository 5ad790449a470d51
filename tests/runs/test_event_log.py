from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.runs.event_log import EventWriter, read
from tunesmith.spec.errors import UnreadableFile
from tunesmith.spec.events import Body, Heartbeat, Progress, Warned

BODIES = st.one_of(
    st.builds(Heartbeat, step=st.integers(0, 10**6)),
    st.builds(Warned, message=st.text()),
    st.builds(Progress, message=st.text(), done=st.none() | st.floats(0, 1)),
)


@given(bodies=st.lists(BODIES, max_size=20))
def test_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, bodies: list[Body]) -> None:
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    with EventWriter(path) as log:
        written = [log.append(body) for body in bodies]
    events, end = read(path)
    assert [event.body for event in events] == bodies
    assert [event.seq for event in events] == list(range(1, len(bodies) + 1)) == [event.seq for event in written]
    assert end == path.stat().st_size


@given(cut=st.integers(0, 400))
def test_the_numbers_go_on_after_a_cut_at_any_byte(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    with EventWriter(path) as log:
        for step in range(8):
            log.append(Heartbeat(step=step))
    os.truncate(path, min(cut, path.stat().st_size))
    before, offset = read(path)
    with EventWriter(path) as log:
        log.append(Warned(message="again"))
    events, _ = read(path)
    assert [event.seq for event in events] == list(range(1, len(before) + 2))
    assert [event.body for event in read(path, offset)[0]] == [Warned(message="again")]


def test_never_returns_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as log:
        log.append(Heartbeat(step=1))
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"seq":2,"ti')
        events, offset = read(path)
        assert [event.seq for event in events] == [1]
        assert offset == len(whole)
        path.write_bytes(whole + b'{"seq":2,"time":1.0,"kind":"heartbeat","step":2}\n')
        assert [event.seq for event in read(path, offset)[0]] == [2]


def test_a_line_longer_than_a_block_is_found_from_behind(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as log:
        log.append(Warned(message="x" * 200_000))
    with EventWriter(path) as log:
        assert log.append(Heartbeat(step=1)).seq == 2


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as log:
        threads = [
            threading.Thread(target=lambda: [log.append(Heartbeat(step=1)) for _ in range(50)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [event.seq for event in read(path)[0]] == list(range(1, 201))


def test_no_log_yet_is_no_event(tmp_path: Path) -> None:
    assert read(tmp_path / "events.jsonl") == ([], 0)


def test_names_the_log_with_a_broken_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("no json\n")
    with pytest.raises(UnreadableFile, match="no event"):
        read(path)
