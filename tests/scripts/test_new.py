from __future__ import annotations

import re
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


def test_a_layout_comes_with_a_test_that_fails_and_a_section_below_its_format(tree):
    assert main(["layout", "foo", "boxes"], tree) == 0
    headings = re.findall(r"^#+ .*", (tree / "docs/formats.md").read_text(), re.M)
    assert headings[headings.index("### foo") + 1] == "## vision_qa"
    code, said = pytest_says(tree, "tests/data/layouts/test_foo.py")
    assert code == 1
    assert "Put the names of a real foo into NAMES" in said
    assert "1 failed, 2 passed" in said


def test_the_section_of_a_layout_of_the_last_format_ends_the_page(tree):
    page = tree / "docs/formats.md"
    last = re.findall(r"^## (.*)", page.read_text(), re.M)[-1]
    assert main(["layout", "foo", last], tree) == 0
    assert page.read_text().endswith("1.jpg\n```\n")


@pytest.mark.parametrize("modality", ["text", "vision"])
def test_a_family_comes_with_a_row_and_a_test_that_fails(tree, modality):
    assert main(["family", "foo", modality], tree) == 0
    code, said = pytest_says(tree, f"tests/modalities/{modality}/test_families.py")
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
        (["family", "vit", "vision"], "already has a row"),
        (["family", "foo", "smell"], "none of the modalities text, vision"),
        (["layout", "coco", "boxes"], "exists already"),
        (["layout", "foo", "crates"], "none of the formats"),
        (["format", "foo", "boxes"], "Usage: make new-KIND"),
        (["door", "foo"], "Usage: make new-KIND"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_in_one_sentence(tree, capsys, arguments, sentence):
    assert main(arguments, tree) == 2
    assert sentence in capsys.readouterr().err
