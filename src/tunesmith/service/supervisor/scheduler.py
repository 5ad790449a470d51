"""Who is next? By priority, then by device time per weight, then by age; gangs whole or not at all. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tunesmith.store.claims import BESIDE, Group

WINDOW: Final = 24 * 3600.0
"""Seconds of the past that count for an organisation's share."""
LEAST_CHARGE: Final = 60.0
"""Device-seconds that a device counts for as soon as it is taken: of jobs that start in one instant too, each
organisation gets its part."""
CPU: Final = "cpu"
GPU: Final = "gpu"
SIDE: Final = BESIDE
"""The lane of what takes no place from a training: evaluations and exports that compute on the CPU."""


@dataclass(frozen=True)
class Offer:
    """Devices of one kind that a machine has."""

    total: int
    free: int

    @property
    def busy(self) -> int:
        """How many are taken."""
        return self.total - self.free


@dataclass(frozen=True)
class Standing:
    """What an organisation has used, and whether it may have more."""

    seconds: float = 0.0
    """Device-seconds within the window, with what runs now."""
    weight: float = 1.0
    refused: str | None = None
    """Why no more of its trainings may start, in words."""
    refused_beside: str | None = None
    """Why nothing more of it may start beside the trainings, in words."""

    @property
    def share(self) -> float:
        """Device-seconds for each unit of weight."""
        return self.seconds / self.weight

    def refusal(self, device: str) -> str | None:
        """Say why no more of its jobs for a device may start; None: they may."""
        return self.refused_beside if device == SIDE else self.refused


@dataclass(frozen=True)
class Choice:
    """The job that starts next, and on what."""

    group: Group
    kind: str
    slots: int


def choose(
    groups: Iterable[Group], standings: Mapping[str, Standing], offers: Mapping[str, Offer], *, has_gpu_lane: bool
) -> Choice | None:
    """Return what starts next on a machine with these free devices; None if nothing can.

    A gang that has its turn and finds too few free devices has as many reserved: behind it only so much starts that
    the gang still fits once the others have ended. Smaller jobs fill what it leaves, and it never starves.
    """
    reserved: dict[str, int] = {}
    for group in ordered(groups, standings):
        kind, slots = lane(group, offers, has_gpu_lane=has_gpu_lane)
        offer = offers.get(kind) if kind else None
        if kind is None or offer is None or slots > offer.total:
            continue
        if standings.get(group.org, Standing()).refusal(group.device):
            continue
        if slots <= min(offer.free, offer.total - reserved.get(kind, 0) - offer.busy):
            return Choice(group, kind, slots)
        if slots > 1:
            reserved.setdefault(kind, slots)
    return None


def ordered(groups: Iterable[Group], standings: Mapping[str, Standing]) -> list[Group]:
    """Return groups in the order of their turn."""
    nobody = Standing()
    return sorted(groups, key=lambda each: (-each.priority, standings.get(each.org, nobody).share, each.oldest))


def lane(group: Group, offers: Mapping[str, Offer], *, has_gpu_lane: bool) -> tuple[str | None, int]:
    """Return the kind of device that jobs get on a machine, and how many; no kind: not on this machine.

    A job for a GPU runs on a CPU only where no server for GPUs is registered at all, and needs one device there.
    """
    if group.device in (CPU, SIDE):
        return (group.device if group.device in offers else None), group.slots
    if GPU in offers:
        return GPU, group.slots
    if group.device == GPU and has_gpu_lane:
        return None, group.slots
    return (CPU if CPU in offers else None), 1


def standing(
    used: float,
    held: Sequence[tuple[int, float]],
    *,
    now: float,
    weight: float,
    refused: str | None = None,
    refused_beside: str | None = None,
) -> Standing:
    """Return how an organisation stands that was charged for so much and holds so many devices since such times."""
    running = sum(count * charge(now - since) for count, since in held)
    return Standing(used + running, weight, refused, refused_beside)


def charge(seconds: float) -> float:
    """Return what a device that is held for so long counts for."""
    return min(WINDOW, max(LEAST_CHARGE, seconds))


def why_waiting(
    group: Group,
    standings: Mapping[str, Standing],
    machines: Mapping[str, Mapping[str, Offer]],
    silent: Sequence[str] = (),
    *,
    has_gpu_lane: bool,
) -> str | None:
    """Say why jobs are still queued; None where nothing is in their way but their turn.

    ``machines`` are those whose servers claim jobs, with what they offer; ``silent`` are machines with a server for
    GPUs that has not been heard of.
    """
    refused = standings.get(group.org, Standing()).refusal(group.device)
    if refused:
        return refused
    lanes = {name: lane(group, offers, has_gpu_lane=has_gpu_lane) for name, offers in machines.items()}
    usable = {name: (machines[name][kind], slots) for name, (kind, slots) in lanes.items() if kind is not None}
    # A job for GPUs takes the CPU where nobody has one: what it waits for is then what it gets.
    kinds = {kind for kind, _ in lanes.values() if kind is not None} or {group.device}
    words = {CPU: "CPU slot", GPU: "GPU", SIDE: "place beside its trainings"}
    what = words.get(kinds.pop(), "device") if len(kinds) == 1 else "device"
    if not usable:
        if group.device == GPU and silent:
            return f"The server for GPUs on {', '.join(sorted(silent))} is not heard of; the job waits for it."
        return f"No server that lends a {what} is running."
    if all(offer.total < slots for offer, slots in usable.values()):
        most = max(offer.total for offer, _ in usable.values())
        return f"The job needs {group.slots} {what}s at once, and the largest machine has {most}."
    if all(offer.free == 0 for offer, _ in usable.values()):
        return f"Every {what} is taken." if group.device != SIDE else "Every place beside the trainings is taken."
    if all(offer.free < slots for offer, slots in usable.values()):
        return f"The job needs {group.slots} {what}s at once, and not so many are free on one machine."
    return None
