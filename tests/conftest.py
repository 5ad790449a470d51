"""Shared fixtures: tiny real parts, made here, no network."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from database import fresh_postgres_database, postgres_bin, postgres_server
from require import need
from tiny import make_tiny_model
from tunesmith.service.context import Service, open_service
from tunesmith.settings import Settings
from tunesmith.store.database import Database
from tunesmith.store.migrations import upgrade

# Before torch is imported: threads that spin while they wait make two busy processes ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TUNESMITH_HOME."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("TUNESMITH_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 2-layer Llama with random weights, a byte-level tokenizer and the ChatML template (read only)."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture
def chat_file(tmp_path: Path) -> Iterator[Path]:
    """Forty short conversations as OpenAI messages."""
    path = tmp_path / "chat.jsonl"
    with path.open("w") as file:
        for i in range(40):
            messages = [
                {"role": "user", "content": f"What is {i} plus {i}?"},
                {"role": "assistant", "content": f"It is {2 * i}."},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    yield path


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL server of this test run."""
    need(postgres_bin() is not None, "PostgreSQL's server binaries are not installed")
    with postgres_server(tmp_path_factory.mktemp("postgres")) as address:
        yield address


@pytest.fixture(scope="session")
def postgres_tables(postgres: str) -> Iterator[str]:
    """The name of a PostgreSQL database with all tables and no row, to copy: quicker than to apply every revision."""
    with fresh_postgres_database(postgres) as address:
        _make_tables(address)
        yield address.rpartition("/")[2]


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no row, to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "tables.db"
    _make_tables(f"sqlite:///{file}")
    return file


def _make_tables(address: str) -> None:
    database = Database(address)
    upgrade(database)
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table; every test that takes it runs on both kinds."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tunesmith.db'}"
        return
    with fresh_postgres_database(request.getfixturevalue("postgres")) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with all tables and no row; every test that takes it runs on both kinds."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_tables"), tmp_path / "tunesmith.db")
        yield f"sqlite:///{tmp_path / 'tunesmith.db'}"
        return
    server, template = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_tables")
    with fresh_postgres_database(server, template) as address:
        yield address


@pytest.fixture
def service(home: Path, database_url: str) -> Iterator[Service]:
    """A service with an empty home and an empty database, once on each kind of database."""
    opened = open_service(Settings(home=home, database_url=database_url, poll_seconds=0.02, retry_seconds=0.0))
    yield opened
    opened.close()
