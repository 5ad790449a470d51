from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.modalities.text.options import TextOptions
from tunesmith.planning.draft import draft
from tunesmith.runs.memory_limits import remember_limit
from tunesmith.spec.errors import BadEntry, UnknownKey, UnreadableFile
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef


def job(model: Path, data: Path, **job: Any) -> JobSpec:
    return JobSpec(model=ModelRef(source=str(model)), datasets=[DatasetRef(uri=str(data))], **job)


def test_plans_a_real_job(tiny_model, chat_file):
    plan = draft(job(tiny_model, chat_file), tiny_model)
    assert plan.spec.task == "chat"
    assert plan.data.rows == 40
    assert plan.model.architecture == "LlamaForCausalLM"
    assert plan.spec.options == TextOptions().model_dump(mode="json")


def test_a_plan_stays_below_what_ran_out_of_memory_before(tiny_model, chat_file, tmp_path):
    free = draft(job(tiny_model, chat_file), tiny_model, tmp_path)
    assert free.spec.recipe.batch.micro_tokens > 64
    remember_limit(tmp_path, free, 64)
    held = draft(job(tiny_model, chat_file), tiny_model, tmp_path)
    assert held.spec.recipe.batch.micro_tokens == 64
    (decision,) = [one for one in held.decisions if one.field == "recipe.batch.micro_tokens"]
    assert decision.reason.startswith("memory ran out above that")
    typed = job(tiny_model, chat_file, recipe={"batch": {"micro_tokens": 128}})
    assert draft(typed, tiny_model, tmp_path).spec.recipe.batch.micro_tokens == 128


def test_planning_imports_no_torch(tiny_model, chat_file):
    program = (
        "import sys; from pathlib import Path; from tunesmith.planning.draft import draft;"
        "from tunesmith.spec.job import JobSpec;"
        "spec = JobSpec.model_validate({'model': {'source': sys.argv[1]}, 'datasets': [{'uri': sys.argv[2]}]});"
        "draft(spec, Path(sys.argv[1])); print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny_model), str(chat_file)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "set()"


def test_training_on_all_tokens_trains_more(tiny_model, chat_file):
    shares = [
        draft(job(tiny_model, chat_file, options={"train_on": who}), tiny_model).data.trained_share
        for who in ("assistant", "all")
    ]
    assert shares[0] < shares[1]


def test_an_option_that_does_not_exist_is_an_error(tiny_model, chat_file):
    with pytest.raises(UnknownKey, match=r"'train_onn'.*Did you mean 'train_on'"):
        draft(job(tiny_model, chat_file, options={"train_onn": "all"}), tiny_model)


def test_an_option_of_the_wrong_value_is_an_error(tiny_model, chat_file):
    with pytest.raises(BadEntry, match="options: 'train_on' is 'user', which is not 'assistant' or 'all'"):
        draft(job(tiny_model, chat_file, options={"train_on": "user"}), tiny_model)


def test_a_template_that_is_not_there_is_an_error(tiny_model, chat_file, tmp_path):
    with pytest.raises(UnreadableFile, match=r"no\.jinja"):
        draft(job(tiny_model, chat_file, options={"chat_template": str(tmp_path / "no.jinja")}), tiny_model)


def test_warns_of_a_model_without_a_template(tiny_model, chat_file, tmp_path):
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (model / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((model / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    assert any("no chat template" in warning for warning in draft(job(model, chat_file), model).warnings)
    assert not draft(job(tiny_model, chat_file), tiny_model).warnings
