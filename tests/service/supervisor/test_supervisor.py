from __future__ import annotations

from shop import Shop
from tunesmith.service.jobs import queue
from tunesmith.spec.states import RunState
from tunesmith.store import machines, usage


def test_a_job_is_claimed_planned_run_and_recorded(shop: Shop) -> None:
    job = shop.submit(steps=3)
    done = shop.until_state(job, RunState.SUCCEEDED)

    assert shop.states_of(job) == ["queued", "preparing", "preparing", "running", "succeeded"]
    assert done.result is not None and done.result["output"] == str(shop.folder / "one")
    assert done.result["summary"]["steps"] == 3 and done.result["model"].startswith("model-")
    assert done.progress["step"] == 3 and done.progress["total_steps"] == 3 and done.share_done == 1.0
    told = queue.events_of(shop.service, job, limit=1000)
    numbers = [event.seq for event in told if event.seq is not None]
    assert numbers == sorted(set(numbers)) and [event.kind for event in told].count("step") == 3
    assert (shop.folder / "one" / "steps.txt").read_text() == "3"
    with shop.service.database.read() as connection:
        assert not any(device.job for device in machines.devices_of(connection))
        assert usage.since(connection, 0)["default"] > 0
