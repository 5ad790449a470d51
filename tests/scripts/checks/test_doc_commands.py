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
        ("Try `tunesmith trian --model x`.", "no command trian"),
        ("Use `tunesmith completion --fast bash`.", "no flag --fast"),
        ("Or `$ tunesmith --offlin doctor`.", "no flag --offlin"),
    ],
)
def test_names_what_a_document_gets_wrong(page, tmp_path, line, what):
    page(line.strip() + "\n")
    [fault] = faults(tmp_path)
    assert "README.md:1" in str(fault)
    assert what in str(fault)


def test_reads_blocks_of_code_line_by_line(page, tmp_path):
    page("```sh\nmake demo  # first\ntunesmith complete\n```\n")
    [fault] = faults(tmp_path)
    assert "README.md:3: `tunesmith complete`: no command complete" in str(fault)


def test_leaves_sentences_alone(page, tmp_path):
    page("tunesmith grows many doors, which make everything\nmake sense.\n")
    assert not list(faults(tmp_path))


def test_is_silent_when_everything_exists(page, tmp_path):
    page("`make demo`, then `tunesmith --offline completion bash > file` or `tunesmith COMMAND --help`.\n")
    assert not list(faults(tmp_path))
