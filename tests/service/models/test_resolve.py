"""From what the user wrote to a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from data.drawn import draw_into
from tunesmith.data.check import check
from tunesmith.data.files import find
from tunesmith.service.models.pull import is_pulled, pull
from tunesmith.service.models.resolve import resolve_data, resolve_datasets, resolve_model
from tunesmith.settings import Settings
from tunesmith.spec.errors import DataNotFound, ModelNotFound, Offline
from tunesmith.spec.job import DatasetRef, ModelRef


@pytest.fixture
def settings(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    return Settings(home=home, offline=True)


def quiet(stage: str, done: float | None) -> None:
    """Hear nothing."""


def model_at(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def resolve(source: str, settings: Settings) -> Path:
    return resolve_model(ModelRef(source=source), settings)


def test_a_folder_is_itself(settings: Settings, tmp_path: Path) -> None:
    folder = model_at(tmp_path / "my" / "model")
    assert resolve(str(folder), settings) == folder
    assert resolve("my/model", settings) == folder


def test_a_pulled_name_is_its_folder(settings: Settings) -> None:
    folder = model_at(settings.models_dir / "smollm2-135m-instruct")
    assert resolve("smollm2-135m-instruct", settings) == folder


def test_a_name_that_is_not_pulled_says_how_to_get_it(settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="tunesmith pull smollm2-135m-instruct"):
        resolve("smollm2-135m-instruct", settings)


def test_a_typo_names_what_comes_nearest(settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="Did you mean 'smollm2-135m-instruct'"):
        resolve("smolm2-135m-instruct", settings)


def test_a_hub_id_is_found_in_the_cache(settings: Settings, tmp_path: Path) -> None:
    cached = tmp_path / "hf" / "hub" / "models--acme--tiny"
    folder = model_at(cached / "snapshots" / "abc")
    (folder / "model.safetensors").write_bytes(b"")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    assert resolve("acme/tiny", settings) == folder


def test_a_short_name_may_mean_a_branch_of_a_repository(settings: Settings, tmp_path: Path) -> None:
    cached = tmp_path / "hf" / "hub" / "models--facebook--detr-resnet-50"
    folders = {name: model_at(cached / "snapshots" / commit) for name, commit in (("main", "abc"), ("no_timm", "def"))}
    (cached / "refs").mkdir()
    for name, folder in folders.items():
        (folder / "model.safetensors").write_bytes(b"")
        (cached / "refs" / name).write_text(folder.name)
    assert resolve("detr", settings) == pull("detr", settings, quiet) == folders["no_timm"]
    assert resolve("facebook/detr-resnet-50", settings) == folders["main"]
    assert resolve_model(ModelRef(source="detr", revision="main"), settings) == folders["main"]
    (cached / "refs" / "no_timm").unlink()
    assert not is_pulled("detr", settings)
    with pytest.raises(Offline, match="detr-resnet-50"):
        resolve("detr", settings)


def test_a_hub_id_needs_the_network(settings: Settings) -> None:
    with pytest.raises(Offline, match="acme/other"):
        resolve("acme/other", settings)


def test_a_missing_path_is_no_hub_id(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "my").mkdir()
    for source in ("./model", "my/model", "/no/where", "~/nothing"):
        with pytest.raises(ModelNotFound):
            resolve(source, settings)


def test_an_adapter_is_not_a_model_and_names_its_base(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    config = {"base_model_name_or_path": "smollm2-135m-instruct"}
    (tmp_path / "lora" / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelNotFound, match="adapter of 'smollm2-135m-instruct'"):
        resolve("lora", settings)


def test_names_never_lead_out_of_the_models_folder(settings: Settings) -> None:
    model_at(settings.home / "secret")
    with pytest.raises(ModelNotFound):
        resolve("../secret", settings)


def test_data_by_name_is_its_file(settings: Settings) -> None:
    folder = settings.datasets_dir / "chatterbot-corpus"
    folder.mkdir(parents=True)
    (folder / "chat.jsonl").write_text("")
    assert resolve_data("chatterbot-corpus", settings) == str(folder / "chat.jsonl")


def test_data_that_is_not_pulled_says_how_to_get_it(settings: Settings) -> None:
    with pytest.raises(DataNotFound, match="tunesmith pull chatterbot-corpus"):
        resolve_data("chatterbot-corpus", settings)


def test_other_data_stays_as_written(settings: Settings, tmp_path: Path) -> None:
    assert resolve_data("no/such/*.jsonl", settings) == "no/such/*.jsonl"
    (tmp_path / "chatterbot-corpus").mkdir()
    assert resolve_data("chatterbot-corpus", settings) == "chatterbot-corpus"


def splits_at(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"text": "a"}\n')
    return folder


def used(uri: str, settings: Settings, *others: DatasetRef) -> list[tuple[str, bool, bool]]:
    found = resolve_datasets([DatasetRef(uri=uri), *others], settings).datasets
    return [(data.uri, data.validation, data.test) for data in found]


def test_a_name_may_be_followed_by_a_part(settings: Settings) -> None:
    folder = splits_at(settings.datasets_dir / "mine", "train.jsonl", "test.jsonl")
    assert resolve_data("mine:test", settings) == f"{folder}:test"
    assert resolve_data("mine", settings) == str(folder)


def test_a_folder_here_wins_over_what_was_pulled(settings: Settings, tmp_path: Path) -> None:
    splits_at(settings.datasets_dir / "mine", "train.jsonl")
    splits_at(tmp_path / "mine", "train.jsonl")
    assert resolve_data("mine:train, other.jsonl", settings) == "mine:train,other.jsonl"


def test_a_name_is_found_in_the_cache_of_the_hub(settings: Settings, tmp_path: Path) -> None:
    folder = splits_at(tmp_path / "hf/hub/datasets--acme--rows/snapshots/abc", "train.jsonl", "dev.jsonl")
    for name in ("rows", "acme/rows"):
        assert resolve_data(f"{name}:validation", settings) == f"{folder}:validation"
    assert used("acme/rows", settings) == [
        (f"{folder}:train", False, False),
        (f"{folder}:validation", True, False),
    ]


@pytest.mark.parametrize("name", ["nowhere", "nowhere:train", "acme/nowhere:main:train"])
def test_a_name_that_is_nowhere_says_that_the_hub_was_not_asked(settings: Settings, name: str) -> None:
    with pytest.raises(DataNotFound, match="--offline is set"):
        resolve_data(name, settings)


@pytest.mark.parametrize("name", ["rows.jsonl", "./rows", "/no/rows", "~/rows", "C:\\rows", "C:/rows.json", "a:b:c:d"])
def test_a_missing_path_is_no_name(settings: Settings, name: str) -> None:
    assert resolve_data(name, settings) == name


def test_a_folder_with_splits_trains_validates_and_tests_on_its_own(settings: Settings, tmp_path: Path) -> None:
    folder = splits_at(tmp_path / "set", "train.jsonl", "valid.jsonl", "test/a.jsonl", "extra.jsonl")
    found = resolve_datasets([DatasetRef(uri="set", limit=5)], settings)
    assert [(data.uri, data.validation, data.test, data.limit) for data in found.datasets] == [
        ("set:train", False, False, 5),
        ("set:validation", True, False, None),
        ("set:test", False, True, None),
    ]
    assert found.notes == [
        "set has splits of its own: train trains, validation validates, test is kept for the test at the end. "
        "Files in no split are not read: 1."
    ]
    files = [file.path for each in found.datasets for file in find(str(tmp_path / each.uri))]
    assert files == [folder / "train.jsonl", folder / "valid.jsonl", folder / "test" / "a.jsonl"]


def test_other_data_that_is_marked_comes_before_the_splits_of_a_folder(settings: Settings, tmp_path: Path) -> None:
    splits_at(tmp_path / "set", "train.jsonl", "val.jsonl", "test.jsonl")
    own = DatasetRef(uri="own.jsonl", validation=True)
    assert used("set", settings, own) == [
        ("set:train", False, False),
        ("set:test", False, True),
        ("own.jsonl", True, False),
    ]


def test_a_split_that_is_named_is_used_alone(settings: Settings, tmp_path: Path) -> None:
    splits_at(tmp_path / "set", "train.jsonl", "val.jsonl")
    assert used("set:train", settings) == [("set:train", False, False)]
    assert resolve_datasets([DatasetRef(uri="set", validation=True)], settings).datasets[0].uri == "set"


def test_a_plain_folder_stays_whole(settings: Settings, tmp_path: Path) -> None:
    splits_at(tmp_path / "set", "train.jsonl", "extra.jsonl")
    assert used("set", settings) == [("set", False, False)]


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("top", ["", "pets"])
def test_an_archive_brings_the_splits_of_the_folder_that_was_packed(
    settings: Settings, tmp_path: Path, kind: str, top: str
) -> None:
    for number, side in enumerate(("train", "val", "test")):
        draw_into(tmp_path / "set" / top / side, [f"{number}{place}.png" for place in range(3 - number)])
        rows = [{"file_name": f"{number}{place}.png", "caption": f"a {side}"} for place in range(3 - number)]
        (tmp_path / "set" / top / side / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "set")).name
    folder, archive = (resolve_datasets([DatasetRef(uri=uri)], settings) for uri in ("set", packed))
    assert [note.replace(packed, "set") for note in archive.notes] == folder.notes
    assert [(data.uri, data.validation, data.test) for data in archive.datasets] == [
        (f"{packed}:train", False, False),
        (f"{packed}:validation", True, False),
        (f"{packed}:test", False, True),
    ]
    assert [check([data]).rows for data in archive.datasets] == [check([data]).rows for data in folder.datasets]
    assert [check([data]).rows for data in archive.datasets] == [3, 2, 1]
    assert check(archive.datasets).faults.count == 0


def test_the_readme_in_an_archive_says_which_files_are_which_split(settings: Settings, tmp_path: Path) -> None:
    splits_at(tmp_path / "set" / "top", "a/rows.jsonl", "b/rows.jsonl")
    configs = "configs:\n- config_name: x\n  data_files:\n  - {split: train, path: a/*}\n  - {split: dev, path: b/*}\n"
    (tmp_path / "set" / "top" / "README.md").write_text(f"---\n{configs}---\n")
    shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "set")
    assert used("set.zip", settings) == [("set.zip:train", False, False), ("set.zip:dev", True, False)]
    [file] = find("set.zip:dev")
    assert file.name == "set.zip/top/b/rows.jsonl"


def test_an_archive_without_splits_stays_whole(settings: Settings, tmp_path: Path) -> None:
    splits_at(tmp_path / "set", "train.jsonl", "extra.jsonl")
    shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "set")
    assert used("set.zip", settings) == [("set.zip", False, False)]
    with pytest.raises(DataNotFound, match=r"There is set\.zip:train"):
        find("set.zip:test")


def test_one_of_several_configurations_has_to_be_named(settings: Settings, tmp_path: Path) -> None:
    splits_at(tmp_path / "set", "a/rows.jsonl", "b/rows.jsonl")
    configs = "".join(f"- {{config_name: {name}, data_files: {name}/*}}\n" for name in "ab")
    (tmp_path / "set" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(DataNotFound, match="There is set:a:train, set:b:train"):
        used("set", settings)
    assert used("set:b", settings) == [("set:b:train", False, False)]


def test_a_name_is_a_path_from_one_folder_alone(settings: Settings, tmp_path: Path) -> None:
    model_at(tmp_path / "someone" / "model")
    (tmp_path / "some-rows").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    here, there = DatasetRef(uri="some-rows"), ModelRef(source="someone/model")
    assert resolve_model(there, settings, tmp_path) == tmp_path / "someone" / "model"
    assert resolve_data(here.uri, settings, tmp_path) == here.uri
    with pytest.raises(Offline):
        resolve_model(there, settings, elsewhere)
    with pytest.raises((Offline, DataNotFound)):
        resolve_datasets([here], settings, elsewhere)
