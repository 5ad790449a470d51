from __future__ import annotations

import pytest

from scripts.checks.format_docs import faults


@pytest.fixture
def page(plant, repository):
    text = (repository / "docs/formats.md").read_text(encoding="utf-8")

    def changed(old: str, by: str) -> None:
        assert old in text
        plant("docs/formats.md", text.replace(old, by, 1))

    return changed


@pytest.mark.parametrize(
    ("old", "by", "what"),
    [
        ("## sharegpt", "## sharegtp", "the format 'sharegpt' has no section"),
        ("### coco", "### cocoa", "the layout 'coco' is not told of"),
        ("| `audio_text` |", "| audio |", "the layout 'audio_text' is not told of"),
        ('{"prompt"', '{"text"', "a row below 'completion' is taken for text"),
        ('"value": "Hello."', '"value": ""', "a row below 'sharegpt' is faulty"),
        ('```json\n{"text"', '```\n{"text"', "the section 'text' shows no row"),
    ],
)
def test_names_what_the_page_gets_wrong(page, tmp_path, old, by, what):
    page(old, by)
    assert any(what in str(fault) for fault in faults(tmp_path))


def test_is_silent_about_the_page_as_it_is(repository):
    assert not list(faults(repository))
