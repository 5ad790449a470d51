from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.settings import Settings, load_settings, masked, settings_with_origins, unknown_variables
from tunesmith.spec.errors import BadValue, UnknownKey, UnreadableFile


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNESMITH_HOME", "TUNESMITH_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_defaults_need_nothing() -> None:
    assert load_settings() == Settings(home=Path("~/.tunesmith"), offline=False)


def test_folders_lie_in_the_home(home: Path) -> None:
    settings = load_settings()
    assert settings.home == home
    assert [settings.runs_dir, settings.models_dir, settings.datasets_dir, settings.cache_dir] == [
        home / "runs",
        home / "models",
        home / "datasets",
        home / "cache",
    ]


def test_each_source_beats_the_next(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config.yaml").write_text("offline: true\n")
    assert settings_with_origins()["offline"].origin == str(home / "config.yaml")
    Path(".env").write_text("TUNESMITH_OFFLINE=false\nOTHER=1\n")
    assert settings_with_origins()["offline"].origin == ".env"
    assert load_settings().offline is False
    monkeypatch.setenv("TUNESMITH_OFFLINE", "yes")
    assert settings_with_origins()["offline"].origin == "TUNESMITH_OFFLINE"
    assert load_settings().offline is True
    assert settings_with_origins(offline=False)["offline"].origin == "command line"
    assert load_settings(offline=False).offline is False


def test_a_home_that_is_typed_brings_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("offline: true\n")
    assert load_settings(home=tmp_path).offline is True


def test_a_size_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE_LIMIT_GB", "0.5")
    assert load_settings().cache_limit_gb == 0.5
    for wrong in ("much", "-1", "inf"):
        monkeypatch.setenv("TUNESMITH_CACHE_LIMIT_GB", wrong)
        with pytest.raises(BadValue, match=rf"TUNESMITH_CACHE_LIMIT_GB\): '{wrong}' is not a number of at least 0"):
            load_settings()


def test_the_hubs_own_offline_switch_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert settings_with_origins()["offline"].origin == "HF_HUB_OFFLINE"
    assert load_settings().offline is True


def test_a_wrong_value_names_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_OFFLINE", "maybe")
    with pytest.raises(BadValue, match=r"offline \(from TUNESMITH_OFFLINE\): 'maybe' is not true or false"):
        load_settings()


def test_an_unknown_key_of_the_file_is_an_error(home: Path) -> None:
    (home / "config.yaml").write_text("ofline: true\n")
    with pytest.raises(UnknownKey, match=r"config.yaml: unknown key 'ofline'. Did you mean 'offline'\?"):
        load_settings()


def test_a_broken_file_is_named(home: Path) -> None:
    (home / "config.yaml").write_text("offline: [\n")
    with pytest.raises(UnreadableFile, match=r"config.yaml: cannot be read"):
        load_settings()


def test_unknown_variables_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_HOEM", "x")
    Path(".env").write_text("TUNESMITH_OFLINE=1\nFOREIGN=1\n")
    told = unknown_variables()
    assert any("TUNESMITH_HOEM" in line and "'TUNESMITH_HOME'" in line for line in told)
    assert any("TUNESMITH_OFLINE" in line for line in told)
    assert not any("FOREIGN" in line for line in told)


def test_the_test_suites_own_variable_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_REQUIRE", "all")
    assert not any("TUNESMITH_REQUIRE" in line for line in unknown_variables())


def test_lists_have_commas_in_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_TRUSTED_NETWORK", "localhost, ml-training")
    monkeypatch.setenv("TUNESMITH_ALLOWED_PATHS", "/srv/data,/srv/models")
    settings = load_settings()
    assert settings.trusted_network == ["localhost", "ml-training"]
    assert settings.allowed_paths == [Path("/srv/data"), Path("/srv/models")]


def test_the_port_has_a_variable_that_others_know_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8300")
    assert settings_with_origins()["port"].origin == "PORT" and load_settings().port == 8300
    monkeypatch.setenv("TUNESMITH_PORT", "8301")
    assert load_settings().port == 8301


def test_a_password_is_never_shown() -> None:
    assert masked("postgresql://me:se:cr@et@host/name") == "postgresql://me:***@host/name"
    assert masked("sqlite:////home/me/x.db") == "sqlite:////home/me/x.db"
