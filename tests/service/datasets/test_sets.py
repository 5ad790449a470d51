from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from data.drawn import zipped
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.datasets import files, sets
from tunesmith.service.jobs import queue
from tunesmith.spec.errors import Conflict, DataNotFound, Forbidden, NotFound, PathNotAllowed, Relayed, TunesmithError
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef

pytestmark = pytest.mark.usefixtures("two_organisations")

ACME = Principal(org="acme", role=Role.MEMBER)
OTHER = Principal(org="other", role=Role.MEMBER)
ROWS = "".join(json.dumps({"text": f"row {n}"}) + "\n" for n in range(20)).encode()


def stored(service: Service, content: bytes = ROWS, file: str = "rows.jsonl") -> sets.Dataset:
    return sets.store_set(service, ACME, name="mine", file=file, chunks=[content])


def left_on_disk(service: Service) -> list[str]:
    folder = organisation_folder(service.settings, "acme")
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_stream_becomes_a_data_set_that_only_its_organisation_sees(service: Service) -> None:
    made = stored(service)
    assert (made.type, made.bytes, made.rows) == ("file", len(ROWS), None)
    assert sets.list_sets(service, ACME) == [made] and sets.list_sets(service, OTHER) == []
    with pytest.raises(NotFound):
        sets.get_set(service, OTHER, made.id)
    with pytest.raises(Forbidden):
        sets.list_sets(service, OTHER, org="acme")


def test_an_archive_is_unpacked_whole_or_not_at_all(service: Service) -> None:
    for name, expected in (("train/a.jsonl", ["a.jsonl"]), ("../../a.jsonl", [])):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(name, ROWS)
        if expected:
            made = stored(service, stream.getvalue(), "set.zip")
            assert left_on_disk(service) == expected and made.type == "folder"
            sets.delete_set(service, ACME, made.id)
        else:
            with pytest.raises(TunesmithError, match="points out of the archive"):
                stored(service, stream.getvalue(), "set.zip")
        assert left_on_disk(service) == [] or expected
    assert left_on_disk(service) == [] and sets.list_sets(service, ACME) == []


def test_an_archive_that_holds_more_than_is_left_leaves_nothing(service: Service) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", ROWS * 1000)
    service.settings = service.settings.model_copy(update={"max_bytes": 100_000})
    with pytest.raises(TunesmithError, match="more than"):
        stored(service, stream.getvalue(), "set.zip")
    assert left_on_disk(service) == []


def test_data_is_registered_where_it_lies(service: Service) -> None:
    own = organisation_folder(service.settings, "acme") / "data"
    own.mkdir(parents=True)
    (own / "here.jsonl").write_bytes(ROWS)
    made = sets.register(service, ACME, name="here", uri="data/here.jsonl")
    assert made.path == str(own / "here.jsonl") and made.bytes == len(ROWS)
    sets.delete_set(service, ACME, made.id)
    assert left_on_disk(service) == ["here.jsonl"]
    with pytest.raises(PathNotAllowed):
        sets.register(service, ACME, name="x", uri="/etc/hostname")
    with pytest.raises(DataNotFound):
        sets.register(service, ACME, name="x", uri="data/missing.jsonl")
    file = files.store_file(service, ACME, name="f.jsonl", purpose="fine-tune", chunks=[ROWS])
    assert sets.register(service, ACME, name="f", uri=f"file:{file.id}").path == file.path


def test_what_stays_a_name_is_none_of_the_servers_folders(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    made = stored(service)
    for name in ("others/rows", "others/model", "rows-of-others"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "rows.jsonl").write_bytes(ROWS)
    shutil.copytree(tiny_model, tmp_path / "others" / "model", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("others/rows", "rows-of-others", "others/rows:train"):
        with pytest.raises(DataNotFound):
            sets.register(service, ACME, name="theirs", uri=name)
    for reading in (sets.check_set, lambda *asked: sets.preview_set(*asked, 1)):
        with pytest.raises(Relayed, match="others/model"):
            reading(service, ACME, made.id, sets.Reading(model="others/model"))


def test_a_data_set_that_a_job_reads_stays(service: Service) -> None:
    made = stored(service)
    spec = JobSpec(model=ModelRef(source="somebody/model"), datasets=[DatasetRef(uri=f"dataset:{made.id}")])
    job = queue.submit(service, queue.Submission(spec=spec, door="api"), ACME)
    with pytest.raises(Conflict, match=job.id):
        sets.delete_set(service, ACME, made.id)
    queue.cancel(service, job.id, ACME)
    sets.delete_set(service, ACME, made.id)
    assert left_on_disk(service) == []


def test_a_check_counts_rows_and_notes_them(service: Service) -> None:
    made = stored(service, ROWS + b"{broken\n")
    report = sets.check_set(service, ACME, made.id, sets.Reading())
    assert report["rows"] == 20 and report["faults"]["count"] == 1 and not report["clean"]
    assert sets.get_set(service, ACME, made.id).rows == 20


def test_a_check_with_a_model_counts_its_tokens(service: Service, tiny_model: Path) -> None:
    service.settings = service.settings.model_copy(update={"allowed_paths": [tiny_model]})
    made = stored(service)
    report = sets.check_set(service, ACME, made.id, sets.Reading(model=str(tiny_model), length=64))
    assert report["lengths"]["unit"] == "tokens" and report["ledger"] is not None
    with pytest.raises(NotFound):
        sets.check_set(service, OTHER, made.id, sets.Reading())


def test_a_preview_shows_rows_as_they_are_or_as_a_model_sees_them(service: Service, tiny_model: Path) -> None:
    service.settings = service.settings.model_copy(update={"allowed_paths": [tiny_model]})
    made = stored(service, b"{broken\n" + ROWS)
    plain = sets.preview_set(service, ACME, made.id, sets.Reading(), 2)
    assert [row["content"]["text"] for row in plain["rows"]] == ["row 0", "row 1"] and len(plain["faults"]) == 1
    seen = sets.preview_set(service, ACME, made.id, sets.Reading(model=str(tiny_model)), 1)
    assert "row 0" in seen["rows"][0]["sequences"][0]["text"].replace("[[", "")
    with pytest.raises(PathNotAllowed):
        sets.preview_set(service, ACME, made.id, sets.Reading(model="/etc"), 1)


def test_a_preview_says_what_is_in_pictures_with_and_without_a_model(service: Service, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", [f"{name}/{number}.png" for name in ("cats", "dogs") for number in "123"])
    made = stored(service, archive.read_bytes(), "set.zip")
    [plain] = sets.preview_set(service, ACME, made.id, sets.Reading(), 1)["rows"]
    seen = {"name": "cats/1.png", "kind": "picture", "width": 24, "height": 20}
    assert plain["content"] == {"image": "cats/1.png", "label": "cats"} and plain["files"] == [seen]
    model = organisation_folder(service.settings, "acme") / "models" / "vit"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps({"model_type": "vit", "image_size": 32, "patch_size": 8}))
    (model / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 32, "width": 32}}))
    [shown] = sets.preview_set(service, ACME, made.id, sets.Reading(model="models/vit"), 1)["rows"]
    assert (shown["label"], shown["files"]) == ("cats", [seen])
    assert shown["sequences"] == [{"name": "class cats", "tokens": [], "text": ""}]
    report = sets.check_set(service, ACME, made.id, sets.Reading(model="models/vit", length=1))
    assert (report["rows"], report["lengths"]["unit"], report["refusal"]) == (6, "patches", "")
