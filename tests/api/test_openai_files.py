"""`/v1/files` and `/v1/models` by the official client, unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

from in_thread import served
from tunesmith.service.context import Service


@pytest.fixture
def url(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    with served(service) as address:
        yield address


@pytest.fixture
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def test_a_file_is_uploaded_read_listed_and_deleted(client: OpenAI, chat_file: Path):
    file = client.files.create(file=chat_file, purpose="fine-tune")
    assert (file.filename, file.bytes, file.status) == ("chat.jsonl", chat_file.stat().st_size, "processed")
    assert file.id.startswith("file-") and file.object == "file"
    assert client.files.content(file.id).read() == chat_file.read_bytes()
    assert client.files.retrieve(file.id) == file
    assert [each.id for each in client.files.list(purpose="fine-tune")] == [file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="no file"):
        client.files.retrieve(file.id)


def test_files_are_listed_in_pages_of_either_order(client: OpenAI):
    made = [client.files.create(file=(f"{n}.txt", b"text"), purpose="user_data").id for n in range(3)]
    page = client.files.list(limit=2)
    assert [file.id for file in page.data] == made[:0:-1] and page.has_more
    assert [file.id for file in client.files.list(limit=2)] == made[::-1], "the client asks for the next page"
    assert [file.id for file in client.files.list(order="asc")] == made


def test_a_file_may_expire(client: OpenAI):
    expiry = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=("a.txt", b"text"), purpose="user_data", expires_after=expiry)
    assert file.expires_at == pytest.approx(file.created_at + 3600, abs=1)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"{", json.dumps({"no": "format"}).encode()])
def test_a_file_that_nobody_can_train_on_is_kept_with_the_reason(client: OpenAI, content: bytes):
    file = client.files.create(file=("bad.jsonl", content), purpose="fine-tune")
    assert file.status == "error" and "bad.jsonl" in str(file.status_details)
    with pytest.raises(openai.UnprocessableEntityError, match="training_file"):
        client.fine_tuning.jobs.create(model="smollm2-360m-instruct", training_file=file.id)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\x", "a\nb", "$(touch x).jsonl"])
def test_a_files_name_leads_nowhere(client: OpenAI, service: Service, name: str):
    file = client.files.create(file=(name, b"text"), purpose="user_data")
    assert "/" not in file.filename and "\\" not in file.filename
    assert [path.read_bytes() for path in service.settings.home.rglob(file.filename)] == [b"text"]


@pytest.mark.parametrize(
    "data", [{"purpose": "nonsense"}, {}, {"purpose": "fine-tune", "unknown": "x"},
             {"purpose": "fine-tune", "expires_after[anchor]": "created_at", "expires_after[seconds]": "5"}],
)  # fmt: skip
def test_a_wrong_upload_is_refused_in_openais_shape(url: str, data: dict[str, str]):
    answer = httpx.post(f"{url}/v1/files", data=data, files={"file": ("a.jsonl", b"{}")})
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_pulled_models_are_listed_and_stay(client: OpenAI, service: Service, tiny_model: Path):
    service.settings.models_dir.mkdir()
    (service.settings.models_dir / "tiny").symlink_to(tiny_model)
    assert [(model.id, model.owned_by) for model in client.models.list()] == [("tiny", "tunesmith")]
    assert client.models.retrieve("tiny").object == "model"
    with pytest.raises(openai.ConflictError, match="pulled"):
        client.models.delete("tiny")
    for unknown in ("nothing", "ft:a:default::b", "../../etc/passwd"):
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(unknown)


def test_the_organisation_of_the_header_is_acted_for(url: str, chat_file: Path):
    theirs = OpenAI(base_url=f"{url}/v1", api_key="none", organization="acme")
    file = theirs.files.create(file=chat_file, purpose="fine-tune")
    assert [each.id for each in theirs.files.list()] == [file.id]
    others = OpenAI(base_url=f"{url}/v1", api_key="none", organization="default")
    assert list(others.files.list()) == []
