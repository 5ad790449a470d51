from __future__ import annotations

import pytest

from scripts.checks.doc_commands import faults


@pytest.fixture
def page(plant):
    plant("Makefile", "demo: x  ## run\n")

    def write(text: str) -> None:
        plant("README.md", text)

    return write


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("Run `make dema` first.", "there is no `make dema`"),
        ("    tunesmith trian --model x", "no command trian"),
        ("Use `tunesmith completion --fast bash`.", "no flag --fast"),
        ("$ tunesmith --offlin doctor", "no flag --offlin"),
    ],
)
def test_names_what_a_document_gets_wrong(page, tmp_path, line, what):
    page(line.strip() + "\n")
    [fault] = faults(tmp_path)
    assert "README.md:1" in str(fault)
    assert what in str(fault)


def test_is_silent_when_everything_exists(page, tmp_path):
    page("`make demo`, then `tunesmith --offline completion bash > file` or `tunesmith COMMAND --help`.\n")
    assert not list(faults(tmp_path))
