"""What a model's name means, and that it means nothing to those who must not see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bare_models import make_adapter, make_base
from made_models import MEMBERS, Made
from tunesmith.service.accounts.principal import OPERATOR, Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.models import catalogue
from tunesmith.service.serving.targets import Target, find_target
from tunesmith.spec.errors import Forbidden, ModelNotFound, ModelNotReady, NotFound
from tunesmith.spec.recipe import Method
from tunesmith.spec.states import RunState
from tunesmith.store import jobs as stored_jobs

pytestmark = pytest.mark.usefixtures("two_organisations")

ACME = Principal(org="acme", role=Role.VIEWER)
OTHER = Principal(org="other", role=Role.VIEWER)


@pytest.fixture
def tiny(service: Service) -> Path:
    return make_base(service.settings.models_dir / "tiny")


def test_a_pulled_model_is_everybodys(service: Service, tiny: Path) -> None:
    for by in (OPERATOR, ACME, OTHER):
        assert find_target(service, by, "tiny") == Target("tiny", None, tiny)


def test_a_model_of_the_hubs_cache_is_found_by_its_id_and_its_alias(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = make_base(tmp_path / "hub" / "models--Qwen--Qwen3-0.6B" / "snapshots" / "main")
    assert find_target(service, ACME, "Qwen/Qwen3-0.6B").base == snapshot
    assert find_target(service, ACME, "qwen3-0.6b").base == snapshot
    with pytest.raises(NotFound):
        find_target(service, ACME, "Qwen/Qwen3-4B")
    found = tmp_path / "hub" / "models--facebook--detr-resnet-50" / "snapshots"
    branches = [make_base(found / name) for name in ("main", "no_timm")]
    assert [find_target(service, ACME, name).base for name in ("facebook/detr-resnet-50", "detr")] == branches


def test_every_name_of_a_model_leads_to_it(service: Service, tiny: Path) -> None:
    made = Made(service, "acme", tiny)
    model = made.makes("faq")
    names = [
        "faq", "acme/faq", "acme/faq@1", "acme/faq@latest", model.id, f"model:{model.id}", made.tuned, made.job.id,
        f"job-{made.job.id}", f"ftjob-{made.job.id}", f"train_{made.job.id}", model.path,
    ]  # fmt: skip
    for name in names:
        found = find_target(service, ACME, name)
        assert found == Target(name, "acme", tiny, adapter=made.run.artifacts_dir, model=model.id), name
    assert find_target(service, OPERATOR, made.tuned).model == model.id


def test_no_name_of_a_model_leads_to_it_from_another_organisation(service: Service, tiny: Path) -> None:
    made = Made(service, "acme", tiny)
    model = made.makes("faq")
    made.saves(20)
    names = [
        "faq", "acme/faq", "acme/faq@1", "acme/faq@latest", "other/faq", model.id, f"model:{model.id}", made.tuned,
        f"ft:tiny:other::{made.job.id}", made.job.id, f"job-{made.job.id}", model.path, f"{made.tuned}:ckpt-step-20",
        f"ft:tiny:other::{made.job.id}:ckpt-step-20", f"{made.job.id}:ckpt-step-20", str(tiny),
    ]  # fmt: skip
    for name in names:
        with pytest.raises(NotFound) as raised:
            find_target(service, OTHER, name)
        assert raised.value.message.startswith("There is no model"), name


def test_a_name_in_two_organisations_means_each_its_own(service: Service, tiny: Path) -> None:
    models = {org: Made(service, org, tiny).makes("faq") for org in ("acme", "other")}
    assert find_target(service, ACME, "faq").model == models["acme"].id
    assert find_target(service, OTHER, "faq").model == models["other"].id
    for org, model in models.items():
        assert find_target(service, OPERATOR, f"{org}/faq").model == model.id
        assert find_target(service, OPERATOR, "faq", org=org).model == model.id


def test_an_organisation_that_is_named_must_be_ones_own(service: Service, tiny: Path) -> None:
    model = Made(service, "acme", tiny).makes("faq")
    with pytest.raises(Forbidden):
        find_target(service, OTHER, "faq", org="acme")
    with pytest.raises(NotFound):
        find_target(service, OPERATOR, model.id, org="other")


def test_versions_are_those_that_were_trained_under_one_name(service: Service, tiny: Path) -> None:
    first = Made(service, "acme", tiny).makes("faq", at=1.0)
    second = Made(service, "acme", tiny).makes("faq-2", at=2.0)
    Made(service, "acme", tiny).makes("faq-long", at=3.0)
    wanted = {"faq": first, "faq@1": first, "faq@2": second, "faq@latest": second, "acme/faq@2": second}
    for name, model in wanted.items():
        assert find_target(service, ACME, name).model == model.id, name
    with pytest.raises(NotFound):
        find_target(service, ACME, "faq@3")


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.PAUSED, RunState.FAILED])
def test_what_is_not_finished_is_not_served_and_the_sentence_says_its_state(
    service: Service, tiny: Path, state: RunState
) -> None:
    made = Made(service, "acme", tiny)
    made.is_now(state)
    for name in (made.tuned, made.job.id):
        with pytest.raises(ModelNotReady, match=f"its job is {state.value}") as raised:
            find_target(service, ACME, name)
        assert raised.value.status == 409


def test_what_was_deleted_is_not_there(service: Service, tiny: Path) -> None:
    made = Made(service, "acme", tiny)
    model = made.makes("faq")
    catalogue.delete_model(service, MEMBERS["acme"], model.id)
    for name in ("faq", model.id, made.tuned, made.job.id):
        with pytest.raises(NotFound):
            find_target(service, ACME, name)


def test_a_model_with_all_weights_is_a_base_of_its_organisation(service: Service, tiny: Path) -> None:
    made = Made(service, "acme", tiny, method=Method.FULL)
    model = made.makes("faq", kind="full")
    folder = made.run.artifacts_dir
    assert find_target(service, ACME, "faq") == Target("faq", "acme", folder, model=model.id, base_org="acme")


def test_a_base_that_is_not_shared_belongs_to_the_organisation_that_trained_on_it(
    service: Service, tmp_path: Path
) -> None:
    Made(service, "acme", make_base(tmp_path / "own")).makes("faq")
    assert find_target(service, ACME, "faq").base_org == "acme"


def test_a_checkpoint_is_found_by_its_step(service: Service, tiny: Path) -> None:
    made = Made(service, "acme", tiny)
    saved = made.saves(20)
    name = f"{made.tuned}:ckpt-step-20"
    assert find_target(service, ACME, name) == Target(name, "acme", tiny, checkpoint=saved)
    for wrong in (f"{made.tuned}:ckpt-step-30", f"{made.tuned}:ckpt-step-x"):
        with pytest.raises(NotFound):
            find_target(service, ACME, wrong)
    (saved / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(NotFound):
        find_target(service, ACME, name)


def test_a_checkpoint_knows_the_result_of_its_job(service: Service, tiny: Path) -> None:
    made = Made(service, "acme", tiny)
    saved = made.saves(20)
    made.makes("faq")
    found = find_target(service, ACME, f"{made.tuned}:ckpt-step-20")
    assert (found.checkpoint, found.result) == (saved, made.run.artifacts_dir)


def test_a_checkpoint_of_all_weights_says_so(service: Service, tiny: Path) -> None:
    made = Made(service, "acme", tiny, method=Method.FULL)
    made.saves(20)
    assert find_target(service, ACME, f"{made.tuned}:ckpt-step-20").whole


def test_a_checkpoint_of_a_model_that_another_way_in_named(service: Service, tiny: Path) -> None:
    made = Made(service, "acme", tiny)
    with service.database.write() as connection:
        stored_jobs.change(connection, made.job.id, extra={"model_name": f"tiny-{made.job.id}"})
    made.saves(20)
    assert find_target(service, ACME, f"tiny-{made.job.id}:ckpt-step-20").checkpoint
    with pytest.raises(NotFound):
        find_target(service, ACME, f"other-{made.job.id}:ckpt-step-20")


def test_a_base_that_is_not_here_is_named(service: Service, tmp_path: Path) -> None:
    Made(service, "acme", tmp_path / "gone").makes("faq")
    with pytest.raises(ModelNotFound, match="'tiny' is not on this machine"):
        find_target(service, ACME, "faq")


def test_the_operator_may_name_folders(service: Service, tiny: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "lora", tiny)
    assert find_target(service, OPERATOR, str(tiny)).base == tiny
    assert find_target(service, OPERATOR, str(adapter)) == Target(str(adapter), "", tiny, adapter=adapter)
    for org in (None, "acme"):
        with pytest.raises(NotFound):
            find_target(service, ACME, str(adapter), org=org)
    with pytest.raises(ModelNotFound, match=r"neither config\.json nor adapter_config\.json"):
        find_target(service, OPERATOR, str(tmp_path))
    strange = make_adapter(tmp_path / "strange", tmp_path / "nowhere")
    with pytest.raises(ModelNotFound, match="nowhere"):
        find_target(service, OPERATOR, str(strange))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "a\0b", "\ud800", "x" * 300, "y" * 5000, "ft:", "ft:a:b:c:d", "a/b"]
)
def test_a_name_of_nothing_is_not_found(service: Service, tiny: Path, name: str) -> None:
    with pytest.raises(NotFound):
        find_target(service, ACME, name)
