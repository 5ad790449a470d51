from __future__ import annotations

from scripts.checks.job_examples import faults

JOB = "```yaml\nmodel: {source: smollm2-135m-instruct}\ndatasets: [{uri: chat.jsonl}]\nrecipe: {epochs: 2}\n```\n"


def test_names_a_job_with_a_key_that_nothing_reads(plant, tmp_path):
    plant("docs/guides/training.md", "# Guide\n\n" + JOB.replace("epochs", "epoch"))
    [fault] = faults(tmp_path)
    assert "docs/guides/training.md:3" in str(fault)
    assert "recipe.epoch" in str(fault)


def test_is_silent_about_a_job(plant, tmp_path):
    plant("README.md", JOB + "```yaml\nother: 1\n```\n")
    assert not list(faults(tmp_path))


def test_names_an_example_that_is_no_job(plant, tmp_path):
    plant("examples/chat.yaml", "model: {source: x}\ndatasets: []\n")
    [fault] = faults(tmp_path)
    assert "examples/chat.yaml:1" in str(fault)
