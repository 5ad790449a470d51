from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.principal import OPERATOR, Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.errors import BadValue, Conflict, Forbidden, NotFound, QuotaExceeded, Unauthenticated
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.states import RunState
from tunesmith.store import accounts, tables


@pytest.fixture
def acme(service: Service) -> Principal:
    """An administrator of the organisation acme."""
    organisations.create(service, OPERATOR, "acme")
    _, secret = keys.create(service, OPERATOR, org="acme", role=Role.ADMIN)
    return keys.authenticate(service, secret)


def test_a_secret_opens_what_it_was_made_for_and_is_not_kept(service: Service, acme: Principal) -> None:
    key, secret = keys.create(service, acme, org="acme", role=Role.VIEWER, label="dashboard")
    assert keys.authenticate(service, secret) == Principal("acme", Role.VIEWER, key.id)
    with service.database.read() as connection:
        rows = [tuple(row) for row in connection.execute(select(tables.keys))]
    assert secret.startswith(key.prefix) and all(secret not in str(row) for row in rows)


def test_the_use_of_a_key_is_noted(service: Service, acme: Principal) -> None:
    assert [key.used_at is not None for key in keys.listed(service, acme)] == [True]


def test_a_revoked_key_opens_nothing(service: Service, acme: Principal) -> None:
    key, secret = keys.create(service, acme, org="acme", role=Role.MEMBER)
    keys.authenticate(service, secret)
    assert keys.revoke(service, acme, key.id).revoked_at is not None
    with pytest.raises(Unauthenticated, match="revoked"):
        keys.authenticate(service, secret)


def test_keys_are_in_force_while_one_lives(service: Service) -> None:
    assert not keys.in_force(service)
    key, _ = keys.create(service, OPERATOR, org=None, role=Role.ADMIN)
    assert keys.in_force(service)
    keys.revoke(service, OPERATOR, key.id)
    assert not keys.in_force(service)


def test_no_administrator_of_one_organisation_ends_the_need_for_keys(service: Service, acme: Principal) -> None:
    own = keys.listed(service, acme)[0].id
    with pytest.raises(Conflict, match="last key"):
        keys.revoke(service, acme, own)
    assert keys.in_force(service)
    other, _ = keys.create(service, acme, org="acme", role=Role.VIEWER)
    assert keys.revoke(service, acme, own).revoked_at is not None
    assert keys.revoke(service, acme, own).revoked_at is not None, "what is revoked can be revoked again"
    with pytest.raises(Conflict, match="last key"):
        keys.revoke(service, acme, other.id)
    keys.revoke(service, OPERATOR, other.id)
    assert not keys.in_force(service)


@pytest.mark.parametrize("secret", ["", "ts_", "ts_" + "a" * 43, "'; DROP TABLE keys; --", "\0"])
def test_nobodys_secret_opens_nothing(service: Service, acme: Principal, secret: str) -> None:
    with pytest.raises(Unauthenticated):
        keys.authenticate(service, secret)


def test_nobody_grants_more_than_they_have(service: Service, acme: Principal) -> None:
    organisations.create(service, OPERATOR, "other")
    with pytest.raises(Forbidden, match="operator"):
        keys.create(service, acme, org=None, role=Role.ADMIN)
    with pytest.raises(Forbidden, match="belongs to organisation 'acme'"):
        keys.create(service, acme, org="other", role=Role.VIEWER)
    with pytest.raises(Forbidden, match="role 'admin'"):
        keys.create(service, Principal("acme", Role.MEMBER), org="acme", role=Role.VIEWER)
    with pytest.raises(BadValue, match="admin"):
        keys.create(service, OPERATOR, org=None, role=Role.VIEWER)
    with pytest.raises(NotFound):
        keys.create(service, OPERATOR, org="nobody", role=Role.VIEWER)


def test_an_administrator_sees_and_revokes_only_their_own_keys(service: Service, acme: Principal) -> None:
    organisations.create(service, OPERATOR, "other")
    theirs, _ = keys.create(service, OPERATOR, org="other", role=Role.ADMIN)
    assert [key.org for key in keys.listed(service, acme)] == ["acme"]
    with pytest.raises(NotFound):
        keys.revoke(service, acme, theirs.id)


