from __future__ import annotations

from scripts.checks.links import faults


def test_names_a_link_that_leads_nowhere(plant, tmp_path):
    plant("docs/guides/training.md", "# A\n\nSee [the other](../other.md#part).\n")
    [fault] = faults(tmp_path)
    assert "docs/guides/training.md:3: ../other.md#part is not there. Mend the link." in str(fault)


def test_is_silent_when_every_file_is_there(plant, tmp_path):
    plant("docs/other.md", "")
    plant("docs/guides/training.md", "[a](../other.md), [b](#here), [c](https://example.com/x)\n")
    assert not list(faults(tmp_path))
