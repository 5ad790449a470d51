from __future__ import annotations

from scripts.checks.documented import faults_of
from scripts.reference.page import Page, Row, Section


def page(*, text: str = "What it is.") -> Page:
    row = Row("patience", ("3",), text)
    return Page("recipe", "The recipe", "All of it.", [Section("Stopping", "When to stop.", ("default",), [row])])


def test_names_an_entry_without_a_sentence(plant, tmp_path):
    undocumented = page(text="")
    plant("docs/reference/recipe.md", undocumented.render())
    [fault] = faults_of([undocumented], tmp_path)
    assert "Stopping: patience is not documented" in str(fault)
    assert "Write a docstring or help text" in str(fault)


def test_names_a_page_that_is_missing_or_stale(plant, tmp_path):
    assert "Run `make docs`" in str(next(faults_of([page()], tmp_path)))
    plant("docs/reference/recipe.md", page(text="What it was.").render())
    assert "does not say what the code says" in str(next(faults_of([page()], tmp_path)))


def test_is_silent_when_the_page_is_current(plant, tmp_path):
    plant("docs/reference/recipe.md", page().render())
    assert not list(faults_of([page()], tmp_path))
