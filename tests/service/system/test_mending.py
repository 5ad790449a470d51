"""What doctor mends, with the real pip on an environment of the test's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tunesmith.runs.checkpoints import stage
from tunesmith.runs.folder import RunFolder
from tunesmith.service.system import mending
from tunesmith.service.system.mending import MendingFailed
from tunesmith.service.system.packages import requirements
from tunesmith.settings import Settings


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An interpreter with no packages, and a folder with one package as pip's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tinydep-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tinydep.py", "ready = True\n")
        archive.writestr("tinydep-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinydep\nVersion: 1.0\n")
        archive.writestr("tinydep-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tinydep-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    venv.create(tmp_path / "env", with_pip=False)
    return str(tmp_path / "env" / "bin" / "python")


def test_a_package_that_lacks_is_installed(python: str) -> None:
    [step] = mending.install(["tinydep>=1.0"], python)
    assert step.told == "pip install tinydep>=1.0"
    step.do()
    assert subprocess.run([python, "-c", "import tinydep"], check=False).returncode == 0


def test_what_pip_says_is_kept(python: str) -> None:
    [step] = mending.install(["no-such-package"], python)
    with pytest.raises(MendingFailed, match="no-such-package"):
        step.do()


def test_a_package_is_installed_again_in_the_version_that_is_there() -> None:
    [step] = mending.reinstall(["click"], sys.executable)
    assert step.told.startswith("pip install --force-reinstall --no-deps click==")


def test_everything_is_what_tunesmith_and_its_training_ask_for() -> None:
    told = " ".join(step.told for step in mending.reinstall_everything())
    assert {"click", "torch", "peft"} <= {word.partition("=")[0] for word in told.split()}
    assert any(line.startswith("transformers>=") for line in requirements("tunesmith"))


def test_half_written_checkpoints_of_dead_runs_go_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    run = RunFolder.create(tmp_path, kind="train", name="r")
    with stage(run, 3) as staging:
        (staging.path / "weights").write_bytes(b"x")
        shutil.copytree(staging.path, run.checkpoints_dir / f"{staging.path.name}0")
        staging.commit({})
    assert mending.steps_for("leftovers", settings) == [], "a run that goes on may be writing"
    (run.path / "exit.json").write_text(json.dumps({"code": None, "signal": 9, "peak_memory_bytes": 0, "ended_at": 0}))
    for step in mending.steps_for("leftovers", settings):
        step.do()
    assert [folder.name for folder in run.checkpoints_dir.iterdir()] == ["checkpoint-3"]


def test_what_only_the_user_can_mend_has_no_step(tmp_path: Path) -> None:
    assert mending.steps_for("home", Settings(home=tmp_path)) == []
