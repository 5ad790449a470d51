from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import OPERATOR, Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.datasets import sets
from tunesmith.service.jobs.places import placed
from tunesmith.service.models import yolo
from tunesmith.spec.errors import (
    BadValue,
    DataNotFound,
    ModelNotFound,
    OutputUnusable,
    PathNotAllowed,
    TrainedElsewhere,
)
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output

pytestmark = pytest.mark.usefixtures("two_organisations")

ACME = Principal(org="acme", role=Role.MEMBER)


@pytest.fixture
def own(service: Service) -> Path:
    """An organisation's folder with data."""
    folder = organisation_folder(service.settings, "acme")
    (folder / "data" / "hub" / "data").mkdir(parents=True)
    (folder / "data" / "a.jsonl").write_text('{"text": "a"}\n')
    (folder / "data" / "b,c.jsonl").write_text('{"text": "b"}\n')
    (folder / "data" / "hub" / "data" / "train-00000-of-00001.jsonl").write_text('{"text": "c"}\n')
    return folder


def place(service: Service, by: Principal = ACME, *, folder: Path = Path("/nowhere"), **fields: object) -> JobSpec:
    spec = {"model": ModelRef(source="somebody/model"), "datasets": [DatasetRef(uri="somebody/rows")], **fields}
    return placed(service, JobSpec.model_validate(spec), folder=folder, org="acme", by=by)


def uri(service: Service, written: str, by: Principal = ACME, **more: object) -> str:
    return place(service, by, datasets=[DatasetRef(uri=written)], **more).datasets[0].uri  # type: ignore[arg-type]


def test_paths_of_an_organisation_start_from_its_own_folder(service: Service, own: Path) -> None:
    assert uri(service, "data/a.jsonl") == str(own / "data/a.jsonl")
    assert uri(service, "data/b,c.jsonl, data/a.jsonl") == f"{own}/data/b,c.jsonl,{own}/data/a.jsonl"
    assert uri(service, "data/hub:train") == f"{own}/data/hub:train"
    (own / "data" / "packed.zip").write_bytes(b"")
    assert uri(service, "data/packed.zip:train") == f"{own}/data/packed.zip:train"
    assert uri(service, "data/*.jsonl") == f"{own}/data/a.jsonl,{own}/data/b,c.jsonl"
    assert uri(service, f"{own}/data") == f"{own}/data"


def test_paths_of_the_operator_start_from_the_folder(service: Service, tmp_path: Path) -> None:
    (tmp_path / "odd[1]").mkdir()
    (tmp_path / "odd[1]" / "a.jsonl").write_text("{}\n")
    here = {"by": OPERATOR, "folder": tmp_path / "odd[1]"}
    assert uri(service, "a.jsonl", **here) == f"{tmp_path}/odd[1]/a.jsonl"  # type: ignore[arg-type]
    assert uri(service, "*.jsonl", **here) == f"{tmp_path}/odd[[]1]/*.jsonl"  # type: ignore[arg-type]
    assert place(service, **here).output.dir == f"{tmp_path}/odd[1]/lora"  # type: ignore[arg-type]
    assert place(service, output=Output(dir="../out"), **here).output.dir == f"{tmp_path}/odd[1]/../out"  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["squad:train", "glue:cola:validation", "somebody/rows", "chitchat"])
def test_a_name_that_could_be_fetched_stays_a_name(service: Service, own: Path, name: str) -> None:
    assert uri(service, name) == name


@pytest.mark.parametrize("source", ["somebody/model", "smollm2-135m-instruct"])
def test_a_model_that_could_be_fetched_stays_a_name(service: Service, own: Path, source: str) -> None:
    assert place(service, model=ModelRef(source=source)).model.source == source


@pytest.mark.parametrize(
    "written",
    ["missing.jsonl", "./missing", "data/missing", "data/*.csv", "file:file-0", "dataset:x", "file:///x", "a b"],
)
def test_data_that_is_not_there_is_refused_at_once(service: Service, own: Path, written: str) -> None:
    with pytest.raises(DataNotFound):
        uri(service, written)


@pytest.mark.parametrize("source", ["smollm3", "data/missing", "./x", "model:x", "run:x", "a b/c", "chitchat", "data"])
def test_a_model_that_is_none_is_refused_at_once(service: Service, own: Path, source: str) -> None:
    with pytest.raises(ModelNotFound):
        place(service, model=ModelRef(source=source))


