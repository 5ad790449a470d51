from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.errors import DatabaseUnusable
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.store import tables
from tunesmith.store.database import Database
from tunesmith.store.migrations import current, downgrade, upgrade

SPEC = JobSpec(model=ModelRef(source="some/model"), datasets=[DatasetRef(uri="some/data")])


def test_the_revisions_make_the_tables_that_the_code_uses(service: Service) -> None:
    with service.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_a_filled_database_goes_down_and_up_again(service: Service) -> None:
    queue.submit(service, queue.Submission(spec=SPEC, door="api"), OPERATOR)
    downgrade(service.database)
    with service.database.read() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    upgrade(service.database)
    again = queue.submit(service, queue.Submission(spec=SPEC, door="api"), OPERATOR)
    assert again.number == 1


def test_servers_that_start_at_once_make_the_tables_once(empty_database_url: str) -> None:
    databases = [Database(empty_database_url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(upgrade, databases))
    with databases[0].read() as connection:
        assert current(connection) is not None
    for database in databases:
        database.close()


def test_tables_of_a_later_version_are_left_alone(service: Service) -> None:
    with service.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnusable, match="a later version of tunesmith"):
        upgrade(service.database)
