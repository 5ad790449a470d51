"""Every task of text from a plan to a result: it learns, resumes exactly, and loads with the tools of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from integration.jobs import tiny_job
from tiny import make_tiny_encoder
from training.parts import CPU, make_loop, weights_of
from tunesmith.modalities.base import load
from tunesmith.modalities.text.predictor import load_predictor
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.errors import NoUsableRow, TooFewClasses, WritesNoText
from tunesmith.spec.plan import Plan
from tunesmith.training.device import Ranks
from tunesmith.worker.prepare import Data, prepare_data
from tunesmith.worker.reporting import Reporter

MAILS = [
    {"text": f"buy cheap pills {number}", "label": "spam"} if number % 3 == 0 else
    {"text": f"lunch at {number}?", "label": "ham"}
    for number in range(36)
]  # fmt: skip
PAIRS = [{"prompt": f"say {n}", "chosen": f"yes, {n}", "rejected": f"no {n}"} for n in range(24)]
COMPLETIONS = [{"prompt": f"say {n}", "completion": f" yes, {n}"} for n in range(24)]
TEXTS = [{"text": f"the cat number {number} sat on the mat"} for number in range(24)]
CASES = {
    "classification": ("encoder", MAILS),
    "completions": ("decoder", COMPLETIONS),
    "dpo": ("decoder", PAIRS),
    "mlm": ("encoder", TEXTS),
    "pretraining": ("decoder", TEXTS),
}
RATES = {"lora": 0.02, "full": 0.002}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Path]:
    return {"encoder": make_tiny_encoder(tmp_path_factory.mktemp("encoder")), "decoder": tiny_model}


class Job:
    """A plan, its data, and pieces built of them as often as one likes."""

    def __init__(self, model: Path, rows: list[dict[str, str]], folder: Path, home: Path, **changes: Any) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        spec = tiny_job(model, folder / "rows.jsonl", folder / "out", **changes)
        self.plan: Plan = plan_job(spec, Settings(home=home))
        self.run = RunFolder.create(home, kind="train", name="job", plan=self.plan)
        self.data: Data = prepare_data(self.run, self.plan, Reporter(self.run))

    def pieces(self) -> Any:
        made = self.data.prepared
        built = load(self.data.task.builder)(self.plan, made.train, made.validation, CPU, labels=made.labels)
        built.warm_up(self.run.path, [], lambda: None, Ranks(0, 1))
        return built


@pytest.fixture
def job(models: dict[str, Path], tmp_path: Path, home: Path) -> Iterator[Any]:
    def made(name: str, method: str, **changes: Any) -> Job:
        kind, rows = CASES[name]
        found = Job(models[kind], rows, tmp_path / "job", home, method=method, **changes)
        assert found.plan.spec.task == changes.get("task", name)
        return found

    return made


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("task", ["classification", "dpo", "mlm"])
def test_a_task_learns_and_resumes_bit_for_bit(task: str, method: str, job: Any, tmp_path: Path) -> None:
    made = job(task, method)
    changes = {"learning_rate": RATES[method], "epochs": 3, "save_every": 5, "micro_tokens": 100}
    straight, told = make_loop(made.pieces(), tmp_path / "straight", **changes)
    straight.run()
    losses = [body.validation_loss for body in told.of("evaluated")]
    assert min(losses[1:]) < losses[0]

    resumed, _ = make_loop(made.pieces(), tmp_path / "resumed", **changes)
    resumed.resume(told.folders[5])
    resumed.run()
    for name, weight in weights_of(straight).items():
        assert torch.equal(weight, weights_of(resumed)[name]), name


def test_continued_pretraining_lowers_the_perplexity(job: Any, tmp_path: Path) -> None:
    loop, told = make_loop(
        job("pretraining", "lora", task="pretraining").pieces(), tmp_path / "loop", learning_rate=0.02, epochs=2
    )
    loop.run()
    perplexities = [body.perplexity for body in told.of("evaluated")]
    assert perplexities[-1] < perplexities[0]


def test_completions_are_running_text(job: Any, tmp_path: Path) -> None:
    made = job("completions", "lora", task="chat")
    pieces = made.pieces()
    loop, told = make_loop(pieces, tmp_path / "loop", max_steps=1)
    loop.run()
    assert all(body.perplexity > 1 for body in told.of("evaluated"))
    asked = pieces.questions(made.data.prepared.held_out, ["say"], 1)
    assert [(question.shown[:4], question.expected[:5]) for question in asked] == [("say ", " yes,"), ("say", "")]
    assert len(pieces.answers(asked, made.data.encoder)) == 2


def test_held_out_rows_of_a_class_that_is_not_trained_are_left_out(
    models: dict[str, Path], tmp_path: Path, home: Path
) -> None:
    made = Job(models["encoder"], MAILS, tmp_path / "job", home, method="lora")
    odd = replace(made.data.prepared.validation, labels=np.full(len(made.data.prepared.validation), 2))
    made.data = replace(
        made.data, prepared=replace(made.data.prepared, validation=odd, labels=[*made.data.prepared.labels, "odd"])
    )
    pieces = made.pieces()
    assert pieces.validation is None
    assert "no training row is odd" in pieces.warnings[-1]


def test_preferences_raise_the_margin_of_rewards(job: Any, tmp_path: Path) -> None:
    loop, told = make_loop(job("dpo", "lora").pieces(), tmp_path / "loop", learning_rate=0.02, epochs=3)
    loop.run()
    first, last = told.of("evaluated")[0].metrics, told.of("evaluated")[-1].metrics
    assert first["reward_margin"] == pytest.approx(0, abs=1e-4)
    assert last["reward_margin"] > 0.1
    assert last["reward_accuracy"] > 0.9


def test_weights_before_the_first_step_are_those_of_the_seed(job: Any) -> None:
    made = job("classification", "full").pieces()
    initial = made.initial_weights()
    for name, parameter in made.model.named_parameters():
        assert torch.equal(initial[name], parameter.detach().float()), name


def test_a_classifier_loads_with_transformers(job: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    pieces = job("classification", "full").pieces()
    pieces.save(tmp_path / "saved")
    loaded: Any = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    batch = pieces.train.batch([0, 1, 2], 0)
    pieces.model.eval()
    with torch.no_grad():
        logits = loaded(**batch.inputs).logits
        expected = pieces.model(**batch.inputs).logits
    torch.testing.assert_close(logits.float(), expected.float())
    assert loaded.config.id2label == {0: "ham", 1: "spam"}
    assert pieces.about == {"classes": ["ham", "spam"]}
    assert (tmp_path / "saved" / "tokenizer.json").is_file()


@pytest.mark.parametrize("task", ["classification", "mlm"])
def test_an_adapter_of_an_encoder_loads_with_peft(task: str, job: Any, models: dict[str, Path], tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

    made = job(task, "lora")
    pieces = made.pieces()
    loop, _ = make_loop(pieces, tmp_path / "loop", learning_rate=0.02, epochs=1)
    loop.run()
    pieces.save(tmp_path / "saved")
    kind: Any = AutoModelForSequenceClassification if task == "classification" else AutoModelForMaskedLM
    loaded = PeftModel.from_pretrained(kind.from_pretrained(models["encoder"]), str(tmp_path / "saved")).eval()
    batch = pieces.train.batch([0, 1, 2], 0)
    covered = {"input_ids": batch.ids, "attention_mask": batch.attention} if task == "mlm" else batch.inputs
    pieces.model.eval()
    with torch.no_grad():
        logits = loaded(**covered).logits
        expected = pieces.model(**covered).logits
    torch.testing.assert_close(logits.float(), expected.float(), rtol=1e-4, atol=1e-5)


def test_a_model_is_asked_before_and_after(job: Any) -> None:
    made = job("classification", "lora")
    pieces = made.pieces()
    asked = pieces.questions(made.data.prepared.held_out, ["are you   there?" + "x" * 300], 2)
    assert [question.expected in ("ham", "spam") for question in asked] == [True, True, False]
    assert len(asked[2].shown) < 250
    for base in (False, True):
        assert set(pieces.answers(asked, made.data.encoder, base=base)) <= {"ham", "spam"}


def test_an_answer_is_asked_for_what_was_preferred(job: Any) -> None:
    made = job("dpo", "lora")
    pieces = made.pieces()
    asked = pieces.questions(made.data.prepared.held_out, ["say more"], 1)
    assert asked[0].shown.startswith("say ")
    assert asked[0].expected.startswith("yes, ")
    assert asked[1].shown == "say more"
    assert len(pieces.answers(asked, made.data.encoder)) == 2


def test_covered_words_are_learned_with_a_head_made_up_and_said_so(job: Any) -> None:
    made = job("mlm", "lora").pieces()
    assert "start at random" in made.warnings[0]
    assert made.questions([], ["anything"], 3) == []


def test_one_class_alone_cannot_be_learned(models: dict[str, Path], tmp_path: Path, home: Path) -> None:
    rows = [{"text": f"text {number}", "label": "ham"} for number in range(20)]
    with pytest.raises(TooFewClasses, match="'ham'"):
        Job(models["encoder"], rows, tmp_path / "job", home, method="lora").pieces()


@pytest.mark.parametrize("option", ["dpo_beta", "dpo_label_smoothing"])
def test_the_loss_of_preferences_follows_its_options(option: str, job: Any) -> None:
    made = job("dpo", "lora")
    pieces = made.pieces()
    with torch.no_grad():
        for name, parameter in pieces.model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)
        before = float(pieces.loss(pieces.train.batch([0, 1], 0)))
        options = made.plan.spec.options | {option: 0.4}
        made.plan = made.plan.model_copy(update={"spec": made.plan.spec.model_copy(update={"options": options})})
        changed = made.pieces()
        changed.model.load_state_dict(pieces.model.state_dict())
        assert float(changed.loss(changed.train.batch([0, 1], 0))) != before


def test_more_words_are_covered_when_told(job: Any) -> None:
    few = job("mlm", "lora", options={"mlm_probability": 0.05}).pieces()
    many = job("mlm", "lora", options={"mlm_probability": 0.6}).pieces()
    assert few.train.labels(range(10), 0) < many.train.labels(range(10), 0)


def test_a_classifier_is_not_talked_to(job: Any, models: dict[str, Path], tmp_path: Path) -> None:
    made = job("classification", "lora")
    made.pieces().save(tmp_path / "adapter")
    with pytest.raises(WritesNoText, match="tells classes of text apart and writes no text") as caught:
        load_predictor(models["encoder"], encoder=made.data.encoder, adapter=tmp_path / "adapter")
    assert str(tmp_path) not in caught.value.message
    with pytest.raises(WritesNoText, match="sees both sides of a text and writes none"):
        load_predictor(models["encoder"], encoder=made.data.encoder)


def test_an_encoder_takes_no_conversations(models: dict[str, Path], tmp_path: Path, home: Path) -> None:
    rows = [{"prompt": "say something", "response": "something"}] * 5
    with pytest.raises(NoUsableRow, match="sees both sides"):
        Job(models["encoder"], rows, tmp_path / "job", home, method="lora")