def test_a_members_role_caps_their_keys_and_removal_revokes_them(service: Service, acme: Principal) -> None:
    organisations.put_member(service, acme, "acme", "ann", Role.VIEWER)
    _, secret = keys.create(service, acme, org="acme", role=Role.ADMIN, member="ann")
    assert keys.authenticate(service, secret).role is Role.VIEWER
    organisations.remove_member(service, acme, "acme", "ann")
    keys._forget(service)
    with pytest.raises(Unauthenticated):
        keys.authenticate(service, secret)
    assert organisations.members_of(service, acme, "acme") == []


def test_only_the_operator_makes_organisations_and_sets_quotas(service: Service, acme: Principal) -> None:
    with pytest.raises(Forbidden):
        organisations.create(service, acme, "mine")
    with pytest.raises(Forbidden):
        organisations.change(service, acme, "acme", {"max_queued": 10})
    assert organisations.change(service, OPERATOR, "acme", {"max_queued": 10, "weight": 2}).max_queued == 10
    with pytest.raises(Conflict):
        organisations.create(service, OPERATOR, "acme")
    with pytest.raises(NotFound):
        organisations.get(service, acme, "default")
    assert [org.id for org in organisations.listed(service, acme)] == ["acme"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-a", "a" * 65, "ä", "a b"])
def test_an_organisations_name_is_a_plain_word(service: Service, name: str) -> None:
    with pytest.raises(BadValue):
        organisations.create(service, OPERATOR, name)


@pytest.mark.parametrize(
    "values",
    [
        {"weight": 0},
        {"max_bytes": -1},
        {"max_queued": float("nan")},
        {"max_queued": 1.5},
        {"max_bytes": 2**63},
        {"colour": 1},
    ],
)
def test_a_quota_that_cannot_be_is_refused(service: Service, acme: Principal, values: dict[str, float]) -> None:
    with pytest.raises(BadValue):
        organisations.change(service, OPERATOR, "acme", values)


def test_many_at_once_never_queue_more_than_the_quota(service: Service, acme: Principal) -> None:
    organisations.change(service, OPERATOR, "acme", {"max_queued": 5})
    spec = JobSpec(model=ModelRef(source="some/model"), datasets=[DatasetRef(uri="some/data")])

    def submit(_: int) -> bool:
        try:
            queue.submit(service, queue.Submission(spec=spec, door="api"), acme)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(submit, range(20))) == 5


def test_a_paused_job_comes_back_only_where_the_quota_has_room(service: Service, acme: Principal) -> None:
    organisations.change(service, OPERATOR, "acme", {"max_queued": 1})
    spec = JobSpec(model=ModelRef(source="some/model"), datasets=[DatasetRef(uri="some/data")])
    first = queue.submit(service, queue.Submission(spec=spec, door="api"), acme)
    queue.pause(service, first.id, acme)
    second = queue.submit(service, queue.Submission(spec=spec, door="api"), acme)
    with pytest.raises(QuotaExceeded):
        queue.resume(service, first.id, acme)
    queue.cancel(service, second.id, acme)
    assert queue.resume(service, first.id, acme).state is RunState.QUEUED


def test_a_new_organisation_is_made_once_by_many_at_once(service: Service) -> None:
    spec = JobSpec(model=ModelRef(source="some/model"), datasets=[DatasetRef(uri="some/data")])

    def submit(_: int) -> str:
        return queue.submit(service, queue.Submission(spec=spec, door="api", org="fresh"), OPERATOR).org

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(submit, range(16))) == {"fresh"}


def test_device_hours_that_are_used_up_refuse_further_jobs(service: Service, acme: Principal) -> None:
    from tunesmith.store import usage

    organisations.change(service, OPERATOR, "acme", {"max_device_hours": 1})
    spec = JobSpec(model=ModelRef(source="some/model"), datasets=[DatasetRef(uri="some/data")])
    queue.submit(service, queue.Submission(spec=spec, door="api"), acme)
    with service.database.write() as connection:
        now = service.database.now(connection)
        usage.add(connection, "acme", start=now - 2400, end=now, slots=2)
    with pytest.raises(QuotaExceeded, match="device-hours"):
        queue.submit(service, queue.Submission(spec=spec, door="api"), acme)


def test_an_organisation_of_its_own_weight_is_stored(service: Service) -> None:
    made = organisations.create(service, OPERATOR, "acme", {"weight": 2.5})
    with service.database.read() as connection:
        assert accounts.organisation(connection, "acme") == made and made.weight == 2.5
