"""What people ask for: one frozen ``JobSpec``, whichever door it came through."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict, Field

from tunesmith.spec.recipe import Part, Recipe


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Continue(StrEnum):
    """What a run takes over from the run that it continues."""

    NO = "no"
    WEIGHTS = "weights"
    STATE = "state"


class ModelRef(Part):
    """A model to start from."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    source: str = Field(min_length=1, json_schema_extra={"flag": "--model"})
    """A folder, a name that `tunesmith pull` knows, a hub id, or run:ID, the result of a run."""
    continue_: Continue | None = Field(None, alias="continue", json_schema_extra={"flag": "--continue"})
    """What is taken over from run:ID: no (its result is only the model to start from), weights (its adapter is trained
    on), state (optimizer, step counter and schedule position too). Open: weights for a run, else no."""
    revision: str | None = None
    """Branch, tag or commit of a hub id. Open: the hub's default branch."""


class DatasetRef(Part):
    """A source of rows."""

    uri: str = Field(min_length=1)
    """A file, a folder, a glob, an archive, a name that `tunesmith pull` knows, or a hub name such as squad:train."""
    format: str = "auto"
    """Name of a data set format; auto asks each format, row by row."""
    columns: dict[str, str] = {}
    """Renames: {column the format wants: column of the data}."""
    limit: int | None = Field(None, ge=1)
    """First rows taken from this source, at most."""
    validation: bool = False
    """Use these rows for validation instead of splitting some off."""
    test: bool = False
    """Keep these rows for the one evaluation at the end."""
    within: tuple[str, ...] | None = None
    """Folders outside of which no picture or recording that a row names is read. Open: whatever may be read."""


class Evaluation(Part):
    """How the model is watched while it trains."""

    validation_split: float | None = Field(None, ge=0, lt=1)
    """Share of the rows held out for validation. Open: 0.1, and none where that leaves no row."""
    test_split: float = Field(0.0, ge=0, lt=1)
    """Share of the rows kept for one evaluation of the result, at the end."""
    test_prompts: int = Field(3, ge=0, le=100)
    """Held-out prompts answered before and after training, side by side."""
    prompts: list[str] = Field([], json_schema_extra={"flag": "--test-prompt", "repeats": True})
    """A further prompt to answer before and after training; --test-prompt can be repeated."""


class Output(Part):
    """Where a finished result is published."""

    dir: str = Field("./lora", min_length=1, json_schema_extra={"flag": "--output"})
    """Folder that receives the result when the run has succeeded."""
    save_bin: bool = False
    """Also write adapter_model.bin beside adapter_model.safetensors."""
    tensorboard: bool = True
    """Write TensorBoard event files."""


class Resources(Part):
    """What the run may use."""

    device: Device = Device.AUTO
    """auto takes a GPU where there is one."""
    processes: int = Field(1, ge=1, le=64)
    """Processes that share each step, one for each device."""
    threads: int | None = Field(None, ge=1, le=1024)
    """Threads of each process; part of what makes a run repeatable. Open: the machine's cores shared out."""
    memory_limit_gb: float | None = Field(None, gt=0)
    """Memory that the plan may count on, in GiB. Open: what the device has."""


class JobSpec(Part):
    """A job: what to train, on what, how, and where the result goes."""

    schema_version: Literal[1] = 1
    """Version of this contract; a file that says nothing means the first."""
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Name of the run. Open: made from the model's and the data's names."""
    task: str | None = None
    """What is trained, such as chat or pretraining. Open: found from the data."""
    model: ModelRef
    datasets: list[DatasetRef] = Field(min_length=1)
    recipe: Recipe = Recipe()
    options: dict[str, Any] = {}
    """Settings of the modality; its own options class checks them."""
    evaluation: Evaluation = Evaluation()
    output: Output = Output()
    resources: Resources = Resources()
    suggested: dict[str, Any] = {}
    """What a way in takes for fields that the request leaves open, by dotted path such as recipe.adapter.targets. The
    plan replaces what this model or machine cannot have, and says so."""
    labels: dict[str, str] = {}
    """Free notes kept with the run."""
    seed: int = Field(42, ge=0, lt=2**32)
    """Decides the split, the order of rows and every random number."""
    strict: bool = False
    """Refuse data with faults instead of skipping the faulty rows."""
    force: bool = False
    """Start although the memory estimate says that it will not fit."""
