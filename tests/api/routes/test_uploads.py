from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.datasets import files, sets, uploads
from tunesmith.store import uploads as stored

TUS = {"Tus-Resumable": "1.0.0"}
CONTENT = bytes(range(256)) * 40


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def begun(client: TestClient, length: int = len(CONTENT), **metadata: str) -> str:
    said = ",".join(f"{key} {b64(value)}" for key, value in metadata.items())
    answer = client.post("/api/uploads", headers={**TUS, "Upload-Length": str(length), "Upload-Metadata": said})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def sent(client: TestClient, where: str, offset: int, content: bytes | Iterator[bytes], **headers: str) -> int:
    said = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset), **headers}
    answer = client.patch(where, content=content, headers=said)
    if answer.status_code == 204:
        assert answer.headers["tus-resumable"] == "1.0.0"
    return answer.status_code


def offset(client: TestClient, where: str) -> int:
    answer = client.head(where, headers=TUS)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def on_disk(service: Service) -> list[Path]:
    return [path for path in organisation_folder(service.settings, "default").rglob("*") if path.is_file()]


def test_says_what_it_speaks(client: TestClient) -> None:
    answer = client.options("/api/uploads")
    assert answer.status_code == 204 and answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {"creation", "termination", "checksum", "expiration"}
    assert answer.headers["tus-max-size"] == "100000000000"
    assert set(answer.headers["tus-checksum-algorithm"].split(",")) == {"sha1", "sha256"}


def test_pieces_become_a_file(client: TestClient, service: Service) -> None:
    where = begun(client, filename="../rows.jsonl", purpose="batch", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert offset(client, where) == 0
    assert sent(client, where, 0, CONTENT[:3000]) == 204
    assert offset(client, where) == 3000
    assert sent(client, where, 3000, iter([CONTENT[3000:5000], CONTENT[5000:]])) == 204
    found = client.get(where).json()
    assert found["offset"] == found["length"] == len(CONTENT) and found["metadata"]["filename"] == "../rows.jsonl"
    file = files.get_file(service, OPERATOR, found["became"])
    assert (file.name, file.purpose, file.bytes) == ("rows.jsonl", "batch", len(CONTENT))
    assert Path(file.path).read_bytes() == CONTENT and on_disk(service) == [Path(file.path)]
    assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_metadata_comes_back(client: TestClient) -> None:
    head = client.head(begun(client, filename="ü.csv", relativePath=""), headers=TUS)
    assert head.headers["upload-metadata"] == f"filename {b64('ü.csv')},relativePath"
    assert head.headers["upload-length"] == str(len(CONTENT)) and "GMT" in head.headers["upload-expires"]


def test_bytes_must_follow_on_those_that_are_there(client: TestClient) -> None:
    where = begun(client)
    assert sent(client, where, 5, CONTENT[:10]) == 409
    assert sent(client, where, 0, CONTENT[:10]) == 204
    assert sent(client, where, 0, CONTENT[:10]) == 409
    assert offset(client, where) == 10


def test_more_than_was_announced_is_thrown_away(client: TestClient) -> None:
    where = begun(client, length=10)
    assert sent(client, where, 0, b"12345") == 204
    assert sent(client, where, 5, b"678901") == 413
    assert sent(client, where, 5, iter([b"678", b"901"])) == 413
    assert offset(client, where) == 5


def test_a_piece_with_a_wrong_checksum_is_thrown_away(client: TestClient) -> None:
    where = begun(client)
    wrong = b64(hashlib.sha256(b"else").digest())
    assert sent(client, where, 0, CONTENT[:100], **{"Upload-Checksum": f"sha256 {wrong}"}) == 460
    assert offset(client, where) == 0
    for name in ("sha1", "sha256"):
        at = offset(client, where)
        right = b64(hashlib.new(name, CONTENT[at : at + 100]).digest())
        assert sent(client, where, at, CONTENT[at : at + 100], **{"Upload-Checksum": f"{name} {right}"}) == 204
    assert sent(client, where, 200, CONTENT[200:], **{"Upload-Checksum": "md5 AAAA"}) == 422
    assert offset(client, where) == 200


def test_a_whole_upload_with_a_wrong_hash_begins_again(client: TestClient, service: Service) -> None:
    where = begun(client, sha256=hashlib.sha256(b"else").hexdigest())
    assert sent(client, where, 0, CONTENT) == 460
    assert offset(client, where) == 0 and files.list_files(service, OPERATOR) == []


@pytest.mark.parametrize("purpose", ["finetune", "datasets", ""])
def test_what_an_upload_is_for_is_one_of_what_is_known(client: TestClient, service: Service, purpose: str) -> None:
    headers = {**TUS, "Upload-Length": "3", "Upload-Metadata": f"purpose {b64(purpose)}"}
    answer = client.post("/api/uploads", headers=headers)
    assert answer.status_code == 422 and "one of dataset, assistants, batch, fine-tune" in answer.text
    assert on_disk(service) == []


def test_nothing_at_all_is_a_file_too(client: TestClient) -> None:
    assert client.get(begun(client, length=0)).json()["became"].startswith("file-")


def test_an_upload_can_be_ended(client: TestClient, service: Service) -> None:
    where = begun(client)
    sent(client, where, 0, CONTENT[:10])
    assert client.delete(where, headers=TUS).status_code == 204
    assert client.head(where, headers=TUS).status_code == 404
    assert on_disk(service) == []


def test_what_it_became_stays_when_the_upload_is_ended(client: TestClient, service: Service) -> None:
    where = begun(client)
    sent(client, where, 0, CONTENT)
    assert client.delete(where, headers=TUS).status_code == 204
    assert [file.bytes for file in files.list_files(service, OPERATOR)] == [len(CONTENT)]


def test_an_upload_that_has_expired_is_gone(client: TestClient, service: Service) -> None:
    where = begun(client)
    sent(client, where, 0, CONTENT[:10])
    with service.database.write() as connection:
        stored.change(connection, where.rpartition("/")[2], expires_at=1.0)
    assert client.head(where, headers=TUS).status_code == 410
    assert sent(client, where, 10, b"x") == 410
    uploads.sweep(service)
    assert client.head(where, headers=TUS).status_code == 404 and on_disk(service) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "5"}, 412),
        ({**TUS}, 422),
        ({**TUS, "Upload-Length": "-1"}, 422),
        ({**TUS, "Upload-Length": "x"}, 422),
        ({**TUS, "Upload-Length": "99999999999999"}, 413),
        ({**TUS, "Upload-Length": "99999999999999999999999"}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "filename ***"}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": f"filename {b64(b'a' + bytes(1))}"}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": f"filename {b64(bytes([255]))}"}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": f"sha256 {b64('12')}"}, 422),
    ],
)
def test_a_beginning_that_is_none_is_refused(
    client: TestClient, service: Service, headers: dict[str, str], status: int
) -> None:
    assert client.post("/api/uploads", headers=headers).status_code == status
    assert on_disk(service) == []


