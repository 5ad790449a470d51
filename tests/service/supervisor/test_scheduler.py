from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.service.supervisor.scheduler import (
    LEAST_CHARGE,
    Choice,
    Offer,
    Standing,
    choose,
    standing,
    why_waiting,
)
from tunesmith.store.claims import Group


def group(org: str = "a", *, priority: int = 0, device: str = "cpu", slots: int = 1, oldest: int = 1) -> Group:
    return Group(priority, org, device, slots, oldest, 1)


def chosen(
    groups: Iterable[Group], *, cpu: tuple[int, int] = (0, 0), gpu: tuple[int, int] = (0, 0), lane: bool = True,
    **standings: Standing,
) -> Choice | None:  # fmt: skip
    """Choose where a machine has so many devices of a kind, and so many of them free."""
    offers = {kind: Offer(*counts) for kind, counts in (("cpu", cpu), ("gpu", gpu)) if counts[0]}
    return choose(groups, standings, offers, has_gpu_lane=lane)


def test_a_higher_priority_goes_first() -> None:
    urgent = group(priority=5, oldest=9)
    assert chosen([group(oldest=1), urgent], cpu=(1, 1)) == Choice(urgent, "cpu", 1)


def test_of_two_organisations_the_one_that_used_less_for_its_weight_goes_first() -> None:
    groups = [group("a", oldest=1), group("b", oldest=2)]
    first = chosen(groups, cpu=(1, 1), a=Standing(100, weight=1), b=Standing(150, weight=2))
    assert first is not None and first.group.org == "b"


def test_otherwise_the_oldest_goes_first() -> None:
    first = chosen([group("b", oldest=2), group("a", oldest=1)], cpu=(1, 1))
    assert first is not None and first.group.org == "a"


def test_what_goes_beside_trainings_takes_none_of_their_places() -> None:
    beside, training = group(device="side", oldest=1), group(oldest=2)
    offers = {"cpu": Offer(1, 0), "side": Offer(1, 1)}
    assert choose([training, beside], {}, offers, has_gpu_lane=True) == Choice(beside, "side", 1)
    assert choose([training, beside], {}, {"cpu": Offer(1, 1)}, has_gpu_lane=True) == Choice(training, "cpu", 1)


def test_who_may_train_no_more_may_still_measure_what_is_trained() -> None:
    beside, offers = group(device="side"), {"side": Offer(1, 1)}
    enough = Standing(refused="too many run")
    assert choose([beside], {"a": enough}, offers, has_gpu_lane=False) == Choice(beside, "side", 1)
    spent = Standing(refused="no hours left", refused_beside="no hours left")
    assert choose([beside], {"a": spent}, offers, has_gpu_lane=False) is None
    assert why_waiting(beside, {"a": spent}, {"m": offers}, has_gpu_lane=False) == "no hours left"


def test_who_has_reached_a_limit_is_passed_over() -> None:
    groups = [group("a", oldest=1), group("b", oldest=2)]
    first = chosen(groups, cpu=(1, 1), a=Standing(refused="enough"))
    assert first is not None and first.group.org == "b"


@pytest.mark.parametrize(
    ("device", "offered", "has_lane", "kind", "slots"),
    [
        ("cpu", {"cpu": (1, 1), "gpu": (4, 4)}, True, "cpu", 1),
        ("any", {"cpu": (1, 1), "gpu": (4, 4)}, True, "gpu", 1),
        ("any", {"cpu": (1, 1)}, True, "cpu", 1),
        ("any", {"gpu": (1, 1)}, True, "gpu", 1),
        ("gpu", {"cpu": (1, 1), "gpu": (4, 4)}, True, "gpu", 1),
        ("gpu", {"cpu": (1, 1)}, True, None, 1),
        ("gpu", {"cpu": (1, 1)}, False, "cpu", 1),
        ("cpu", {"gpu": (1, 1)}, True, None, 1),
        # Where there is a GPU, a job that may take either waits for it rather than compute for days.
        ("any", {"cpu": (1, 1), "gpu": (1, 0)}, True, None, 1),
    ],
)
def test_the_lane_of_a_device(
    device: str, offered: dict[str, tuple[int, int]], has_lane: bool, kind: str | None, slots: int
) -> None:
    first = chosen([group(device=device)], **offered, lane=has_lane)  # type: ignore[arg-type]
    assert (first and (first.kind, first.slots)) == (kind and (kind, slots))


