from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stored_rows import have_devices, queue_job
from tunesmith.service.context import Service
from tunesmith.store import claims, usage
from tunesmith.store.claims import Place


def test_device_time_is_charged_to_the_hours_in_which_it_was_used(service: Service) -> None:
    with service.database.write() as connection:
        usage.add(connection, "a", start=3500.0, end=3700.0, slots=2)
        usage.add(connection, "a", start=3600.0, end=3610.0, slots=1)
        usage.add(connection, "b", start=0.0, end=10.0, slots=1)
        assert usage.since(connection, 0.0) == {"a": 410.0, "b": 10.0}
        assert usage.since(connection, 3650.0) == {"a": 210.0}


@given(st.floats(0, 10**6), st.floats(0, 10**5))
def test_hours_add_up_to_the_whole_time(start: float, seconds: float) -> None:
    hours = list(usage.hours_of(start, start + seconds))
    assert abs(sum(part for _, part in hours) - seconds) < 1e-3
    assert all(0 < part <= usage.HOUR for _, part in hours)
    assert [hour for hour, _ in hours] == sorted({hour for hour, _ in hours})


def test_what_jobs_hold_now_is_told_by_organisation(service: Service) -> None:
    with service.database.write() as connection:
        have_devices(connection, gpu=3)
        job = queue_job(connection, device="gpu", slots=2)
        claims.claim(connection, job.number, Place("m", "gpu", 2), owner="me", now=5.0, until=9, max_running=None)
        assert usage.held(connection) == [("a", "gpu", 2, 5.0)]
        assert usage.limits(connection, {"a", "nobody"}) == {"a": usage.Limit(1.0, None, None)}
