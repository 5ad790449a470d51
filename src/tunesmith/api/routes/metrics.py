"""Numbers for Prometheus. An organisation's id is the only word of users that becomes a label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.middleware.timing import REQUESTS
from tunesmith.service.system import overview
from tunesmith.spec.errors import Forbidden

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(service: Serving, by: Asker) -> PlainTextResponse:
    """Tell the numbers of the queue, the devices and this server's requests; to the operator alone."""
    if not by.is_operator:
        raise Forbidden("the numbers of all organisations are for the server's operator")
    queue = CollectorRegistry(auto_describe=False)
    queue.register(_Queue(overview.numbers(service)))
    queue.register(_Serving(service.serving.figures()))
    return PlainTextResponse(generate_latest(queue) + generate_latest(REQUESTS), media_type="text/plain; version=0.0.4")


SERVING: Final = {
    "processes": "Processes of this server that hold a model.",
    "adapters": "Adapters that they have loaded.",
    "memory_bytes": "Memory that they take.",
    "running": "Answers that they are writing.",
    "waiting": "Requests that wait for them.",
    "tokens": "Tokens that they have written since each was started.",
}
"""What is told of the models that are loaded now."""
HAPPENED: Final = {
    "started": "Processes that were started for a model.",
    "died": "Processes that ended while they held one.",
    "evicted": "Models that left because memory was short.",
    "idle": "Models that left because nobody asked them.",
}
"""What is counted of them since this server started."""


class _Serving(Collector):
    """The numbers of this server's loaded models, as Prometheus wants them."""

    def __init__(self, figures: Mapping[str, float]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield each family."""
        for name, said in SERVING.items():
            yield GaugeMetricFamily(f"tunesmith_serving_{name}", said, value=self._figures[name])
        for name, said in HAPPENED.items():
            yield CounterMetricFamily(f"tunesmith_serving_{name}", said, value=self._figures[name])


class _Queue(Collector):
    """The queue's numbers, as Prometheus wants them."""

    def __init__(self, numbers: overview.Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield each family."""
        jobs = GaugeMetricFamily("tunesmith_jobs", "Jobs by state and organisation.", labels=["state", "org"])
        for (org, state), count in self._numbers.jobs.items():
            jobs.add_metric([str(state), org], count)
        yield jobs
        waits = GaugeMetricFamily(
            "tunesmith_job_queue_seconds", "Seconds that the oldest queued job has waited.", labels=["org"]
        )
        for org, seconds in self._numbers.waits.items():
            waits.add_metric([org], seconds)
        yield waits
        devices = GaugeMetricFamily("tunesmith_devices", "Devices that jobs can take.", labels=["kind"])
        held = GaugeMetricFamily("tunesmith_devices_in_use", "Devices that jobs have.", labels=["kind"])
        for kind, count in self._numbers.devices.items():
            devices.add_metric([kind], count)
            held.add_metric([kind], self._numbers.held.get(kind, 0))
        yield devices
        yield held
