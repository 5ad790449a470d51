from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.service.accounts import organisations
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import OPERATOR, Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.datasets import files, room, sets, uploads
from tunesmith.service.jobs import queue
from tunesmith.settings import Settings
from tunesmith.spec.errors import Conflict, Forbidden, NotFound, QuotaExceeded, TooLarge
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef

pytestmark = pytest.mark.usefixtures("two_organisations")

ACME = Principal(org="acme", role=Role.MEMBER)
OTHER = Principal(org="other", role=Role.MEMBER)


def stored(service: Service, content: bytes = b"text\na\n", by: Principal = ACME, **more: str) -> files.File:
    wanted = {"name": "rows.csv", "purpose": "fine-tune", **more}
    return files.store_file(service, by, chunks=[content[:2], content[2:]], **wanted)


def left_on_disk(service: Service, org: str = "acme") -> list[Path]:
    return [path for path in organisation_folder(service.settings, org).rglob("*") if path.is_file()]


def test_a_file_is_on_the_disk_with_its_size_and_hash(service: Service) -> None:
    file = stored(service)
    path = files.path_of(service, ACME, file.id)
    assert path.read_bytes() == b"text\na\n" and path.name == "rows.csv"
    assert (file.bytes, file.sha256) == (7, hashlib.sha256(b"text\na\n").hexdigest())
    assert path.is_relative_to(organisation_folder(service.settings, "acme"))
    assert files.get_file(service, ACME, file.id) == file


def test_nobody_else_sees_a_file(service: Service) -> None:
    file = stored(service)
    for ask in (files.get_file, files.delete_file, files.path_of):
        with pytest.raises(NotFound):
            ask(service, OTHER, file.id)
    assert files.list_files(service, OTHER) == []
    assert files.list_files(service, OPERATOR) == [file]


def test_lists_page_by_page_both_ways(service: Service) -> None:
    made = [stored(service, purpose="fine-tune" if n % 2 else "batch") for n in range(5)]
    newest = [file.id for file in files.list_files(service, ACME)]
    assert sorted(newest) == sorted(file.id for file in made)
    page = files.list_files(service, ACME, files.WantedFiles(limit=2))
    more = files.list_files(service, ACME, files.WantedFiles(limit=9, after=page[-1].id))
    assert [file.id for file in page + more] == newest
    oldest = files.list_files(service, ACME, files.WantedFiles(oldest_first=True, after=newest[-1]))
    assert [file.id for file in oldest] == newest[-2::-1]
    assert len(files.list_files(service, ACME, files.WantedFiles(purpose="batch"))) == 3


def test_a_viewer_stores_and_deletes_nothing(service: Service) -> None:
    file, viewer = stored(service), Principal(org="acme", role=Role.VIEWER)
    with pytest.raises(Forbidden):
        stored(service, by=viewer)
    with pytest.raises(Forbidden):
        files.delete_file(service, viewer, file.id)
    assert files.get_file(service, viewer, file.id) == file


def test_a_stream_that_breaks_off_leaves_nothing(service: Service) -> None:
    def broken() -> Iterator[bytes]:
        yield b"begun"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        files.store_file(service, ACME, name="a.csv", purpose="fine-tune", chunks=broken())
    assert left_on_disk(service) == [] and files.list_files(service, ACME) == []


def test_more_than_the_organisation_may_have_leaves_nothing(service: Service) -> None:
    service.settings = service.settings.model_copy(update={"max_bytes": 10})
    stored(service, b"1234567")
    with pytest.raises(TooLarge):
        stored(service, b"1234567")
    stored(service, b"890")
    with pytest.raises(QuotaExceeded):
        stored(service, b"1")
    assert sum(path.stat().st_size for path in left_on_disk(service)) == 10


@pytest.mark.parametrize("what", ["file", "data set", "upload"])
def test_many_at_once_never_have_more_bytes_than_the_quota(service: Service, what: str) -> None:
    organisations.change(service, OPERATOR, "acme", {"max_bytes": 1000})
    start = threading.Barrier(8)

    def chunks() -> Iterator[bytes]:
        start.wait(30)  # By now each of them was told that there is room.
        yield b"x" * 400

    def send(_: int) -> bool:
        try:
            if what == "file":
                files.store_file(service, ACME, name="a.txt", purpose="x", chunks=chunks())
            elif what == "data set":
                sets.store_set(service, ACME, name="a", file="a.txt", chunks=chunks())
            else:
                start.wait(30)
                uploads.create(service, ACME, length=400, metadata={})
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(8))) == 2
    assert len(left_on_disk(service)) == 2
    with service.database.read() as connection:
        assert room.used(connection, "acme") == 800


def test_a_file_that_a_job_reads_stays_until_the_job_is_over(service: Service) -> None:
    file = stored(service)
    spec = JobSpec(model=ModelRef(source="somebody/model"), datasets=[DatasetRef(uri=f"file:{file.id}")])
    job = queue.submit(service, queue.Submission(spec=spec, door="api"), ACME)
    assert job.spec.datasets[0].uri == file.path
    with pytest.raises(Conflict, match=job.id):
        files.delete_file(service, ACME, file.id)
    queue.cancel(service, job.id, ACME)
    files.delete_file(service, ACME, file.id)
    assert left_on_disk(service) == [] and files.list_files(service, ACME) == []


def test_keeping_a_file_again_after_a_kill_changes_nothing(service: Service) -> None:
    file = stored(service)
    draft = files.Draft(file.id, "acme", Path(file.path).parent.with_name(".incoming-x"), file.name, "x", 1, "y")
    assert files.keep(service, draft) == file
    assert replace(file) == files.get_file(service, ACME, file.id)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\x.csv", "x.csv"),
        ("..", "file"),
        ("", "file"),
        (".", "file"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("~root", "_root"),
        ("a\0b.csv", "a_b.csv"),
        ("a\nb\x1b[31m.csv", "a_b_[31m.csv"),
        ("$(touch x).jsonl", "_(touch x).jsonl"),
        ("a;b|c&d`e`.txt", "a_b_c_d_e_.txt"),
        ("größe 1.csv", "größe 1.csv"),
        ("%2e%2e%2fpasswd", "_2e_2e_2fpasswd"),
        ("a/", "file"),
        ("\ud800.csv", "_.csv"),
        ("データ.jsonl", "データ.jsonl"),
    ],
)
def test_a_name_becomes_one_that_nothing_takes_for_more(name: str, safe: str) -> None:
    assert files.safe_name(name) == safe


def test_a_long_name_keeps_its_ending() -> None:
    safe = files.safe_name("ü" * 500 + ".jsonl")
    assert len(safe.encode()) <= 200 and safe.endswith(".jsonl")
    assert len(files.safe_name("a." + "b" * 500).encode()) <= 200


def test_the_largest_upload_is_a_setting(service: Service) -> None:
    service.settings = Settings(home=service.settings.home, upload_limit_gb=1e-8)
    with pytest.raises(TooLarge):
        stored(service, b"12345678901")
    assert left_on_disk(service) == []
