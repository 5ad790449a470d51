from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.planning.naming import run_name
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef


def named(model: str, data: str) -> str:
    return run_name(JobSpec(model=ModelRef(source=model), datasets=[DatasetRef(uri=data)]))


@pytest.mark.parametrize(
    ("model", "data", "name"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "data/faq.jsonl", "smollm2-135m-instruct-faq"),
        ("./model", "chats/", "model-chats"),
        ("m", "a b (1).json,b.json", "m-a-b-1"),
        ("m", "data/*.jsonl", "m-data"),
        ("..", "???", "run"),
    ],
)
def test_a_run_is_named_after_its_model_and_its_data(model, data, name):
    assert named(model, data) == name


@given(model=st.text(min_size=1, max_size=90), data=st.text(min_size=1, max_size=90))
def test_any_name_is_one_that_a_job_may_have(model, data):
    spec = JobSpec(name=named(model, data), model=ModelRef(source=model), datasets=[DatasetRef(uri=data)])
    assert spec.name
