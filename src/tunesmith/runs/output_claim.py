"""Which run an output belongs to: ``claim.json`` in the output's private folder, read and written under its lock."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from tunesmith.runs.durable import read_json, write_json
from tunesmith.runs.folder import Header, RunFolder
from tunesmith.runs.lease import LeaseWatch
from tunesmith.spec.errors import Overtaken
from tunesmith.spec.recipe import Part

_FILE: Final = "claim.json"


class Claim(Part):
    """A run's hold on an output."""

    run: str
    folder: str
    job: str | None = None
    token: int = 0

    def is_earlier_than(self, header: Header) -> bool:
        """Whether this is an attempt at the same job before another one; it has lost the job, even if it lives."""
        return self.job is not None and self.job == header.job and self.token < header.token


def claim_in(private: Path) -> Claim | None:
    """Return whose the output is; None if it is nobody's."""
    content = read_json(private / _FILE)
    try:
        return Claim.model_validate(content) if content is not None else None
    except ValidationError:
        return None


def write_claim(private: Path, run: RunFolder, header: Header) -> None:
    """Make the output a run's."""
    claim = Claim(run=run.id, folder=str(run.path), job=header.job, token=header.token)
    write_json(private / _FILE, claim.model_dump(mode="json"))


def drop_claim(private: Path, run: RunFolder) -> None:
    """Make the output nobody's, if it is this run's."""
    holder = claim_in(private)
    if holder is not None and holder.run == run.id:
        (private / _FILE).unlink()


def refuse_overtaken(private: Path, run: RunFolder, header: Header) -> None:
    """Refuse a run that has lost its output while it was not looking.

    Raises:
        Overtaken: its lease has passed, or the output is another run's by now, or was until that had published.
    """
    if LeaseWatch(run).has_passed():
        raise Overtaken(run.id, "its lease has passed")
    holder = claim_in(private)
    if holder is not None and holder.run != run.id:
        raise Overtaken(run.id, f"run {holder.run} has its output")
    if holder is None and header.job is not None:
        raise Overtaken(run.id, "its claim on the output is gone")
