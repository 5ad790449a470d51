"""tunesmith's own settings: command line > ``TUNESMITH_*`` > ``.env`` > ``$TUNESMITH_HOME/config.yaml`` > default.

To add one, add a field with a docstring to ``Settings``; its variable, its key in ``config.yaml`` and its line in
`tunesmith config show` follow.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tunesmith.spec.errors import BadValue, UnknownKey, UnreadableFile, did_you_mean
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.wrong_values import wanted

PREFIX: Final = "TUNESMITH_"
CONFIG_FILE: Final = "config.yaml"
"""Name of the settings file inside the home."""
_FOREIGN: Final = "TUNESMITH_REQUIRE"
"""Begins like a setting, but it is the test suite's, which runs commands too."""
_YES: Final = frozenset({"1", "true", "yes", "on"})


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(expanded(path)))


def _words(value: object) -> object:
    """Read a list as variables hold it: with commas between."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


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

    database_url: str | None = None
    """Database of the service: postgresql://... to share it between machines. Open: tunesmith.db in the home."""
    host: str = "127.0.0.1"
    """Address that `tunesmith serve` listens on."""
    port: int = Field(8000, ge=0, le=65535)
    """Port that `tunesmith serve` listens on (also with PORT); 0 takes a free one."""
    role: Literal["api", "worker", "all"] = "all"
    """What a server does: answer requests, run jobs, or both."""
    device: Literal["cpu", "gpu", "any"] = "any"
    """Which jobs a server claims: those for a CPU, those for a GPU, or all that its devices can do."""
    cpu_slots: int = Field(1, ge=0, le=1024)
    """Jobs that run on this machine's CPU at once."""
    side_jobs: int = Field(1, ge=0, le=1024)
    """Evaluations and exports that this machine does at once, beside its trainings; 0: none are done here."""
    machine: str = Field(default_factory=socket.gethostname, min_length=1, max_length=128)
    """Name of this machine in a database that several share. Open: its host name."""
    lease_seconds: float = Field(30.0, gt=0, allow_inf_nan=False)
    """After so many seconds of silence another machine takes a server's jobs over."""
    poll_seconds: float = Field(0.2, gt=0, le=60, allow_inf_nan=False)
    """How often a server looks at the queue and at its runs."""
    max_attempts: int = Field(3, ge=1, le=100)
    """Runs of a job that may die one after another without getting any further, before the job is set aside."""
    retry_seconds: float = Field(5.0, ge=0, le=3600, allow_inf_nan=False)
    """Wait before a job whose run died is tried again; twice as long each time."""
    stop_seconds: float = Field(30.0, ge=0, le=3600, allow_inf_nan=False)
    """How long a run that is cancelled may take to end by itself before it is killed."""
    trusted_network: Annotated[list[str], NoDecode, BeforeValidator(_words)] = []
    """Host names under which the server may be called without a key; needed to listen on other than loopback
    addresses without keys."""
    host_names: Annotated[list[str], NoDecode, BeforeValidator(_words)] = []
    """Further names under which the server is called, such as that of a proxy before it. A request for any other name
    is refused; loopback names and the address that it listens on need no mention."""
    allowed_paths: Annotated[list[Annotated[Path, AfterValidator(_absolute)]], NoDecode, BeforeValidator(_words)] = []
    """Folders outside of its own that an organisation's requests may name, where keys are in force."""
    max_body_mb: float = Field(100.0, gt=0, allow_inf_nan=False)
    """Largest body of a request that is no upload, in MB (10^6 bytes)."""
    upload_limit_gb: float = Field(100.0, gt=0, allow_inf_nan=False)
    """Largest upload, in GB (10^9 bytes)."""
    rate_limit: int = Field(1200, ge=0)
    """Requests a minute that one key (or one address without a key) may send; 0 sets no limit."""
    max_queued: int = Field(100_000, ge=0)
    """Queued jobs of one organisation, unless it has a limit of its own."""
    max_running: int = Field(1_000, ge=0)
    """Running jobs of one organisation, unless it has a limit of its own."""
    max_device_hours: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Device-hours of one organisation in 30 days, unless it has a limit of its own. Open: no limit."""
    max_bytes: int | None = Field(None, ge=0)
    """Bytes of data and models of one organisation, unless it has a limit of its own. Open: no limit."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """What answers: this installation's own decoder, or vLLM where it is installed (`pip install tunesmith[vllm]`)."""
    serve_rows: int = Field(8, ge=1, le=4096)
    """Answers that one loaded model writes at once."""
    serve_waiting: int = Field(64, ge=0)
    """Requests that may wait for one model, loaded or loading; further ones are refused with 429."""
    serve_memory_gb: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Memory in GB (10^9 bytes) that all loaded models of this machine may take. Open: 80 % of what is free."""
    serve_wait_seconds: float = Field(30.0, ge=0, allow_inf_nan=False)
    """How long a request waits for memory that models which are answering have."""
    serve_idle_minutes: float = Field(30.0, gt=0, allow_inf_nan=False)
    """After so long without a request a loaded model leaves memory."""
    serve_adapters_gb: float = Field(2.0, gt=0, allow_inf_nan=False)
    """Memory in GB for the adapters on one model; those that were not used for longest leave."""
    max_adapter_mb: float = Field(1000.0, gt=0, allow_inf_nan=False)
    """Largest adapter that is loaded, in MB (10^6 bytes) of its file."""
    vllm_max_rank: int = Field(64, ge=1)
    """Highest rank of an adapter that vLLM loads; it sets memory aside for it."""
    vllm_memory_share: float = Field(0.75, gt=0, lt=1)
    """Share of the GPU's memory that one vLLM takes."""
    training_config: Path = Path("config/training_config.yaml")
    """Defaults of `POST /train` and the encoder pages, read again for each job."""

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
    if os.environ.get("PORT"):
        yield "port", Setting(os.environ["PORT"], "PORT")
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
        value = masked(fault["input"]) if name == "database_url" else fault["input"]
        raise BadValue(f"{name} (from {found[name].origin})", value, wanted(Settings.model_fields[name])) from error


def masked(address: str) -> str:
    """Return the address of a database without the password in it."""
    shown = re.sub(r"^((?:[^:/@]*:/+)?[^:/@]*):.*@", r"\1:***@", str(address))
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", shown)
