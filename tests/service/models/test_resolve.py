"""From what the user wrote to a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.service.models.resolve import resolve_data, resolve_model
from tunesmith.settings import Settings
from tunesmith.spec.errors import DataNotFound, ModelNotFound, Offline
from tunesmith.spec.job import ModelRef


@pytest.fixture
def settings(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    return Settings(home=home, offline=True)


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
