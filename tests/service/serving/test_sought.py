"""What a command may call a model. Nothing is loaded before the session begins, so that the folders tell it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bare_models import make_adapter, make_base
from in_thread import served
from sample_plan import MODEL, sample_plan
from tunesmith.runs import checkpoints
from tunesmith.runs.event_log import EventWriter
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import publish
from tunesmith.service.accounts import organisations
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.serving.session import OwnSession, ServerSession
from tunesmith.service.serving.sought import session_with
from tunesmith.service.serving.targets import Target
from tunesmith.service.system.server_file import announced
from tunesmith.settings import Settings
from tunesmith.spec.errors import ModelNotFound, NothingToExport
from tunesmith.spec.events import Failed
from tunesmith.spec.ids import new_id
from tunesmith.spec.recipe import Method
from tunesmith.store import models as stored
from tunesmith.store.models import Model


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "tiny")


def run_on(base: Path, settings: Settings, *, method: Method = Method.LORA) -> RunFolder:
    """A training run that failed before its first checkpoint."""
    plan = sample_plan(settings.home / "out", model=MODEL.model_copy(update={"path": str(base)}))
    recipe = plan.spec.recipe.model_copy(update={"method": method})
    plan = plan.model_copy(update={"spec": plan.spec.model_copy(update={"recipe": recipe})})
    run = RunFolder.create(settings.home, kind="train", name="faq", plan=plan)
    EventWriter(run.events).append(Failed(code="crash", message="It failed.", exit_code=70))
    return run


def finished(run: RunFolder, base: Path) -> RunFolder:
    run.artifacts_dir.rmdir()
    make_adapter(run.artifacts_dir, base)
    return run


def saved(run: RunFolder, step: int) -> Path:
    with checkpoints.stage(run, step) as staging:
        (staging.path / "weights.safetensors").write_bytes(b"weights")
        return staging.commit().path


def meant(settings: Settings, *named: str, checkpoint: str | None = None) -> Target:
    session = session_with(settings, *named, checkpoint=checkpoint)
    assert isinstance(session, OwnSession)
    return session.target


def test_a_folder_and_a_pulled_name(base: Path, settings: Settings) -> None:
    assert meant(settings, str(base)) == Target("tiny", None, base)
    pulled = make_base(settings.models_dir / "small")
    assert meant(settings, "small") == Target("small", None, pulled)


def test_an_adapters_folder_finds_its_base(base: Path, settings: Settings, tmp_path: Path) -> None:
    run = finished(run_on(base, settings), base)
    assert meant(settings, f"run:{run.id}").adapter == run.artifacts_dir
    assert meant(settings, f"run:{run.id}").base == base


@pytest.mark.parametrize("name", ["faq", "ID", "run:ID"])
def test_a_run_by_its_name_or_id(base: Path, settings: Settings, name: str) -> None:
    run = finished(run_on(base, settings), base)
    target = meant(settings, name.replace("ID", run.id))
    assert (target.base, target.adapter, target.checkpoint) == (base, run.artifacts_dir, None)


def test_a_paused_run_is_its_newest_checkpoint(base: Path, settings: Settings) -> None:
    run = run_on(base, settings)
    with pytest.raises(NothingToExport):
        session_with(settings, "faq")
    saved(run, 10)
    newest = saved(run, 20)
    assert meant(settings, "faq") == Target(f"{run.id}:checkpoint-20", None, base, checkpoint=newest)


@pytest.mark.parametrize("written", ["10", "checkpoint-10", "best"])
def test_a_checkpoint_is_chosen(base: Path, settings: Settings, written: str) -> None:
    run = finished(run_on(base, settings), base)
    chosen = saved(run, 10)
    saved(run, 20)
    checkpoints.point(run, "best", "checkpoint-10")
    target = meant(settings, "faq", checkpoint=written)
    assert (target.checkpoint, target.adapter, target.whole) == (chosen, None, False)


def test_a_checkpoint_of_full_training_has_all_weights(base: Path, settings: Settings) -> None:
    run = run_on(base, settings, method=Method.FULL)
    newest = saved(run, 10)
    target = meant(settings, "faq")
    assert (target.checkpoint, target.whole) == (newest, True)


def test_the_published_folder_of_a_full_training_answers_itself(base: Path, settings: Settings) -> None:
    run = run_on(base, settings, method=Method.FULL)
    saved(run, 10)
    run.artifacts_dir.rmdir()
    make_base(run.artifacts_dir)
    published = settings.home / "out"
    publish(run.artifacts_dir, published, run)
    target = meant(settings, str(published))
    assert (target.base, target.checkpoint) == (published, None)


@pytest.mark.parametrize("written", ["30", "../checkpoint-10", "last"])
def test_a_checkpoint_that_is_not_there_is_one_sentence(base: Path, settings: Settings, written: str) -> None:
    saved(run_on(base, settings), 10)
    with pytest.raises(ModelNotFound, match="these checkpoints: 10"):
        session_with(settings, "faq", checkpoint=written)


def test_only_runs_have_checkpoints(base: Path, settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="Only runs have checkpoints"):
        session_with(settings, str(base), checkpoint="10")


def test_what_nobody_calls_a_model_is_one_sentence(settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="nothing-of-that-name"):
        session_with(settings, "nothing-of-that-name")


@pytest.fixture
def registered(service: Service, base: Path, tmp_path: Path) -> Model:
    """A model of an organisation in the database."""
    organisations.create(service, OPERATOR, "acme")
    folder = make_adapter(tmp_path / "made", base)
    model = Model(
        id=new_id("model-"), org="acme", name="faq", kind="adapter", path=str(folder), job=None, run=None,
        base=str(base), base_fingerprint=None, parent=None, recipe={}, data={}, versions={}, metrics={}, bytes=1,
        created_at=0.0,
    )  # fmt: skip
    with service.database.write() as connection:
        stored.add(connection, model)
    return model


@pytest.mark.parametrize("name", ["acme/faq", "acme/faq@1", "ID"])
def test_a_database_of_the_home_knows_its_models(service: Service, registered: Model, base: Path, name: str) -> None:
    target = meant(service.settings, name.replace("ID", registered.id))
    assert (target.base, target.adapter) == (base, Path(registered.path))


def test_a_server_that_lives_answers_for_its_models(service: Service, registered: Model) -> None:
    with served(service) as url, announced(service.settings, url, "token"):
        session = session_with(service.settings, registered.id)
        assert isinstance(session, ServerSession)
        assert session.model == registered.id
        with pytest.raises(ModelNotFound):
            session_with(service.settings, "nothing-of-that-name")
