from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tunesmith.runs.durable import write_json
from tunesmith.runs.folder import RunFolder
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.datasets import files, uploads
from tunesmith.service.system.tidying import OLD, tidy
from tunesmith.store import files as stored_files
from tunesmith.store import idempotency as kept
from tunesmith.store import uploads as stored_uploads


def aged(path: Path) -> Path:
    """Have a file or folder look as if nobody had touched it for two days."""
    for each in (*path.rglob("*"), path):
        before = each.stat().st_mtime - 2 * OLD
        os.utime(each, (before, before))
    return path


def draft(service: Service, noun: str, name: str) -> Path:
    folder = organisation_folder(service.settings, "default") / "data" / noun / name
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text("{}\n")
    return folder


def test_what_a_killed_server_left_goes_once_it_is_old(service: Service) -> None:
    old = [
        aged(draft(service, "files", f"{files.INCOMING}file-{24 * 'a'}")),
        aged(draft(service, "datasets", f"{files.INCOMING}dataset-{24 * 'b'}")),
        aged(draft(service, "datasets", f"{files.INCOMING}dataset-{24 * 'c'}-upload")),
    ]
    fresh = draft(service, "files", f"{files.INCOMING}file-{24 * 'd'}")
    written = aged(draft(service, "datasets", f"{files.INCOMING}dataset-{24 * 'e'}"))
    (written / "a.jsonl").touch()
    foreign = aged(draft(service, "files", ".incoming-mine"))
    link = old[1].with_name(f"{old[1].name}-set.zip")
    link.symlink_to(service.settings.home / "nothing")
    before = link.lstat().st_mtime - 2 * OLD
    os.utime(link, (before, before), follow_symlinks=False)
    trash = service.settings.runs_dir / ".deleted-20260101-000000-a-0000"
    trash.mkdir(parents=True)
    tidy(service)
    assert not any(os.path.lexists(path) for path in (*old, link, trash))
    assert fresh.exists() and written.exists() and foreign.exists()


def test_what_an_upload_needs_stays_until_it_expires(service: Service) -> None:
    upload = uploads.create(service, OPERATOR, length=4, metadata={"filename": "a.jsonl"})
    bytes_ = organisation_folder(service.settings, "default") / "data" / "uploads" / upload.id
    # A server was killed after the whole file had been moved and before it had its row.
    moved = draft(service, "files", f"{files.INCOMING}file-{upload.id.removeprefix(uploads.PREFIX)}")
    bytes_.unlink()
    aged(moved)
    tidy(service)
    assert moved.exists()
    with service.database.write() as connection:
        stored_uploads.change(connection, upload.id, expires_at=1.0)
    tidy(service)
    assert not moved.exists()
    with service.database.read() as connection:
        assert stored_uploads.get(connection, upload.id) is None


def test_bytes_without_an_upload_go(service: Service) -> None:
    upload = uploads.create(service, OPERATOR, length=4, metadata={})
    bytes_ = aged(organisation_folder(service.settings, "default") / "data" / "uploads" / upload.id)
    tidy(service)
    assert bytes_.exists()
    with service.database.write() as connection:
        stored_uploads.remove(connection, upload.id)
    tidy(service)
    assert not bytes_.exists()


def test_expired_files_and_answers_to_old_retries_go(service: Service) -> None:
    file = files.store_file(service, OPERATOR, name="a.jsonl", purpose="x", chunks=[b"{}"], expires_after=1000)
    with service.database.write() as connection:
        stored_files.change(connection, file.id, expires_at=1.0)
        kept.begin(connection, "", "one-key", "request", 1.0)
    tidy(service)
    assert files.list_files(service, OPERATOR) == [] and not Path(file.path).exists()
    with service.database.read() as connection:
        assert kept.get(connection, "", "one-key") is None


def test_what_processes_that_held_models_left_goes_once_it_is_old(service: Service) -> None:
    home = service.settings.home
    left, lives, fresh = (RunFolder.create(home, kind="serve", name=name) for name in ("left", "lives", "fresh"))
    other = RunFolder.create(home, kind="export", name="other")
    for run in (left, other):
        write_json(run.path / "exit.json", {"code": 0})
    write_json(fresh.path / "exit.json", {"code": 0})
    log = home / "serving" / "vllm-1-a.log"
    log.parent.mkdir(exist_ok=True)
    log.touch()
    os.utime(log, (1, 1))
    for run in (left, lives, other):
        aged(run.path)
    tidy(service)
    assert not left.path.exists() and not log.exists()
    assert lives.path.exists() and fresh.path.exists() and other.path.exists()


def test_what_another_start_of_the_machine_left_goes_much_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(service.settings.home, kind="serve", name="left")
    monkeypatch.setattr("tunesmith.service.system.tidying.boot", lambda: "another")
    monkeypatch.setattr("tunesmith.runs.liveness.boot", lambda: "another")
    aged(run.path)
    tidy(service)
    assert run.path.exists()
    for each in run.path.rglob("*"):
        os.utime(each, (1, 1))
    os.utime(run.path, (1, 1))
    tidy(service)
    assert not run.path.exists()


def test_nothing_to_do_is_no_trouble(service: Service) -> None:
    shutil.rmtree(service.settings.home / "orgs", ignore_errors=True)
    tidy(service)
