"""tunesmith's own settings: command line > ``TUNESMITH_*`` > ``.env`` > ``$TUNESMITH_HOME/config.yaml`` > default.

To add one, add a field with a docstring to ``Settings``; its variable, its key in ``config.yaml`` and its line in
`tunesmith config show` follow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tunesmith.spec.errors import BadValue, UnknownKey, UnreadableFile, did_you_mean

PREFIX: Final = "TUNESMITH_"
CONFIG_FILE: Final = "config.yaml"
"""Name of the settings file inside the home."""
_FOREIGN: Final = "TUNESMITH_REQUIRE"
"""Begins like a setting, but it is the test suite's, which runs commands too."""
_WANTED: Final[dict[Any, str]] = {bool: "true or false", float: "a number from 0"}
"""What a setting of a type takes, in words; the others take paths."""
_YES: Final = frozenset({"1", "true", "yes", "on"})


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


class Settings(BaseSettings):
    """The settings in force. ``load_settings`` reads them; made directly, this class reads nothing."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    home: Annotated[Path, AfterValidator(_absolute)] = _absolute(Path("~/.tunesmith"))
    """Folder of runs, models, data sets and caches."""
    offline: bool = False
    """Make any need of the network an error (also with HF_HUB_OFFLINE)."""
    cache_limit_gb: float = Field(20.0, ge=0, allow_inf_nan=False)
    """Size in GB (10^9 bytes) beyond which tokenised data that was not used for longest is removed."""

    @property
    def runs_dir(self) -> Path:
        """Run folders, one per run."""
        return self.home / "runs"

    @property
    def models_dir(self) -> Path:
        """Models that were pulled."""
        return self.home / "models"

    @property
    def datasets_dir(self) -> Path:
        """Data sets that were pulled."""
        return self.home / "datasets"

    @property
    def cache_dir(self) -> Path:
        """What can be made again, such as tokenised data."""
        return self.home / "cache"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is given: ``load_settings`` asks the other sources itself and remembers which answered."""
        return (init_settings,)


@dataclass(frozen=True)
class Setting:
    """One value in force."""

    value: Any
    origin: str
    """Where it comes from: command line, the variable's name, .env, the settings file, or default."""


def load_settings(**typed: Any) -> Settings:
    """Return the settings in force; ``typed`` is what the command line says and wins.

    Raises:
        BadValue: a value that the setting cannot have; the message names its origin.
        UnknownKey: a key of the settings file that nothing reads.
        UnreadableFile: the settings file is not readable YAML.
    """
    return _validated(_found(typed))


def settings_with_origins(**typed: Any) -> dict[str, Setting]:
    """Return each setting's value and where it comes from."""
    found = _found(typed)
    settings = _validated(found)
    return {
        name: Setting(getattr(settings, name), found[name].origin if name in found else "default")
        for name in Settings.model_fields
    }


def unknown_variables() -> list[str]:
    """Say which ``TUNESMITH_*`` variables, in the environment or in ``.env``, nothing reads."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    seen = [*os.environ, *(name.upper() for name in DotEnvSettingsSource(Settings).env_vars)]
    unknown = [name for name in dict.fromkeys(seen) if name.startswith(PREFIX) and name not in (*known, _FOREIGN)]
    return [f"{name} is not a setting of tunesmith.{did_you_mean(name, known)}" for name in unknown]


def _found(typed: dict[str, Any]) -> dict[str, Setting]:
    """Collect the values that are set somewhere, the strongest source's for each."""
    found: dict[str, Setting] = {}
    for name, setting in _early(typed):
        found.setdefault(name, setting)
    home = _validated({"home": found["home"]} if "home" in found else {}).home
    for name, value in _file(home / CONFIG_FILE).items():
        found.setdefault(name, Setting(value, str(home / CONFIG_FILE)))
    return found


def _early(typed: dict[str, Any]) -> Iterator[tuple[str, Setting]]:
    """Yield what the sources say that do not depend on where the home is, strongest first."""
    for name, value in typed.items():
        yield name, Setting(value, "command line")
    for name, value in EnvSettingsSource(Settings)().items():
        yield name, Setting(value, PREFIX + name.upper())
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in _YES:
        yield "offline", Setting(True, "HF_HUB_OFFLINE")
    for name, value in DotEnvSettingsSource(Settings)().items():
        if name in Settings.model_fields:
            yield name, Setting(value, ".env")


def _file(path: Path) -> dict[str, Any]:
    """Read the settings file of a home; none is as good as an empty one."""
    if not path.is_file():
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnreadableFile(path, " ".join(str(error).split())) from error
    if not isinstance(content, dict):
        raise UnreadableFile(path, "it holds no keys")
    known = set(Settings.model_fields) - {"home"}
    for key in content:
        if key not in known:
            raise UnknownKey(str(key), str(path), known)
    return content


def _validated(found: dict[str, Setting]) -> Settings:
    try:
        return Settings(**{name: setting.value for name, setting in found.items()})
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        if name not in Settings.model_fields:
            raise UnknownKey(name, "settings", Settings.model_fields) from error
        wanted = _WANTED.get(Settings.model_fields[name].annotation, "a path")
        raise BadValue(f"{name} (from {found[name].origin})", fault["input"], wanted) from error