def test_a_gang_without_any_gpu_needs_one_cpu_slot() -> None:
    first = chosen([group(device="gpu", slots=4)], cpu=(1, 1), lane=False)
    assert first is not None and (first.kind, first.slots) == ("cpu", 1)


def test_a_gang_is_not_split() -> None:
    assert chosen([group(device="gpu", slots=3)], gpu=(4, 2)) is None


def test_small_jobs_fill_what_a_waiting_gang_leaves_and_no_more() -> None:
    gang, small = group("a", device="gpu", slots=3, oldest=1), group("b", device="gpu", oldest=2)
    # Of four, one is beyond what the gang needs: with one busy, three stay reserved.
    assert chosen([gang, small], gpu=(4, 4)) == Choice(gang, "gpu", 3)
    assert chosen([gang, small], gpu=(4, 2)) is None
    assert chosen([replace(gang, slots=2), small], gpu=(4, 1)) is None
    assert chosen([replace(gang, slots=3), small], gpu=(5, 2)) is None
    assert chosen([replace(gang, slots=3), small], gpu=(6, 2), a=Standing(1)) == Choice(small, "gpu", 1)


def test_a_gang_that_fits_on_no_machine_reserves_nothing() -> None:
    gang, small = group("a", device="gpu", slots=9, oldest=1), group("b", device="gpu", oldest=2)
    assert chosen([gang, small], gpu=(4, 1)) == Choice(small, "gpu", 1)


def test_jobs_of_one_instant_count_at_once() -> None:
    assert standing(0, [(2, 100.0)], now=100.0, weight=1).seconds == 2 * LEAST_CHARGE
    assert standing(50, [(1, 0.0)], now=100.0, weight=1).seconds == 150


@pytest.mark.parametrize(
    ("wanted", "machines", "silent", "refused", "sentence"),
    [
        (group(), {"m": {"cpu": Offer(1, 1)}}, (), None, None),
        (group(), {"m": {"cpu": Offer(2, 0)}}, (), None, "Every CPU slot is taken."),
        (group(), {}, (), None, "No server that lends a CPU slot is running."),
        (group(), {"m": {"cpu": Offer(2, 2)}}, (), "Enough.", "Enough."),
        (
            group(device="gpu", slots=4), {"m": {"gpu": Offer(2, 2)}}, (), None,
            "The job needs 4 GPUs at once, and the largest machine has 2.",
        ),
        (
            group(device="gpu", slots=2), {"m": {"gpu": Offer(2, 1)}}, (), None,
            "The job needs 2 GPUs at once, and not so many are free on one machine.",
        ),
        (
            group(device="gpu"), {"m": {"cpu": Offer(1, 1)}}, ("big",), None,
            "The server for GPUs on big is not heard of; the job waits for it.",
        ),
    ],
)  # fmt: skip
def test_what_a_job_waits_for(
    wanted: Group, machines: dict[str, dict[str, Offer]], silent: tuple[str, ...], refused: str | None,
    sentence: str | None,
) -> None:  # fmt: skip
    standings = {"a": Standing(refused=refused)}
    assert why_waiting(wanted, standings, machines, silent, has_gpu_lane=True) == sentence


GROUPS = st.lists(
    st.builds(
        Group,
        priority=st.integers(0, 2),
        org=st.sampled_from("abc"),
        device=st.sampled_from(["any", "cpu", "gpu"]),
        slots=st.integers(1, 6),
        oldest=st.integers(1, 1000),
        count=st.just(1),
    ),
    unique_by=lambda each: each.oldest,
    max_size=12,
)
DEVICES = st.integers(0, 6).flatmap(lambda total: st.tuples(st.just(total), st.integers(0, total)))


