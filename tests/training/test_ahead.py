from __future__ import annotations

import threading

import pytest
import torch

from training.parts import Pieces, load_tiny, make_loop, token_rows, weights_of
from tunesmith.training import ahead as module
from tunesmith.training.ahead import Ahead, ahead


class Slow:
    """Rows that note who makes a batch, and when it is done."""

    def __init__(self) -> None:
        self.made: dict[tuple[int, ...], str] = {}
        self.done = {number: threading.Event() for number in range(9)}

    @property
    def lengths(self):
        return [1] * 9

    def labels(self, rows, epoch):
        return len(rows)

    def batch(self, rows, epoch):
        if 8 in rows:
            raise MemoryError
        self.made[tuple(rows)] = threading.current_thread().name
        self.done[rows[0]].set()
        return [*rows, epoch]


def test_the_next_batch_is_made_before_it_is_asked_for():
    rows = Slow()
    made = Ahead(rows)
    made.expect([[1], [2], [3]], 5)
    assert made.batch([1], 5) == [1, 5]
    assert rows.done[2].wait(10)
    assert made.batch([2], 5) == [2, 5]
    assert rows.done[3].wait(10)
    assert all(name.startswith("batches") for name in rows.made.values())


def test_what_was_made_for_the_step_that_was_expected_is_used_by_it():
    rows = Slow()
    made = Ahead(rows)
    made.expect([[1], [2]], 0)
    made.batch([1], 0)
    assert rows.done[2].wait(10)
    rows.made.clear()
    made.expect([[2], [3]], 0)
    assert made.batch([2], 0) == [2, 0]
    assert (2,) not in rows.made
    assert rows.done[3].wait(10)


@pytest.mark.parametrize("asked", [([4], 0), ([1], 1)])
def test_another_batch_than_the_expected_one_is_made_when_it_is_asked_for(asked):
    rows = Slow()
    made = Ahead(rows)
    made.expect([[1]], 0)
    assert made.batch(*asked) == [*asked[0], asked[1]]
    assert rows.made[tuple(asked[0])] == threading.current_thread().name


def test_a_fault_is_raised_where_the_batch_is_asked_for():
    made = Ahead(Slow())
    made.expect([[8], [1]], 0)
    with pytest.raises(MemoryError):
        made.batch([8], 0)
    assert made.batch([1], 0) == [1, 0]


def test_a_processor_does_not_compete_with_itself():
    rows = Slow()
    assert ahead(rows, torch.device("cpu")) is rows
    assert isinstance(ahead(rows, torch.device("cuda")), Ahead)


def test_a_run_learns_the_same_from_batches_that_are_made_ahead(tiny_model, tmp_path, monkeypatch):
    found = []
    for devices in ({"cuda"}, {"cuda", "cpu"}):
        monkeypatch.setattr(module, "BESIDE", devices)
        pieces = Pieces(load_tiny(tiny_model), token_rows())
        loop, recorder = make_loop(pieces, tmp_path / str(len(devices)), micro_tokens=64)
        loop.run()
        found.append((weights_of(loop), [step.loss for step in recorder.of("step")]))
        assert isinstance(loop.gradients._train, Ahead) is ("cpu" in devices)
    (one, losses), (other, same) = found
    assert losses == same
    assert all(torch.equal(one[name], other[name]) for name in one)
