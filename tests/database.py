"""Databases for tests: SQLite always, PostgreSQL from a server of the test run's own where its binaries are."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POSTGRES_BIN = Path("/usr/lib/postgresql")


def postgres_bin() -> Path | None:
    """Return the folder of PostgreSQL's server binaries; Debian keeps them off the PATH."""
    found = sorted(POSTGRES_BIN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).parent if there else None


def as_postgres(command: list[str]) -> list[str]:
    """Run a command as the user that PostgreSQL insists on where we are root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Run a server with its data in ``folder``; give its address, of a database that everybody may create tables in."""
    binaries = postgres_bin()
    assert binaries is not None
    data = folder / "postgres"
    data.mkdir(parents=True)
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
        for parent in (folder, *folder.parents):
            if not os.stat(parent).st_mode & 0o001:
                parent.chmod(os.stat(parent).st_mode | 0o011)
    run = {"check": True, "capture_output": True, "cwd": "/"}
    subprocess.run(as_postgres([str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "test"]), **run)  # type: ignore[call-overload]
    port = _free_port()
    # Without fsync a machine that stops may lose what was written; a server that is killed does not.
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200 -c fsync=off"
    )
    control = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(data / "log")]
    subprocess.run(as_postgres([*control, "-o", options, "start"]), **run)  # type: ignore[call-overload]
    try:
        yield f"postgresql://test@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(as_postgres([*control, "-m", "immediate", "stop"]), **run)  # type: ignore[call-overload]


@contextmanager
def fresh_postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    """Make a database of its own on a server, a copy of ``template``, and drop it afterwards; give its address."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')  # type: ignore[call-overload]
    try:
        yield server.rpartition("/")[0] + "/" + name
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
