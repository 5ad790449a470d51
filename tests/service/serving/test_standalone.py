"""What a model directory, a folder or an adapter is served as, told by its files alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from service.models.installed import installed
from tiny import make_tiny_model, make_tokenizer
from tunesmith.planning import machine
from tunesmith.planning.gpus import Gpu
from tunesmith.service.models.directory import ModelDirectory
from tunesmith.service.serving.standalone import Named, Standalone, named, standalone
from tunesmith.settings import Settings
from tunesmith.spec.errors import AdapterMismatch, BadValue, ModelNotFound, NoSuchDevice, PrecisionUnusable
from tunesmith.spec.job import Device, Resources


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
def directory(tiny_model: Path, tmp_path: Path, settings: Settings) -> ModelDirectory:
    return installed(tiny_model, tmp_path / "a model", settings)


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    """An adapter folder as training leaves it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(target_modules=["q_proj"]))
    model.save_pretrained(str(tmp_path / "adapter"))
    (tmp_path / "adapter" / "adapter_info.json").write_text(json.dumps({"base_model": str(tiny_model)}))
    return tmp_path / "adapter"


def gpu(free: int) -> Gpu:
    return Gpu(index=0, name="Small", uuid="GPU-0", total=10**10, free=free, capability=(9, 0))


def looked_at(settings: Settings, wanted: Named, precision: str | None = None, *, offload: bool = False) -> Standalone:
    return standalone(settings, wanted, device=Device.CPU, precision=precision, offload=offload)


def test_a_directory_is_its_model_and_what_was_trained_in_it(
    directory: ModelDirectory, adapter: Path, settings: Settings
) -> None:
    assert named(str(directory.path), None).adapter is None
    shutil.copytree(adapter, directory.path / "lora")
    about = looked_at(settings, named(str(directory.path), None))
    assert (about.target.base, about.target.adapter) == (directory.model, directory.path / "lora")
    assert about.target.name == directory.model_id
    assert (about.untrained.name, about.untrained.adapter) == ("base", None)


def test_what_was_trained_can_be_left_out_or_replaced(directory: ModelDirectory, adapter: Path) -> None:
    shutil.copytree(adapter, directory.path / "lora")
    assert named(str(directory.path), None, trained=False).adapter is None
    assert named(str(directory.path), adapter).adapter == adapter


def test_a_model_whose_every_weight_was_trained_stands_for_itself(
    directory: ModelDirectory, tiny_model: Path, settings: Settings
) -> None:
    shutil.copytree(tiny_model, directory.path / "lora")
    about = looked_at(settings, named(str(directory.path), None))
    assert (about.target.base, about.target.adapter) == (directory.path / "lora", None)
    assert about.target.name == directory.model_id


def test_an_adapter_alone_finds_its_base(adapter: Path, tiny_model: Path, settings: Settings) -> None:
    about = looked_at(settings, named(None, adapter))
    assert (about.target.base, about.target.adapter) == (tiny_model, adapter)
    assert about.notes == ()


def test_an_adapter_of_another_name_is_used_and_said(adapter: Path, tiny_model: Path, settings: Settings) -> None:
    (adapter / "adapter_info.json").unlink()
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "someone/else"}))
    [note] = looked_at(settings, named(str(tiny_model), adapter)).notes
    assert "someone/else" in note


def test_an_adapter_of_other_sizes_is_refused(adapter: Path, tmp_path: Path, settings: Settings) -> None:
    other = make_tiny_model(tmp_path / "other", hidden_size=64)
    with pytest.raises(AdapterMismatch):
        looked_at(settings, named(str(other), adapter))


def test_something_must_be_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="adapter that names its base"):
        named(None, None)
    with pytest.raises(ModelNotFound, match="names its base"):
        named(None, tmp_path)


def test_a_model_without_a_template_continues_texts(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    assert looked_at(settings, named(str(tiny_model), None)).talks
    bare = shutil.copytree(tiny_model, tmp_path / "bare")
    make_tokenizer(bare, template=None)
    assert not looked_at(settings, named(str(bare), None)).talks


def test_the_number_format_is_one_that_the_machine_computes_in(tiny_model: Path, settings: Settings) -> None:
    wanted = named(str(tiny_model), None)
    assert looked_at(settings, wanted, "fp32").precision == "fp32"
    assert looked_at(settings, wanted).precision == (
        "bf16" if machine.device_facts(Resources(device=Device.CPU)).bf16 else "fp32"
    )
    with pytest.raises(PrecisionUnusable, match="--dtype fp16"):
        looked_at(settings, wanted, "fp16")


def test_a_gpu_that_is_not_there_is_one_sentence(
    tiny_model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gpus", list)
    with pytest.raises(NoSuchDevice):
        standalone(settings, named(str(tiny_model), None), device=Device.CUDA, precision=None)


@pytest.mark.parametrize(("free", "device"), [(10**9, "cuda"), (1_000, "cpu")])
def test_the_processor_computes_where_a_gpu_has_no_room(
    tiny_model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, device: str
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: [gpu(free)])
    monkeypatch.setattr(machine, "_torch_takes_gpus", lambda: True)
    wanted = named(str(tiny_model), None)
    about = standalone(settings, wanted, device=Device.AUTO, precision=None, offload=True)
    assert about.device == device
    assert any(note.startswith("--cpu-offload") for note in about.notes)
    assert standalone(settings, wanted, device=Device.AUTO, precision=None).device == "cuda"


def test_without_a_gpu_there_is_nothing_to_relieve(tiny_model: Path, settings: Settings) -> None:
    [note] = looked_at(settings, named(str(tiny_model), None), offload=True).notes
    assert "no GPU" in note
