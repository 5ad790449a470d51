"""The numbers of a finished job as a file: one row a step, as OpenAI's ``step_metrics.csv`` has them."""

from __future__ import annotations

import csv
import io
from typing import Final

from tunesmith.service.context import Service
from tunesmith.service.datasets.files import File
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.queue import Job
from tunesmith.spec.errors import NotFound
from tunesmith.spec.states import RunState

RESULTS: Final = "file-results-"
"""Begins the id of such a file; the id of its job follows."""
COLUMNS: Final = ("step", "epoch", "train_loss", "learning_rate", "valid_loss")


def results_file(job: Job) -> File:
    """Return the file as the list of files would show it, but for its size.

    Raises:
        NotFound: the job has not succeeded.
    """
    id = RESULTS + job.id
    if job.state is not RunState.SUCCEEDED:
        raise NotFound("file", id)
    created = job.ended_at or job.created_at
    return File(id, job.org, "step_metrics.csv", "fine-tune-results", 0, "", "", "processed", None, created)


def results_csv(service: Service, job: Job) -> bytes:
    """Return its bytes.

    Raises:
        NotFound: the job has not succeeded.
    """
    results_file(job)
    rows: dict[int, dict[str, float]] = {}
    after = 0
    while page := queue.events_of(service, job, after, 1000):
        for event in page:
            if event.kind == "step":
                taken = {"train_loss": event.body["loss"], "learning_rate": event.body["learning_rate"]}
                rows[event.body["step"]] = {"epoch": event.body["epoch"], **taken}
            elif event.kind == "evaluated":
                rows.setdefault(event.body["step"], {})["valid_loss"] = event.body["validation_loss"]
        after = page[-1].id
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS)
    table.writeheader()
    table.writerows({"step": step, **numbers} for step, numbers in sorted(rows.items()))
    return text.getvalue().encode()
