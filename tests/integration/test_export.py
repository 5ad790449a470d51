"""Exports of whole runs: an adapter that PEFT opens, a model that transformers opens, and what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

from integration.conftest import Here
from integration.jobs import begin, tiny_job
from tunesmith.runs.checkpoints import listed
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs import export
from tunesmith.service.jobs.export import Source, export_adapter, export_merged
from tunesmith.settings import Settings
from tunesmith.spec.errors import AdapterMismatch, DiskFull, NothingToExport, OutputUnusable, TokenizerMismatch
from tunesmith.spec.recipe import AdapterRecipe, QuantizationRecipe

IDS = torch.arange(30, 60).unsqueeze(0)


@pytest.fixture
def exports_here(here: Here, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setattr(export, "LocalExecutor", lambda: here)
    return here


def logits(folder: Path, adapter: Path | None = None) -> torch.Tensor:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def silent(message: str, done: float | None) -> None:
    """Hear nothing."""


@pytest.mark.parametrize("method", ["qlora", "lora-8bit"])
def test_a_run_over_fewer_bits_merges_onto_the_whole_base(
    method: str, exports_here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    job = tiny_job(
        tiny_model, chat_data, tmp_path / "lora", method=method, epochs=1, max_steps=4,
        quantization=QuantizationRecipe(double=True), adapter=AdapterRecipe(rank=4, dora=method == "qlora"),
    )  # fmt: skip
    run = begin(job, settings)
    assert exports_here.code == 0, run.log.read_text()
    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_model)
    assert "quantization_config" not in config
    info = json.loads((tmp_path / "lora" / "adapter_info.json").read_text())
    assert info["training_config"]["recipe"]["method"] == method
    assert info["training_config"]["recipe"]["quantization"]["double"] is True

    summary = export_merged(Source.of_run(run), tmp_path / "model", settings, silent)
    assert summary["merged_to_adapter"]["relative"] < 1e-3
    assert summary["trained_base_to_merged"]["divergence"] > summary["merged_to_adapter"]["divergence"]
    whole, apart = logits(tmp_path / "model"), logits(tiny_model, tmp_path / "lora")
    torch.testing.assert_close(whole, apart, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(whole, logits(tiny_model), rtol=1e-3, atol=1e-3)
    assert {"tokenizer.json", "config.json", "README.md"} <= {path.name for path in (tmp_path / "model").iterdir()}


def test_a_run_that_was_stopped_exports_its_best_checkpoint(
    exports_here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    run = begin(tiny_job(tiny_model, chat_data, tmp_path / "lora", epochs=2, max_steps=6), settings)
    finished = logits(tiny_model, tmp_path / "lora")
    for file in run.artifacts_dir.iterdir():  # What a run has that ended before its result was written.
        file.unlink() if not file.is_dir() or file.is_symlink() else None
    assert listed(run)
    summary = export_adapter(Source.of_run(run), tmp_path / "again", settings, silent, zipped=False)
    assert "adapter_model.safetensors" in summary["files"]
    torch.testing.assert_close(logits(tiny_model, tmp_path / "again"), finished, rtol=0, atol=0)

    export_adapter(Source.of_run(run), tmp_path / "zip", settings, silent, zipped=True)
    (archive,) = (tmp_path / "zip").glob("*.zip")
    assert "adapter_config.json" in zipfile.ZipFile(archive).namelist()


def test_what_has_no_adapter_or_a_full_folder_is_refused(
    exports_here: Here,
    trained: RunFolder,
    settings: Settings,
    tiny_model: Path,
    chat_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = begin(tiny_job(tiny_model, chat_data, tmp_path / "full", method="full", max_steps=1), settings)
    with pytest.raises(NothingToExport, match="whole model already"):
        Source.of_run(full)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("keep")
    for write in (
        lambda: export_merged(Source.of_run(trained), taken, settings, silent),
        lambda: export_adapter(Source.of_run(trained), taken, settings, silent, zipped=False),
        lambda: export_merged(Source.of_run(trained), tiny_model, settings, silent),
    ):
        with pytest.raises(OutputUnusable):
            write()
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]
    monkeypatch.setattr(export, "BYTES", {"fp32": 10**12})
    with pytest.raises(DiskFull):
        export_merged(Source.of_run(trained), tmp_path / "large", settings, silent)
    assert not (tmp_path / "large").exists()


def test_an_adapter_of_another_model_or_with_other_tokens_is_refused(
    trained: RunFolder, settings: Settings, tmp_path: Path
) -> None:
    import shutil

    from tiny import make_tiny_model

    other = make_tiny_model(tmp_path / "other", hidden_size=48, head_dim=12)
    adapter = tmp_path / "adapter"
    shutil.copytree(trained.artifacts_dir, adapter, ignore=shutil.ignore_patterns("checkpoints", "logs"))
    with pytest.raises(AdapterMismatch):
        export_merged(Source.of_folder(adapter), tmp_path / "out", settings, silent, model=str(other))
    with pytest.raises(AdapterMismatch):
        export_merged(Source.of_run(trained), tmp_path / "out", settings, silent, model=str(other))
    tokens = json.loads((adapter / "tokenizer.json").read_text())
    tokens["added_tokens"][0]["content"] = "<|other|>"
    (adapter / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(TokenizerMismatch, match=r"<\|other\|>"):
        export_merged(Source.of_folder(adapter), tmp_path / "out", settings, silent)
    assert not (tmp_path / "out").exists()
