from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from database import postgres_bin, postgres_server
from require import need
from small_disk import small_disk
from tunesmith.service.context import Service
from tunesmith.spec.errors import DatabaseUnusable, DiskFull, PackageMissing, UnstorableText
from tunesmith.store.database import Database
from tunesmith.store.mounts import network_file_system

COUNT = """
import sys
from sqlalchemy import text
from tunesmith.store.database import Database
database = Database(sys.argv[1])
for _ in range(50):
    with database.write() as connection:
        count = connection.execute(text("SELECT count FROM counter")).scalar_one()
        connection.execute(text("UPDATE counter SET count = :count"), {"count": count + 1})
"""


def test_a_text_with_a_zero_byte_is_nobodys_name_or_refused_in_words(service: Service) -> None:
    database = service.database
    refused = contextlib.nullcontext() if database.is_sqlite else pytest.raises(UnstorableText, match="NUL")
    with refused, database.read() as connection:
        assert connection.execute(text("SELECT 1 WHERE 'a' = :name"), {"name": "a\x00"}).all() == []


def test_no_update_is_lost_among_threads_and_processes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'count.db'}"
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counter (count INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def count(_: int) -> None:
        with database.write() as connection:
            now = connection.execute(text("SELECT count FROM counter")).scalar_one()
            connection.execute(text("UPDATE counter SET count = :count"), {"count": now + 1})

    children = [subprocess.Popen([sys.executable, "-c", COUNT, url]) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(100)))
    assert [child.wait() for child in children] == [0] * 4
    with database.read() as connection:
        assert connection.execute(text("SELECT count FROM counter")).scalar_one() == 300
    database.close()


def test_a_transaction_that_breaks_off_changes_nothing(service: Service) -> None:
    with pytest.raises(ZeroDivisionError), service.database.write() as connection:
        connection.execute(text("INSERT INTO machines (id, created_at, seen_at) VALUES ('a', 1, 1)"))
        _ = 1 / 0
    with service.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM machines")).scalar_one() == 0


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://me:secret@127.0.0.1:1/none", "cannot be used"),
        ("mysql://me:secret@127.0.0.1/none", "only sqlite:///FILE and postgresql"),
        ("nonsense", "no address of a database"),
        ("me:secret@host/none", "no address of a database"),
        ("postgresql://me:secret@host:port/none", "no address of a database"),
        ("postgresql://me@127.0.0.1:1/none?password=secret", "cannot be used"),
        ("sqlite://", "name a file"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence_without_its_password(url: str, why: str) -> None:
    with pytest.raises(DatabaseUnusable, match=why) as caught, Database(url).read():
        pass
    assert "secret" not in caught.value.message and "\n" not in caught.value.message


def test_a_wrong_password_is_said_without_it(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        [rules] = connection.execute("SHOW hba_file").fetchone() or [""]
        connection.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
        Path(rules).write_text(f"host all locked 127.0.0.1/32 scram-sha-256\n{Path(rules).read_text()}")
        connection.execute("SELECT pg_reload_conf()")
    place = postgres.partition("@")[2]
    with pytest.raises(DatabaseUnusable, match="password authentication failed") as caught:
        wait_for_refusal(f"postgresql://locked:not-the-secret@{place}")
    assert "not-the-secret" not in caught.value.message and "\n" not in caught.value.message
    with Database(f"postgresql://locked:right@{place}").read() as read:
        assert read.execute(text("SELECT current_user")).scalar_one() == "locked"


def wait_for_refusal(address: str) -> None:
    """Read until the server has read its rules again, as it is only told to."""
    for _ in range(1000):
        with Database(address).read():
            pass


def test_a_database_that_another_program_holds_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.store.database.TIMEOUT", 0.1)
    file = tmp_path / "held.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE rows (text TEXT)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseUnusable, match="locked") as caught, Database(f"sqlite:///{file}").write():
            pass
    assert caught.value.status == 503 and "\n" not in caught.value.message


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\nserver:/x /mnt/team\\040share nfs4 rw 0 0\n/dev/sdb /mnt/team ext4 rw 0 0\n"
        "server:/y /mnt/Müller cifs rw 0 0\n"
    )
    assert network_file_system(Path("/mnt/team share/home/tunesmith.db"), mounts) == "nfs4"
    assert network_file_system(Path("/mnt/Müller/tunesmith.db"), mounts) == "cifs"
    assert network_file_system(Path("/mnt/team/tunesmith.db"), mounts) is None
    assert network_file_system(Path("/home/me/tunesmith.db"), mounts) is None


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        database = Database(f"sqlite:///{disk / 'full.db'}")
        with database.write() as connection:
            connection.execute(text("CREATE TABLE rows (text TEXT)"))
            connection.execute(text("INSERT INTO rows VALUES ('kept')"))
        with pytest.raises(DiskFull), database.write() as connection:
            connection.execute(text("INSERT INTO rows VALUES (:text)"), {"text": "x" * 4_000_000})
        with database.read() as connection:
            assert connection.execute(text("SELECT text FROM rows")).scalars().all() == ["kept"]
        database.close()


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("I am a letter, and no database at all.\n" * 100)
    with pytest.raises(DatabaseUnusable, match="not a database"), Database(f"sqlite:///{tmp_path / 'notes.db'}").read():
        pass


def test_a_missing_driver_of_postgresql_is_told_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(PackageMissing, match=r"tunesmith\[postgres\]"):
        Database("postgresql://me@127.0.0.1/none")


def test_a_server_that_stops_is_said_and_found_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    need(postgres_bin() is not None, "PostgreSQL's server binaries are not installed")
    with postgres_server(tmp_path_factory.mktemp("stopped")) as address:
        database = Database(address)
        with database.read() as connection:
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with pytest.raises(DatabaseUnusable), database.write() as connection:
            with Database(address).read() as other:
                mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
            connection.execute(text("SELECT 1"))
        with database.read() as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != own
    with pytest.raises(DatabaseUnusable) as caught, database.read():
        pass
    assert caught.value.status == 503 and "\n" not in caught.value.message
    database.close()
