"""A job whose data comes with the request: conversations, kept as one file of the organisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.datasets.conversations import Tally, write_conversations
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.organisation_defaults import FEW_SAMPLES
from tunesmith.spec.errors import SplitImpossible, TooFewAnswers

if TYPE_CHECKING:
    from tunesmith.service.context import Service


def conversations_file(service: Service, org: str, job: str) -> Path:
    """Return where the conversations of a job are kept."""
    return organisation_folder(service.settings, org) / "data" / "conversations" / f"{job}.jsonl"


def submit_conversations(
    service: Service, wanted: queue.Submission, conversations: Iterable[Mapping[str, Any]], by: Principal, *, least: int
) -> queue.Job:
    """Keep conversations, and queue the job that trains on them; what became of them stands in ``extra["data"]``.

    ``least`` is how many answers to learn there must be.

    Raises:
        NoAnswerToLearn, TooFewAnswers: there is nothing, or too little, to train on.
        SplitImpossible: a typed share for validation is no conversation.
        TunesmithError: as ``queue.submit``; the conversations are not kept then.
    """
    by.needs(Role.MEMBER)
    org = by.acting_for(wanted.org)
    path = conversations_file(service, org, wanted.id)
    try:
        tally = write_conversations(path, conversations)
        _refuse_too_little(tally, wanted.spec.evaluation.validation_split, least)
        warnings = [*wanted.warnings, *_warnings(tally)]
        extra = {**wanted.extra, "data": tally.as_dict()}
        return queue.submit(service, replace(wanted, warnings=warnings, extra=extra), by)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _refuse_too_little(tally: Tally, split: float | None, least: int) -> None:
    if tally.trained_answers < least:
        raise TooFewAnswers(tally.trained_answers, least)
    if split and not int(tally.used * split):
        raise SplitImpossible(split, tally.used, "validation_split")


def _warnings(tally: Tally) -> list[str]:
    warnings = []
    if tally.trained_answers < FEW_SAMPLES:
        warnings.append(
            f"The conversations have {tally.trained_answers} answers to learn; below {FEW_SAMPLES} a model mostly "
            "learns them by heart."
        )
    if tally.left_out:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in tally.left_out.items())
        warnings.append(f"{sum(tally.left_out.values())} of {tally.messages} messages are not used ({reasons}).")
    return warnings
