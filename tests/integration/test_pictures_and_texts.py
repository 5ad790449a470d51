"""Pictures with texts, trained by the command: what the result holds, who opens it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.guide_data import write_guide_data
from integration.jobs import begin, tiny_job, until_over
from picture_models import COLOURS, SHAPES, draw, make_pair, make_talker
from tunesmith.planning.modality_choice import choose_modality
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.settings import Settings
from tunesmith.spec.events import Warned
from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef
from tunesmith.spec.recipe import BatchRecipe
from tunesmith.spec.states import RunState


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    captions, questions = [], []
    for number in range(20):
        shape, colour = SHAPES[number % 3], list(COLOURS)[number % 6]
        draw(folder / "images" / f"{number}.png", shape, colour, seed=number)
        captions.append(f"images/{number}.png,{number}: a {colour} {shape}")
        row = {"image": f"images/{number}.png", "question": "What is it?", "answer": f"a {colour} {shape}"}
        questions.append(json.dumps(row))
    (folder / "captions.csv").write_text("\n".join(["image_path,caption", *captions]))
    (folder / "questions.jsonl").write_text("\n".join(questions))
    return folder


def trained(model: Path, data: Path, output: Path, home: Path, **changes: Any) -> RunFolder:
    given: dict[str, Any] = {
        "length": None, "task": None, "epochs": 1, "batch": BatchRecipe(size=8, accumulation=1), "precision": "fp32",
        "evaluate_every": None,
    }  # fmt: skip
    run = until_over(begin(tiny_job(model, data, output, **given | changes), Settings(home=home)))
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    return run


def test_captions_longer_than_a_pair_reads_are_counted(shapes: Path, tmp_path: Path, home: Path) -> None:
    rows = [f"{shapes}/images/{number}.png,{'long ' * (40 if number < 3 else 1)}{number}" for number in range(12)]
    (tmp_path / "captions.csv").write_text("\n".join(["image_path,caption", *rows]))
    model = make_pair(tmp_path / "clip")
    run = trained(model, tmp_path / "captions.csv", tmp_path / "out", home, evaluation=Evaluation(validation_split=0.0))
    told = [event.body.message for event in follow(run) if isinstance(event.body, Warned)]
    assert "3 captions are longer than the 64 tokens that the model reads: what is beyond is not read." in told


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_pair_is_trained_and_opens_as_it_is(method: str, shapes: Path, tmp_path: Path, home: Path) -> None:
    from transformers import AutoModel

    from tunesmith.modalities.multimodal.predictor import PairPredictor, load_predictor

    model, output = make_pair(tmp_path / "clip"), tmp_path / "out"
    run = trained(model, shapes / "captions.csv", output, home, method=method, options={"freeze_text_tower": True})
    assert run.plan().spec.task == "image-text-contrastive"
    assert (output / "preprocessor_config.json").is_file()
    predictor = load_predictor(model if method == "lora" else output, output if method == "lora" else None)
    assert isinstance(predictor, PairPredictor)
    base = load_predictor(model)
    assert isinstance(base, PairPredictor)
    picture = (shapes / "images" / "0.png").read_bytes()
    assert abs(predictor.embed_image(picture) - base.embed_image(picture)).max() > 1e-5
    assert abs(predictor.embed_text(["a circle"]) - base.embed_text(["a circle"])).max() < 1e-6
    if method == "full":
        assert AutoModel.from_pretrained(output).config.model_type == "clip"


def test_the_guides_questions_about_pictures_train_gemma_on_the_pictures(tmp_path: Path, home: Path) -> None:
    model = make_talker(tmp_path / "gemma", "gemma3")
    write_guide_data(tmp_path / "data") if (tmp_path / "data").mkdir() is None else None
    rows = json.loads((tmp_path / "data" / "vision_qa_data.json").read_text())
    for number, row in enumerate(rows):
        name = row.get("image") or row.get("image_path")
        draw(tmp_path / "data" / name, SHAPES[number % 3], "red", seed=number)
    run = trained(model, tmp_path / "data" / "vision_qa_data.json", tmp_path / "out", home, method="lora")
    plan = run.plan()
    assert (plan.model.modality, plan.spec.task) == ("multimodal", "image-text-to-text")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert "vision" in str(config["exclude_modules"])


def test_a_whole_result_of_smolvlm_tells_its_processor_that_pictures_are_not_split(
    shapes: Path, tmp_path: Path, home: Path
) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageTextToText

    model, output = make_talker(tmp_path / "smolvlm", "smolvlm"), tmp_path / "out"
    trained(model, shapes / "questions.jsonl", output, home, method="full", options={"answered": 1})
    assert AutoImageProcessor.from_pretrained(output, use_fast=False).do_image_splitting is False
    found, info = AutoModelForImageTextToText.from_pretrained(output, output_loading_info=True)
    assert not info["missing_keys"]
    assert found.config.model_type == "smolvlm"


def test_text_alone_trains_gemma_as_a_language_model(tmp_path: Path) -> None:
    model = make_talker(tmp_path / "gemma", "gemma3")
    for name, row in {
        "text": {"question": "Who?", "answer": "Me."},
        "multimodal": {"image": "a.png", "question": "Who?", "answer": "Me."},
    }.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
        data = [DatasetRef(uri=str(tmp_path / f"{name}.jsonl"))]
        spec = JobSpec(model=ModelRef(source=str(model)), datasets=data)
        assert choose_modality(spec, model).name == name


def test_a_length_that_would_cut_a_picture_is_one_sentence(shapes: Path, tmp_path: Path, home: Path) -> None:
    model = make_talker(tmp_path / "llava", "llava", side=56)
    job = tiny_job(
        model, shapes / "questions.jsonl", tmp_path / "out", length=16, task=None, method="lora", evaluate_every=None
    )
    run = until_over(begin(job, Settings(home=home)))
    assert status(run).exit == 65
    assert "a length of 16 tokens would cut the pictures of" in run.events.read_text()
