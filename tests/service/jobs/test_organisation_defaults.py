"""The organisations' settings from the environment and from ``.env``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunesmith.service.jobs.organisation_defaults import read_organisation_defaults, use_model_cache
from tunesmith.service.models import hub
from tunesmith.spec.errors import BadValue


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where settings are written."""
    monkeypatch.chdir(tmp_path)
    for name in ("HF_HOME", "MODEL_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    # Set first, so that it is as it was when the test is over.
    monkeypatch.setenv("HF_HUB_CACHE", "")
    return tmp_path / ".env"


def test_the_cache_of_models_is_moved_from_the_working_folder_on(settings: Path) -> None:
    settings.write_text("MODEL_CACHE_DIR=./models/cache\n")
    use_model_cache()
    assert hub.cache_dir() == settings.parent / "models" / "cache"


def test_the_hubs_own_variables_win(settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.write_text("MODEL_CACHE_DIR=./models/cache\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub home"))
    use_model_cache()
    assert hub.cache_dir() == tmp_path / "hub home" / "hub" and not os.environ["HF_HUB_CACHE"]


def test_without_the_setting_the_cache_stays_where_it_is() -> None:
    before = hub.cache_dir()
    use_model_cache()
    assert hub.cache_dir() == before


def test_the_names_of_layers_stand_between_commas(settings: Path) -> None:
    settings.write_text("LORA_TARGET_MODULES= q_proj , k_proj,\n")
    assert read_organisation_defaults().lora_target_modules == ["q_proj", "k_proj"]
    settings.write_text("LORA_TARGET_MODULES=,\n")
    with pytest.raises(BadValue, match="LORA_TARGET_MODULES"):
        read_organisation_defaults()
