from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.runs.folder import RunFolder
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import OPERATOR, Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs.work import WorkSubmission, result_of, submit_work
from tunesmith.spec.errors import (
    Conflict,
    Contradiction,
    DataNotFound,
    Forbidden,
    ModelNotFound,
    NotFound,
    OutputUnusable,
    PathNotAllowed,
    TunesmithError,
)
from tunesmith.spec.job import DatasetRef, Device
from tunesmith.spec.work import EvaluateSpec, ExportSpec, Work
from tunesmith.store.jobs import Job

pytestmark = pytest.mark.usefixtures("two_organisations")
ACME = Principal(org="acme", role=Role.MEMBER)


@pytest.fixture
def own(service: Service) -> Path:
    """An organisation's folder with a model, an adapter and rows."""
    folder = organisation_folder(service.settings, "acme")
    for name, file in (("model", "config.json"), ("adapter", "adapter_config.json")):
        (folder / name).mkdir(parents=True)
        (folder / name / file).write_text(json.dumps({"base_model_name_or_path": str(folder / "model")}))
    (folder / "rows.jsonl").write_text('{"text": "a"}\n')
    return folder


def submitted(service: Service, work: Work, by: Principal = ACME, folder: Path = Path("/nowhere")) -> Job:
    org = "acme" if by.is_operator else None
    return submit_work(service, WorkSubmission(work, door="api", org=org, folder=folder), by)


def test_folders_of_an_organisation_start_from_its_own(service: Service, own: Path) -> None:
    job = submitted(service, ExportSpec(source="adapter", output="out", base="model"))
    assert isinstance(job.work, ExportSpec)
    assert (job.work.source, job.work.base, job.work.output) == (
        str(own / "adapter"), str(own / "model"), str(own / "out"),
    )  # fmt: skip
    assert (job.kind, job.device, job.org, job.name) == ("export", "side", "acme", "adapter-adapter")

    measured = submitted(service, EvaluateSpec(model="model", baseline="adapter", data=[DatasetRef(uri="rows.jsonl")]))
    assert isinstance(measured.work, EvaluateSpec) and measured.work.data is not None
    assert measured.work.baseline == str(own / "adapter") and measured.work.data[0].uri == str(own / "rows.jsonl")


def test_an_export_that_names_no_place_gets_one_of_its_own(service: Service, own: Path) -> None:
    first, second = (submitted(service, ExportSpec(source="adapter")) for _ in range(2))
    assert isinstance(first.work, ExportSpec) and isinstance(second.work, ExportSpec)
    assert first.work.output == str(own / "exports" / f"adapter-adapter-{first.id}")
    assert first.work.output != second.work.output


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (ExportSpec(source="../globex/adapter"), PathNotAllowed),
        (ExportSpec(source="adapter", output="../globex/out"), PathNotAllowed),
        (ExportSpec(source="adapter", output="/tmp/out"), PathNotAllowed),
        (ExportSpec(source="adapter", output="."), PathNotAllowed),
        (ExportSpec(source="adapter", output="rows.jsonl"), OutputUnusable),
        (ExportSpec(source="adapter", output="x" * 300), OutputUnusable),
        (ExportSpec(source="adapter", base="/etc"), PathNotAllowed),
        (ExportSpec(source="run:20260101-000000-theirs-0000"), ModelNotFound),
        (ExportSpec(source="model-000000000000000000000000"), ModelNotFound),
        (ExportSpec(source="job-000000000000"), NotFound),
        (ExportSpec(source="adapter", zip=True, what="gguf"), Contradiction),
        (ExportSpec(source="adapter", dtype="bf16"), Contradiction),
        (ExportSpec(source="adapter", quantization="q8_0", what="merged"), Contradiction),
        (EvaluateSpec(model="/etc/passwd"), PathNotAllowed),
        (EvaluateSpec(model="model", baseline="../globex/model"), PathNotAllowed),
        (EvaluateSpec(model="model", data=[DatasetRef(uri="../globex/rows.jsonl")]), PathNotAllowed),
        (EvaluateSpec(model="model", data=[DatasetRef(uri="nothing.jsonl")]), DataNotFound),
    ],
)
def test_what_an_organisation_may_not_name_is_refused(
    service: Service, own: Path, work: Work, error: type[TunesmithError]
) -> None:
    with pytest.raises(error):
        submitted(service, work)


def test_a_link_in_a_model_that_leads_out_is_refused(service: Service, own: Path, tmp_path: Path) -> None:
    (own / "adapter" / "adapter_model.safetensors").symlink_to(tmp_path / "secret")
    with pytest.raises(PathNotAllowed):
        submitted(service, ExportSpec(source="adapter"))


def test_who_may_only_look_exports_nothing(service: Service, own: Path) -> None:
    with pytest.raises(Forbidden):
        submitted(service, ExportSpec(source="adapter"), Principal(org="acme", role=Role.VIEWER))


def test_a_run_of_the_operator_is_found_by_its_name_and_no_organisation_finds_it(service: Service, own: Path) -> None:
    run = RunFolder.create(service.settings.home, kind="train", name="faq")
    job = submitted(service, ExportSpec(source="run:faq"), OPERATOR)
    assert isinstance(job.work, ExportSpec) and job.work.source == f"run:{run.id}"
    with pytest.raises(ModelNotFound):
        submitted(service, ExportSpec(source="run:faq"))


def test_an_evaluation_on_a_gpu_takes_one_as_a_training_does(service: Service, own: Path) -> None:
    assert submitted(service, EvaluateSpec(model="model", device=Device.CUDA)).device == "gpu"
    assert submitted(service, EvaluateSpec(model="model")).device == "side"


def test_the_same_export_is_returned_as_long_as_it_goes_on(service: Service, own: Path) -> None:
    wanted = [WorkSubmission(ExportSpec(source="adapter"), door="llm", place="one", once=True) for _ in range(2)]
    first, second = (submit_work(service, each, ACME) for each in wanted)
    assert first.id == second.id
    other = WorkSubmission(ExportSpec(source="adapter", replay=3), door="llm", place="one", once=True)
    assert submit_work(service, other, ACME).id != first.id


def test_what_goes_on_has_no_result(service: Service, own: Path) -> None:
    with pytest.raises(Conflict, match="is queued and has no result"):
        result_of(submitted(service, ExportSpec(source="adapter")))
