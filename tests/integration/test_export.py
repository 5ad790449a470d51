"""Exports of whole runs: opened as their users open them, and compared with what was trained."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from integration.conftest import Here
from integration.jobs import begin, tiny_job
from tiny import make_tiny_model
from tunesmith.runs.checkpoints import listed
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs import export as exporting
from tunesmith.service.jobs import work_folders
from tunesmith.service.jobs.export import export
from tunesmith.settings import Settings
from tunesmith.spec.errors import (
    AdapterMismatch,
    DiskFull,
    NothingToExport,
    OutputUnusable,
    Relayed,
    TokenizerMismatch,
)
from tunesmith.spec.recipe import AdapterRecipe, QuantizationRecipe
from tunesmith.spec.work import ExportSpec

IDS = torch.arange(30, 60).unsqueeze(0)


@pytest.fixture
def exports_here(here: Here, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setattr(exporting, "LocalExecutor", lambda: here)
    return here


def logits(folder: Path, adapter: Path | None = None) -> torch.Tensor:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def write(settings: Settings, source: RunFolder | Path, output: Path, **values: Any) -> dict[str, Any]:
    name = f"run:{source.id}" if isinstance(source, RunFolder) else str(source)
    return export(ExportSpec(source=name, **values), output, settings, lambda message, done: None)


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "parity.json").read_text())


def copied(run: RunFolder, settings: Settings) -> RunFolder:
    """A run whose result may be damaged."""
    folder = settings.home / "runs" / run.id
    shutil.copytree(run.path, folder, symlinks=True)
    return RunFolder(folder)


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

    summary = write(settings, run, tmp_path / "model", what="merged")
    assert summary["merged_to_adapter"]["relative"] < 1e-3
    assert summary["trained_base_to_merged"]["divergence"] > summary["merged_to_adapter"]["divergence"]
    whole, apart = logits(tmp_path / "model"), logits(tiny_model, tmp_path / "lora")
    torch.testing.assert_close(whole, apart, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(whole, logits(tiny_model), rtol=1e-3, atol=1e-3)
    assert {"tokenizer.json", "config.json", "README.md"} <= {path.name for path in (tmp_path / "model").iterdir()}


def test_each_kind_of_export_is_found_to_be_what_was_trained(
    exports_here: Here, trained: RunFolder, shared_settings: Settings, tmp_path: Path
) -> None:
    formats = {"q8_0": "llama.cpp", "f16": "llama.cpp", "merged": "transformers", "adapter": "transformers"}
    for kind, by in formats.items():
        asked = {"what": kind} if kind in ("merged", "adapter") else {"what": "gguf", "quantization": kind}
        summary = write(shared_settings, trained, tmp_path / kind, **asked)
        found = report(tmp_path / kind)
        assert summary["parity"] == found
        assert found["passed"]
        assert found["opened_by"].startswith(by)
        assert found["prompts"]["source"] == "training"
        assert found["token_ids"] == {"identical": 20, "of": 20}
        assert found["endings"]["tokens"] is True
        assert found["endings"]["taught"]["of"] == found["endings"]["written"]["of"] == 20
        assert found["divergence"]["mean"] < 1e-3
        text = (tmp_path / kind / "parity.json").read_text()
        assert "plus" not in text, "the training's texts are not in the report"
        ids = {len(digest) for digest in found["prompts"]["sha256"]}
        assert ids == {12}


def test_an_archive_holds_the_report_and_opens_as_the_files_do(
    exports_here: Here, trained: RunFolder, shared_settings: Settings, tmp_path: Path
) -> None:
    write(shared_settings, trained, tmp_path / "zip", zip=True)
    (archive,) = (tmp_path / "zip").glob("*.zip")
    held = zipfile.ZipFile(archive)
    assert {"adapter_config.json", "adapter_model.safetensors", "parity.json"} <= set(held.namelist())
    assert json.loads(held.read("parity.json")) == report(tmp_path / "zip")


def test_nothing_is_compared_where_nobody_asks_for_it(
    exports_here: Here, trained: RunFolder, shared_settings: Settings, tmp_path: Path
) -> None:
    summary = write(shared_settings, trained, tmp_path / "plain", replay=0)
    assert "parity" not in summary
    assert not (tmp_path / "plain" / "parity.json").exists()
    few = write(shared_settings, trained, tmp_path / "few", replay=3)
    assert few["parity"]["token_ids"] == {"identical": 3, "of": 3}


@pytest.mark.parametrize("what", ["adapter", "merged", "gguf"])
def test_a_damaged_template_fails_the_export_and_publishes_nothing(
    what: str, exports_here: Here, trained: RunFolder, settings: Settings, tmp_path: Path
) -> None:
    run = copied(trained, settings)
    file = run.artifacts_dir / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config["chat_template"] = config["chat_template"].replace("<|im_start|>assistant\n", "<|im_start|>assistant")
    assert file.read_text() != json.dumps(config)
    file.write_text(json.dumps(config))
    with pytest.raises(Relayed, match="20 of 20 prompts become other tokens than in training") as failed:
        write(settings, run, tmp_path / "out", what=what)
    assert failed.value.code == "parity_failed"
    assert not [path for path in (tmp_path / "out").iterdir() if path.name != ".tunesmith"]


def test_other_weights_than_the_trained_ones_fail_the_export(
    exports_here: Here, trained: RunFolder, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.worker.export import gguf_file

    straight = gguf_file.as_llama_cpp

    def turned(name: str, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
        return straight(name, -weight if name == "model.norm.weight" else weight, *rest)

    monkeypatch.setattr(gguf_file, "as_llama_cpp", turned)
    with pytest.raises(Relayed, match="the divergence is"):
        write(settings, copied(trained, settings), tmp_path / "out", what="gguf")


def test_a_whole_training_and_a_model_folder_become_gguf_too(
    exports_here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    full = begin(tiny_job(tiny_model, chat_data, tmp_path / "full", method="full", max_steps=2), settings)
    summary = write(settings, full, tmp_path / "gguf", what="gguf", quantization="q8_0")
    assert summary["parity"]["prompts"]["source"] == "training"
    assert summary["bytes"] == (tmp_path / "gguf" / f"{full.header().name}-q8_0.gguf").stat().st_size
    summary = write(settings, tiny_model, tmp_path / "base", what="gguf")
    assert summary["parity"]["prompts"]["source"] == "general"
    assert (tmp_path / "base" / "Modelfile").read_text().startswith(f"FROM ./{tiny_model.name}-f16.gguf\nTEMPLATE")
    with pytest.raises(NothingToExport, match="whole model already"):
        write(settings, full, tmp_path / "merged", what="merged")


def test_a_run_that_was_stopped_exports_its_best_checkpoint(
    exports_here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    run = begin(tiny_job(tiny_model, chat_data, tmp_path / "lora", epochs=2, max_steps=6), settings)
    finished = logits(tiny_model, tmp_path / "lora")
    for file in run.artifacts_dir.iterdir():  # What a run has that ended before its result was written.
        file.unlink() if not file.is_dir() or file.is_symlink() else None
    assert listed(run)
    summary = write(settings, run, tmp_path / "again")
    assert "adapter_model.safetensors" in summary["files"]
    torch.testing.assert_close(logits(tiny_model, tmp_path / "again"), finished, rtol=0, atol=0)


def test_a_whole_training_that_was_stopped_exports_its_best_checkpoint(
    exports_here: Here, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    run = begin(tiny_job(tiny_model, chat_data, tmp_path / "full", method="full", max_steps=4), settings)
    before = write(settings, run, tmp_path / "result", what="gguf")
    for file in run.artifacts_dir.iterdir():
        file.unlink() if not file.is_dir() or file.is_symlink() else None
    after = write(settings, run, tmp_path / "checkpoint", what="gguf")
    one, other = (tmp_path / folder / f"{run.header().name}-f16.gguf" for folder in ("result", "checkpoint"))
    assert before["parity"]["passed"] and after["parity"]["passed"]
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()


def test_a_full_folder_or_disk_is_refused(
    exports_here: Here,
    trained: RunFolder,
    shared_settings: Settings,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("keep")
    for what, output in (("merged", taken), ("adapter", taken), ("gguf", taken), ("merged", tiny_model)):
        with pytest.raises(OutputUnusable):
            write(shared_settings, trained, output, what=what)
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]
    monkeypatch.setattr(work_folders.shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(0, 0, 1000))
    for what in ("merged", "gguf"):
        with pytest.raises(DiskFull):
            write(shared_settings, trained, tmp_path / "large", what=what)
    assert not (tmp_path / "large").exists()


def test_an_adapter_of_another_model_or_with_other_tokens_is_refused(
    trained: RunFolder, settings: Settings, tmp_path: Path
) -> None:
    other = make_tiny_model(tmp_path / "other", hidden_size=48, head_dim=12)
    adapter = tmp_path / "adapter"
    shutil.copytree(trained.artifacts_dir, adapter, ignore=shutil.ignore_patterns("checkpoints", "logs"))
    with pytest.raises(AdapterMismatch):
        write(settings, adapter, tmp_path / "out", what="merged", base=str(other))
    with pytest.raises(AdapterMismatch):
        write(settings, copied(trained, settings), tmp_path / "out", what="merged", base=str(other))
    tokens = json.loads((adapter / "tokenizer.json").read_text())
    tokens["added_tokens"][0]["content"] = "<|other|>"
    (adapter / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(TokenizerMismatch, match=r"<\|other\|>"):
        write(settings, adapter, tmp_path / "out", what="merged")
    assert not (tmp_path / "out").exists()
