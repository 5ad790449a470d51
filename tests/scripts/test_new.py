from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.new import main


@pytest.fixture
def tree(repository: Path, tmp_path: Path) -> Path:
    """A copy of the source, without tests."""
    shutil.copytree(repository / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (tmp_path / "docs").mkdir()
    for name in ("pyproject.toml", "docs/formats.md"):
        shutil.copy(repository / name, tmp_path / name)
    return tmp_path


def pytest_says(tree: Path, test: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=0", test]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_a_format_comes_with_a_test_that_fails_until_it_is_filled_in(tree):
    assert main(["format", "foo"], tree) == 0
    assert "## foo" in (tree / "docs/formats.md").read_text()
    code, said = pytest_says(tree, "tests/data/formats/test_foo.py")
    assert code == 1
    assert "Put a real row of foo into ROW" in said
    assert "1 failed, 1 passed" in said


def test_a_family_comes_with_a_row_and_a_test_that_fails(tree):
    assert main(["family", "foo"], tree) == 0
    code, said = pytest_says(tree, "tests/modalities/text/test_families.py")
    assert code == 1
    assert "test_foo_is_as_its_documents_say" in said
    assert "Put the documented layers here" in said


def test_a_modality_comes_with_seven_files_and_a_test_that_fails(tree):
    assert main(["modality", "foo"], tree) == 0
    assert len(list((tree / "src/tunesmith/modalities/foo").glob("*.py"))) == 7
    assert " | (foo) | (text)" in (tree / "pyproject.toml").read_text()
    code, said = pytest_says(tree, "tests/modalities/foo/test_modality.py")
    assert code == 1
    assert "Fill in the seven files of modalities/foo/" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["format", ""], "cannot name a module"),
        (["format", "Foo-Bar"], "cannot name a module"),
        (["format", "class"], "cannot name a module"),
        (["format", "alpaca"], "exists already"),
        (["modality", "text"], "exists already"),
        (["family", "llama"], "already has a row"),
        (["door", "foo"], "Usage: make new-KIND"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_in_one_sentence(tree, capsys, arguments, sentence):
    assert main(arguments, tree) == 2
    assert sentence in capsys.readouterr().err
