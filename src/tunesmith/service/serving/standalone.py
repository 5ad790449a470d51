"""One model by itself, as its files say it: what `start.sh` of a model directory serves, without any database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.modalities import MODALITIES, chat_template
from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG, base_names, check_adapter
from tunesmith.modalities.base import family_of
from tunesmith.planning.facts import device_facts, model_facts
from tunesmith.service.models.directory import ModelDirectory, is_model_directory
from tunesmith.service.models.install import identity
from tunesmith.service.models.resolve import resolve_model
from tunesmith.service.serving.targets import Target
from tunesmith.spec.errors import BadValue, ModelNotFound, PrecisionUnusable
from tunesmith.spec.home_paths import expanded
from tunesmith.spec.job import Device, ModelRef, Resources

if TYPE_CHECKING:
    from tunesmith.modalities.base import Family
    from tunesmith.settings import Settings
    from tunesmith.spec.plan import DeviceFacts, ModelFacts

LORA: Final = "lora"
"""Where training in a model directory leaves its result."""
BYTES: Final = {"fp32": 4, "bf16": 2, "fp16": 2}
"""Bytes of a weight by number format."""
ROOM: Final = 1.2
"""A model takes so many times its weights, with what it keeps of the conversations."""


@dataclass(frozen=True)
class Named:
    """The folders that somebody means."""

    model: str
    """Folder, pulled name or hub id of the base."""
    adapter: Path | None
    directory: ModelDirectory | None = None
    """The model directory that they lie in, where it is one."""


@dataclass(frozen=True)
class Standalone:
    """A model that is served by itself."""

    target: Target
    facts: ModelFacts
    family: str
    """Its family's name, such as Llama."""
    device: str
    """cpu or cuda."""
    precision: str
    """Number format that it computes in."""
    talks: bool
    """Whether it takes part in conversations: it brings a template for them, or was trained on some."""
    notes: tuple[str, ...] = ()
    """What whoever starts it should know, a sentence each."""

    @property
    def untrained(self) -> Target:
        """The base as it was before the adapter."""
        return replace(self.target, name="base", adapter=None)


def named(model: str | None, adapter: Path | None, *, trained: bool = True) -> Named:
    """Return what a model and an adapter mean: of a model directory its model, with what was trained there.

    ``trained`` False leaves the result in a model directory out. Without ``model`` the adapter says which one it is on.

    Raises:
        BadValue: there is neither.
        ModelNotFound: the folder is no adapter, or it does not name its base.
    """
    if model is None:
        return Named(_base_of(adapter), adapter)
    folder = expanded(model)
    if not is_model_directory(folder):
        return Named(model, adapter)
    directory = ModelDirectory(folder.resolve())
    result = directory.path / LORA
    if adapter is None and trained and (result / "config.json").is_file():
        return Named(str(result), None, directory)  # All of its weights were trained: it is a model of its own.
    if adapter is None and trained and (result / ADAPTER_CONFIG).is_file():
        adapter = result
    return Named(str(directory.model), adapter, directory)


def standalone(
    settings: Settings, wanted: Named, *, device: Device, precision: str | None, offload: bool = False
) -> Standalone:
    """Look at a model's files and at the machine, and say how it is served; nothing is loaded.

    ``offload`` keeps a model that the GPU has no room for in the machine's memory, where the processor computes.

    Raises:
        ModelNotFound, NotALanguageModel: there is no such model, or it does not write.
        AdapterMismatch: the adapter is another model's.
        NoSuchDevice, PrecisionUnusable: the machine cannot do what was asked for.
    """
    folder = resolve_model(ModelRef(source=wanted.model), settings)
    if wanted.adapter is not None:
        check_adapter(wanted.adapter, folder)
    facts = model_facts(folder, wanted.model)
    found = device_facts(Resources(device=device))
    notes = []
    if offload:
        found, note = _offloaded(found, facts, BYTES.get(precision or "bf16", 2))
        notes.append(note)
    family = family_of(facts.model_type, MODALITIES["text"].families)
    name = wanted.directory.model_id if wanted.directory else _name(wanted.model, folder)
    target = Target(name=name, org=None, base=folder, adapter=wanted.adapter and wanted.adapter.resolve())
    strange = wanted.directory is None and other_base(target)
    return Standalone(
        target=target,
        facts=facts,
        family=family.name,
        device=found.kind,
        precision=_precision(precision, found, family),
        talks=wanted.adapter is not None or chat_template.load(folder) is not None,
        notes=(*notes, *([strange] if strange else [])),
    )


def other_base(target: Target) -> str | None:
    """Say so if an adapter names another model than the one it is used with, whose shapes are the same."""
    names = base_names(target.adapter) if target.adapter else []
    same = {target.name.lower(), target.name.rpartition("/")[2].lower(), target.base.name.lower()}
    if not names or any(Path(name).name.lower() in same or name.lower() in same for name in names):
        return None
    return f"{target.adapter} was trained on '{names[0]}' and is used with '{target.name}'."


def _base_of(adapter: Path | None) -> str:
    """Return the model of an adapter: the folder that it was trained on if that is there, else what it is called."""
    if adapter is None:
        raise BadValue("model", None, "a model, or an adapter that names its base")
    names = base_names(adapter)
    if not names:
        raise ModelNotFound(str(adapter), "No adapter that names its base is there: give --model too.")
    return next(
        (name for name in names if Path(name).is_absolute() and (Path(name) / "config.json").is_file()), names[0]
    )


def _name(source: str, folder: Path) -> str:
    return identity(source) if expanded(source).is_dir() else source or folder.name


def _precision(asked: str | None, device: DeviceFacts, family: Family) -> str:
    """Return the number format: what was asked for, else the best that the device is quick with."""
    if asked == "fp16" and device.kind == "cpu":
        raise PrecisionUnusable("--dtype", asked, "a CPU is slow in it", "fp32")
    if asked == "fp16" and not family.fp16:
        raise PrecisionUnusable("--dtype", asked, f"{family.name} models overflow in it", "bf16")
    return asked or ("bf16" if device.bf16 else "fp32")


def _offloaded(found: DeviceFacts, facts: ModelFacts, bytes_each: int) -> tuple[DeviceFacts, str]:
    """Return the processor where a GPU has too little room for a model, and a sentence about it."""
    if found.kind == "cpu":
        return found, "--cpu-offload: the model is in the machine's memory as a whole, as there is no GPU to relieve."
    needed = int(facts.parameters * bytes_each * ROOM)
    room = f"it takes about {needed / 2**30:.1f} GiB and the GPU has {found.memory / 2**30:.1f} GiB free"
    if needed <= found.memory:
        return found, f"--cpu-offload: the model stays on the GPU: {room}."
    return device_facts(Resources(device=Device.CPU)), f"--cpu-offload: the processor computes, as {room}."