@settings(deadline=None)
@given(GROUPS, DEVICES, DEVICES, st.booleans())
def test_never_more_than_is_free_and_a_gang_whole(
    groups: list[Group], cpu: tuple[int, int], gpu: tuple[int, int], lane: bool
) -> None:
    first = chosen(groups, cpu=cpu, gpu=gpu, lane=lane)
    if first is not None:
        free = {"cpu": cpu[1], "gpu": gpu[1]}[first.kind]
        falls_back = first.kind == "cpu" and first.group.device != "cpu"
        assert first.slots <= free and first.slots == (1 if falls_back else first.group.slots)


@settings(deadline=None)
@given(GROUPS, DEVICES, DEVICES, st.booleans())
def test_whatever_fits_alone_starts_unless_a_gang_comes_first(
    groups: list[Group], cpu: tuple[int, int], gpu: tuple[int, int], lane: bool
) -> None:
    if groups and all(each.slots == 1 for each in groups):
        fits = any(chosen([each], cpu=cpu, gpu=gpu, lane=lane) for each in groups)
        assert (chosen(groups, cpu=cpu, gpu=gpu, lane=lane) is not None) == fits


@dataclass
class Simulation:
    """One machine, several organisations, and time that jumps from one end of a job to the next."""

    devices: int
    weights: dict[str, float]
    queued: dict[str, list[tuple[int, int, float]]]
    """By organisation the jobs that wait: number, slots, duration."""
    now: float = 0.0
    running: list[tuple[float, float, str, int]] = field(default_factory=list)
    """When each ends and began, whose it is, how many devices it has."""
    used: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    begun: dict[int, float] = field(default_factory=dict)

    def go_on(self, until: float) -> None:
        while self.now < until:
            while self._start_one():
                pass
            if not self.running:
                return
            self.running.sort()
            end, began, org, slots = self.running.pop(0)
            self.now = end
            self.used[org] += (end - began) * slots

    def _start_one(self) -> bool:
        busy = sum(slots for *_, slots in self.running)
        assert busy <= self.devices
        groups = [
            Group(0, org, "cpu", slots, min(number for number, size, _ in jobs if size == slots), 1)
            for org, jobs in self.queued.items()
            for slots in {size for _, size, _ in jobs}
        ]
        held = {org: [(n, began) for _, began, whose, n in self.running if whose == org] for org in self.weights}
        standings = {
            org: standing(self.used[org], held[org], now=self.now, weight=weight)
            for org, weight in self.weights.items()
        }
        offer = Offer(self.devices, self.devices - busy)
        choice = choose(groups, standings, {"cpu": offer}, has_gpu_lane=False)
        if choice is None:
            return False
        jobs = self.queued[choice.group.org]
        job = next(job for job in jobs if job[0] == choice.group.oldest)
        jobs.remove(job)
        self.begun[job[0]] = self.now
        self.running.append((self.now + job[2], self.now, choice.group.org, job[1]))
        return True


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 10**6))
def test_three_organisations_get_device_time_by_their_weights_though_one_floods(devices: int, seed: int) -> None:
    draw = random.Random(seed)
    weights = {"flood": 1.0, "small": 1.0, "double": 2.0}
    queued = {
        org: [(start + number, 1, draw.uniform(60, 600)) for number in range(400)]
        for org, start in (("flood", 0), ("small", 10_000), ("double", 20_000))
    }
    simulation = Simulation(devices, weights, queued)
    simulation.go_on(8 * 3600.0)
    for _, began, org, slots in simulation.running:
        simulation.used[org] += (simulation.now - began) * slots
    shares = [simulation.used[org] / weight for org, weight in weights.items()]
    # Nobody is further ahead than what one round of the longest jobs makes.
    assert max(shares) - min(shares) <= 600 * devices + LEAST_CHARGE


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(0, 10**6))
def test_a_gang_that_needs_the_whole_machine_is_not_starved(devices: int, seed: int) -> None:
    draw = random.Random(seed)
    singles = [(1 + number, 1, draw.uniform(60, 600)) for number in range(2000)]
    simulation = Simulation(devices, {"a": 1.0, "b": 1.0}, {"a": singles, "b": [(5000, devices, 300.0)]})
    simulation.go_on(3 * 3600.0)
    # It is its turn as soon as the other organisation has used anything; then the longest job that runs must end.
    assert simulation.begun[5000] <= 2 * 600
