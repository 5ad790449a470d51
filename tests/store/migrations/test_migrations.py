from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

import tunesmith.store.migrations
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.errors import DatabaseUnusable
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.store import tables
from tunesmith.store.database import Database
from tunesmith.store.migrations import NEWEST, current, downgrade, upgrade

SPEC = JobSpec(model=ModelRef(source="some/model"), datasets=[DatasetRef(uri="some/data")])


def test_the_revisions_make_the_tables_that_the_code_uses(service: Service) -> None:
    with service.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_the_newest_revision_is_named() -> None:
    folder = Path(tunesmith.store.migrations.__file__).parent
    assert ScriptDirectory(str(folder)).get_current_head() == NEWEST


def test_a_server_whose_tables_are_up_to_date_starts_without_alembic(service: Service) -> None:
    program = (
        "import sys; from tunesmith.store.database import Database; from tunesmith.store.migrations import upgrade; "
        "upgrade(Database(sys.argv[1])); print('alembic' in sys.modules)"
    )
    url = service.database.engine.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


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