@pytest.mark.parametrize("installed", [True, False])
def test_a_yolo_is_meant_by_its_name_also_where_a_file_of_that_name_lies(
    service: Service, own: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr(yolo, "is_installed", lambda: installed)
    (own / "yolov8s.pt").touch()
    for name in ("yolov8n.pt", "yolov8s.pt"):
        if installed:
            assert place(service, model=ModelRef(source=name)).model.source == name
        else:
            with pytest.raises(TrainedElsewhere, match=r"tunesmith\[yolo\]"):
                place(service, model=ModelRef(source=name))


def test_a_model_is_a_folder_that_holds_one(service: Service, own: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, own / "models" / "tiny")
    assert place(service, model=ModelRef(source="models/tiny")).model.source == str(own / "models" / "tiny")
    (own / "models" / "tiny" / "extra.json").symlink_to("/etc/passwd")
    with pytest.raises(PathNotAllowed):
        place(service, model=ModelRef(source="models/tiny"))


def test_a_link_inside_of_the_folder_is_followed_before_it_is_stored(service: Service, own: Path) -> None:
    (own / "link.jsonl").symlink_to(own / "data" / "a.jsonl")
    assert uri(service, "link.jsonl") == str(own / "data" / "a.jsonl")


def test_an_allowed_folder_may_be_named(service: Service, own: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a.jsonl").write_text("{}\n")
    with pytest.raises(PathNotAllowed):
        uri(service, str(tmp_path / "shared" / "a.jsonl"))
    service.settings = service.settings.model_copy(update={"allowed_paths": [tmp_path / "shared"]})
    assert uri(service, str(tmp_path / "shared" / "a.jsonl")) == str(tmp_path / "shared" / "a.jsonl")
    with pytest.raises(PathNotAllowed, match="inside"):
        place(service, output=Output(dir=str(tmp_path / "shared")))


def test_a_job_that_names_no_output_gets_one_in_the_organisation(service: Service, own: Path) -> None:
    assert place(service, name="faq").output.dir == str(own / "saved_models" / "faq")
    first, second = (Path(place(service).output.dir) for _ in range(2))
    assert first.parent == own / "saved_models" and first != second
    with pytest.raises(OutputUnusable):
        place(service, output=Output(dir="data/a.jsonl"))


def test_a_template_is_a_file_like_any_other(service: Service, own: Path) -> None:
    (own / "t.jinja").write_text("x")
    assert place(service, options={"chat_template": "t.jinja"}).options == {"chat_template": str(own / "t.jinja")}
    with pytest.raises(PathNotAllowed):
        place(service, options={"chat_template": "/etc/hostname"})


@pytest.mark.parametrize(
    "path", ["model.source", "output.dir", "output", "datasets", "options.chat_template", "suggested.output.dir"]
)
def test_no_suggestion_names_a_place(service: Service, own: Path, path: str) -> None:
    with pytest.raises(BadValue):
        place(service, suggested={path: "/etc"})


@pytest.mark.parametrize("revision", ["../../x", "/etc", "a/../b", "-x", "a\0b", ".", "x y"])
def test_a_revision_leads_nowhere(service: Service, own: Path, revision: str) -> None:
    with pytest.raises(BadValue):
        place(service, model=ModelRef(source="somebody/model", revision=revision))


def test_rows_of_a_job_may_name_what_its_data_may(service: Service, own: Path, tmp_path: Path) -> None:
    def within(written: str, by: Principal = ACME, **more: object) -> tuple[str, ...] | None:
        return place(service, by, datasets=[DatasetRef(uri=written, **more)]).datasets[0].within  # type: ignore[arg-type]

    made = sets.store_set(service, ACME, name="mine", file="rows.jsonl", chunks=[b'{"text": "a"}\n'])
    folder = str(Path(made.path).parent)
    for by in (ACME, OPERATOR):
        assert within(f"dataset:{made.id}", by, within=("/",)) == (folder,)
    assert within("data/a.jsonl", within=("/",)) == (str(own),)
    assert within(f"dataset:{made.id},data/a.jsonl") == (folder, str(own))
    assert within("somebody/rows", within=("/",)) == ()
    (tmp_path / "a.jsonl").write_text("{}\n")
    assert within(str(tmp_path / "a.jsonl"), OPERATOR) is None
    assert within(str(tmp_path / "a.jsonl"), OPERATOR, within=(str(tmp_path),)) == (str(tmp_path),)
