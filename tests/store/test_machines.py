from __future__ import annotations

from stored_rows import have_devices, queue_job, server
from tunesmith.service.context import Service
from tunesmith.store import claims, machines
from tunesmith.store.claims import Place
from tunesmith.store.machines import Slot


def test_a_server_is_seen_and_says_that_it_ends(service: Service) -> None:
    with service.database.write() as connection:
        machines.see(connection, "m", 1.0)
        machines.see(connection, "m", 2.0)
        machines.add_server(connection, server("one"))
        assert machines.see_server(connection, "one", 5.0)
        assert not machines.see_server(connection, "two", 5.0)
        machines.stop_server(connection, "one", 6.0)
        (found,) = machines.servers_of(connection, "m")
        assert (found.seen_at, found.stopped_at) == (5.0, 6.0)
        assert [(machine.created_at, machine.seen_at) for machine in machines.listed(connection)] == [(1.0, 2.0)]
        machines.remove_server(connection, "one")
        assert machines.servers_of(connection) == []


def test_devices_are_offered_anew_and_what_a_job_holds_stays(service: Service) -> None:
    with service.database.write() as connection:
        have_devices(connection, cpu=3)
        for _ in range(3):
            job = queue_job(connection)
            claims.claim(connection, job.number, Place("m", "cpu", 1), owner="me", now=0, until=9, max_running=None)
        last = machines.devices_of(connection)[2].job
        assert last is not None
        claims.release(connection, str(machines.devices_of(connection)[1].job))
        machines.offer(connection, "m", "cpu", [Slot("another", 7)])
        found = machines.devices_of(connection, "m")
        assert [(device.number, device.name, device.job is None) for device in found] == [
            (0, "another", False),
            (2, "cpu", False),
        ]
        assert [device.number for device in machines.held_by(connection, last)] == [2]
        claims.release(connection, last)
        assert [device.number for device in machines.devices_of(connection)] == [0], "what is offered no more is gone"


def test_a_device_that_is_offered_again_stays(service: Service) -> None:
    with service.database.write() as connection:
        have_devices(connection, cpu=1)
        job = queue_job(connection)
        claims.claim(connection, job.number, Place("m", "cpu", 1), owner="me", now=0, until=9, max_running=None)
        have_devices(connection, cpu=0)
        have_devices(connection, cpu=1)
        claims.release(connection, job.id)
        assert [device.number for device in machines.devices_of(connection)] == [0]


def test_a_machine_that_went_away_for_good_is_forgotten_unless_a_job_is_there(service: Service) -> None:
    with service.database.write() as connection:
        for name in ("gone", "busy"):
            have_devices(connection, name, cpu=1)
            machines.add_server(connection, server(f"server of {name}", name))
        job = queue_job(connection)
        claims.claim(connection, job.number, Place("busy", "cpu", 1), owner="me", now=0, until=9, max_running=None)
        machines.see(connection, "here", 100.0)
        machines.forget(connection, 50.0)
        assert [machine.id for machine in machines.listed(connection)] == ["busy", "here"]
        assert {device.machine for device in machines.devices_of(connection)} == {"busy"}
        assert [server.machine for server in machines.servers_of(connection)] == ["busy"]
