from __future__ import annotations

import re
import subprocess
from pathlib import Path


def make(repository: Path, *arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout


def test_help_lists_every_target_with_a_sentence(repository):
    text = (repository / "Makefile").read_text(encoding="utf-8")
    phony = set(" ".join(re.findall(r"^\.PHONY: (.*)$", text, re.M)).split())
    listed = dict(re.findall(r"^  ([a-z-]+)\s+(\S.*)$", make(repository, "help"), re.M))
    assert listed.keys() == phony


def test_set_up_installs_the_pinned_torch_before_anything_that_needs_it(repository):
    said = make(repository, "--dry-run", "--always-make", "demo")
    assert said.index("torch==") < said.index(".[train]") < said.index("tunesmith demo")
    assert said.count("-c constraints.txt") == 2


def test_another_index_is_used_for_torch_alone(repository):
    said = make(repository, "--dry-run", "--always-make", "TORCH_INDEX=INDEX", "demo")
    assert said.count('--extra-index-url "INDEX"') == 1


def test_constraints_pin_each_package_once_and_exactly(repository):
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", pin) for pin in pins)
    names = [pin.partition("==")[0].lower().replace("_", "-") for pin in pins]
    assert len(set(names)) == len(names)
    assert "torch" in names


def test_continuous_integration_runs_what_the_readme_names(repository):
    script = repository / ".ci/run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
    assert script.read_text(encoding="utf-8").strip().endswith("make lint\nmake test")