def test_bytes_of_another_type_are_refused(client: TestClient) -> None:
    where = begun(client)
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/octet-stream"}
    assert client.patch(where, content=b"x", headers=headers).status_code == 415
    assert offset(client, where) == 0


def test_one_request_at_a_time_writes(client: TestClient, service: Service) -> None:
    where = begun(client)
    with uploads.go_on(service, OPERATOR, where.rpartition("/")[2], 0) as writer:
        writer.write(CONTENT[:10])
        assert sent(client, where, 10, b"x") == 423
        assert client.delete(where, headers=TUS).status_code == 423
    assert sent(client, where, 10, CONTENT[10:]) == 204


def test_what_was_written_before_a_kill_is_gone_on_with(client: TestClient, service: Service) -> None:
    where = begun(client)
    writer = uploads.go_on(service, OPERATOR, where.rpartition("/")[2], 0)
    writer.write(CONTENT)
    writer.close()  # All bytes are there, and nobody came to look whether they are whole.
    assert offset(client, where) == len(CONTENT)
    assert client.get(where).json()["became"] is not None
    assert [file.bytes for file in files.list_files(service, OPERATOR)] == [len(CONTENT)]


def test_a_file_that_was_moved_before_a_kill_gets_its_row(client: TestClient, service: Service) -> None:
    where = begun(client, filename="a.jsonl")
    id = where.rpartition("/")[2]
    sent(client, where, 0, CONTENT[:-1])
    folder = organisation_folder(service.settings, "default") / "data"
    (bytes_ := folder / "uploads" / id).write_bytes(CONTENT)
    draft = folder / "files" / f".incoming-file-{id.removeprefix('upload-')}"
    draft.mkdir(parents=True)
    bytes_.rename(draft / "a.jsonl")
    assert offset(client, where) == len(CONTENT)
    [file] = files.list_files(service, OPERATOR)
    assert Path(file.path).read_bytes() == CONTENT and file.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_uploads_count_for_the_quota_before_they_are_there(client: TestClient, service: Service) -> None:
    service.settings = service.settings.model_copy(update={"max_bytes": 1000})
    begun(client, length=900)
    headers = {**TUS, "Upload-Length": "101"}
    assert client.post("/api/uploads", headers=headers).status_code == 429
    assert len(on_disk(service)) == 1


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return stream.getvalue()


def test_an_archive_becomes_a_data_set(client: TestClient, service: Service) -> None:
    content = zipped(a_jsonl=b'{"text": "a"}\n', b_jsonl=b'{"text": "b"}\n')
    where = begun(client, len(content), filename="set.zip", purpose="dataset", name="mine")
    assert sent(client, where, 0, content) == 204
    found = sets.get_set(service, OPERATOR, client.get(where).json()["became"])
    assert (found.name, found.type, found.bytes) == ("mine", "folder", 28)
    assert sorted(path.name for path in on_disk(service)) == ["a.jsonl", "b.jsonl"]


def test_a_file_of_rows_becomes_a_data_set(client: TestClient, service: Service) -> None:
    where = begun(client, 14, filename="a.jsonl", purpose="dataset")
    assert sent(client, where, 0, b'{"text": "a"}\n') == 204
    found = sets.get_set(service, OPERATOR, client.get(where).json()["became"])
    assert (found.name, found.type) == ("a.jsonl", "file") and Path(found.path).read_bytes() == b'{"text": "a"}\n'
    assert on_disk(service) == [Path(found.path)]


def test_an_archive_that_does_harm_leaves_nothing(client: TestClient, service: Service) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../canary", b"x")
    content = stream.getvalue()
    where = begun(client, len(content), filename="set.zip", purpose="dataset")
    assert sent(client, where, 0, content) == 422
    assert client.head(where, headers=TUS).status_code == 404
    assert on_disk(service) == [] and sets.list_sets(service, OPERATOR) == []
