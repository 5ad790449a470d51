from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cli.conftest import Call
from tunesmith.cli.job_flags import SECTIONS, JobCommand, changes_from_flags, job_from_flags, job_options
from tunesmith.spec.errors import BadEntry, BadValue, Contradiction, UnknownKey, UnknownName, UnreadableFile, UsageError
from tunesmith.spec.job import DatasetRef, Device, JobSpec
from tunesmith.spec.modes import ALIASES, MODES
from tunesmith.spec.recipe import Method, Precision, Recipe

MINIMUM = ("--model", "m", "--data", "d.jsonl")


def parse(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    @click.command(cls=JobCommand)
    @job_options
    def command(**params: Any) -> None:
        found.update(params)

    command.main(list(arguments), standalone_mode=False)
    return found


def job(*arguments: str) -> JobSpec:
    return job_from_flags(parse(*MINIMUM, *arguments))[0]


def test_what_is_not_typed_keeps_the_jobs_own_default() -> None:
    assert job() == JobSpec.model_validate({"model": {"source": "m"}, "datasets": [{"uri": "d.jsonl"}]})


def test_only_what_was_typed_is_told() -> None:
    _, typed = job_from_flags(parse(*MINIMUM, "--lora-r", "4", "--no-tensorboard"))
    assert typed == {
        "model.source": "m",
        "datasets": [DatasetRef(uri="d.jsonl")],
        "recipe.adapter.rank": 4,
        "output.tensorboard": False,
    }


@pytest.mark.parametrize(
    ("flag", "value", "read"),
    [
        ("--model-path", "x", lambda j: j.model.source == "x"),
        ("--mode", "quick", lambda j: j.recipe.mode == "fast"),
        ("--method", "full", lambda j: j.recipe.method is Method.FULL),
        ("--lora-r", "64", lambda j: j.recipe.adapter.rank == 64),
        ("--lora-alpha", "128", lambda j: j.recipe.adapter.alpha == 128),
        ("--target-modules", "q_proj, v_proj", lambda j: j.recipe.adapter.targets == ["q_proj", "v_proj"]),
        ("--batch-size", "8", lambda j: j.recipe.batch.size == 8),
        ("--gradient-accumulation", "4", lambda j: j.recipe.batch.accumulation == 4),
        ("--gradient-accumulation-steps", "4", lambda j: j.recipe.batch.accumulation == 4),
        ("--learning-rate", "2e-4", lambda j: j.recipe.learning_rate == 2e-4),
        ("--epochs", "5", lambda j: j.recipe.epochs == 5),
        ("--max-length", "512", lambda j: j.recipe.length == 512),
        ("--max-seq-length", "512", lambda j: j.recipe.length == 512),
        ("--precision", "fp32", lambda j: j.recipe.precision is Precision.FP32),
        ("--dtype", "bfloat16", lambda j: j.recipe.precision is Precision.BF16),
        ("--dtype", "float16", lambda j: j.recipe.precision is Precision.FP16),
        ("--dtype", "auto", lambda j: j.recipe.precision is None),
        ("--dtype", "bf16", lambda j: j.recipe.precision is Precision.BF16),
        ("--optimizer", "adamw_bnb_8bit", lambda j: j.recipe.optimizer == "adamw_bnb_8bit"),
        ("--overfitting-threshold", "0.15", lambda j: j.recipe.stopping.overfitting_threshold == 0.15),
        ("--min-evaluations", "7", lambda j: j.recipe.stopping.min_evaluations == 7),
        ("--max-circular-epochs", "20", lambda j: j.recipe.circular.cycles == 20),
        ("--circular-batch-multiplier", "2", lambda j: j.recipe.circular.batch_multiplier == 2),
        ("--continue", "weights", lambda j: j.model.continue_ == "weights"),
        ("--method", "qlora", lambda j: j.recipe.method is Method.QLORA),
        ("--test-prompt", "One, two?", lambda j: j.evaluation.prompts == ["One, two?"]),
        ("--test-data", "t.jsonl", lambda j: j.datasets[1] == DatasetRef(uri="t.jsonl", test=True)),
        ("--device", "auto", lambda j: j.resources.device is Device.AUTO),
        ("--patience", "5", lambda j: j.recipe.stopping.patience == 5),
        ("--validation-split", "0.2", lambda j: j.evaluation.validation_split == 0.2),
        ("--output", "here", lambda j: j.output.dir == "here"),
        ("--device", "cpu", lambda j: j.resources.device is Device.CPU),
        ("--seed", "7", lambda j: j.seed == 7),
        ("--train-on", "all", lambda j: j.options == {"train_on": "all"}),
        ("--label", "who=me,why=test", lambda j: j.labels == {"who": "me", "why": "test"}),
        ("--dataset-format", "qa", lambda j: j.datasets[0].format == "qa"),
        ("--max-examples", "100", lambda j: j.datasets[0].limit == 100),
        ("--columns", "output=answer", lambda j: j.datasets[0].columns == {"output": "answer"}),
    ],
)
def test_a_flag_sets_its_field(flag: str, value: str, read: Callable[[JobSpec], bool]) -> None:
    assert read(job(flag, value))


@pytest.mark.parametrize(
    ("flag", "read"),
    [
        ("--skip-test", lambda j: (j.evaluation.test_prompts, j.evaluation.prompts) == (0, [])),
        ("--circular", lambda j: j.recipe.mode == "circular"),
        ("--use-4bit", lambda j: j.recipe.method is Method.QLORA),
        ("--use-8bit", lambda j: j.recipe.method is Method.LORA_8BIT),
        ("--force-epochs", lambda j: j.recipe.force_epochs is True),
        ("--double-quant", lambda j: j.recipe.quantization.double is True),
        ("--no-tensorboard", lambda j: j.output.tensorboard is False),
        ("--save-bin", lambda j: j.output.save_bin is True),
        ("--force", lambda j: j.force is True),
        ("--strict", lambda j: j.strict is True),
        ("--no-join-rows", lambda j: j.recipe.batch.joined is False),
        ("--gradient-checkpointing", lambda j: j.recipe.gradient_checkpointing is True),
        ("--drop-duplicates", lambda j: j.options == {"drop_duplicates": True}),
    ],
)
def test_a_switch_sets_its_field(flag: str, read: Callable[[JobSpec], bool]) -> None:
    assert read(job(flag))


@pytest.mark.parametrize("mode", [*MODES, *ALIASES])
def test_every_mode_is_known_by_all_of_its_names(mode: str) -> None:
    assert job("--mode", mode).recipe.mode == ALIASES.get(mode, mode)


def test_prompts_are_repeated_and_keep_their_commas() -> None:
    assert job("--test-prompt", "a, b", "--test-prompt", "c").evaluation.prompts == ["a, b", "c"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--use-4bit", "--method", "full"],
        ["--use-8bit", "--method", "qlora"],
        ["--use-4bit", "--use-8bit"],
        ["--circular", "--mode", "slow"],
    ],
)
def test_flags_that_contradict_each_other_are_named(arguments: list[str]) -> None:
    with pytest.raises(Contradiction) as caught:
        job(*arguments)
    for flag in arguments:
        assert flag in caught.value.message or not flag.startswith("--")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--use-4bit", "--method", "lora"],
        ["--use-4bit", "--method", "qlora"],
        ["--circular", "--mode", "circle"],
    ],
)
def test_flags_that_say_the_same_twice_agree(arguments: list[str]) -> None:
    assert job(*arguments) == job(arguments[0])


def test_a_job_that_went_through_json_is_the_same_job() -> None:
    built = job("--continue", "state", "--use-4bit", "--test-prompt", "a, b", "--test-data", "t.jsonl")
    assert JobSpec.model_validate_json(built.model_dump_json()) == built


def test_a_model_directory_says_only_what_nobody_else_says(tmp_path: Path) -> None:
    built, _ = job_from_flags(parse("--data", "d", "--model-directory", str(tmp_path), "--output", "here"))
    assert (built.model.source, built.output.dir) == (f"{tmp_path}/model", "here")
    assert built.output.save_bin


def test_every_field_of_a_recipe_is_a_flag() -> None:
    params = parse(*MINIMUM)
    fields = set()
    for name, field in Recipe.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        fields |= {f"recipe__{name}__{leaf}" for leaf in inner} if inner else {f"recipe__{name}"}
    assert fields <= set(params)


def test_data_can_be_repeated_and_validated_apart() -> None:
    built = job("--data", "more/", "--validation-data", "check.jsonl", "--dataset-format", "qa", "--max-examples", "9")
    assert built.datasets == [
        DatasetRef(uri="d.jsonl", format="qa", limit=9),
        DatasetRef(uri="more/", format="qa", limit=9),
        DatasetRef(uri="check.jsonl", format="qa", validation=True),
    ]


@pytest.mark.parametrize(
    ("flag", "value", "wanted"),
    [
        ("--learning-rate", "-1", "a number above 0 and at most 1"),
        ("--learning-rate", "nan", "a number above 0 and at most 1"),
        ("--batch-size", "1.5", "a whole number from 1 to 4096"),
        ("--validation-split", "1", "a number of at least 0 and below 1"),
        ("--patience", "0", "a whole number of at least 1"),
        ("--dtype", "fp64", "one of bf16, fp16, fp32"),
        ("--train-on", "user", "one of assistant, all"),
        ("--columns", "a", "NAME=VALUE, or several with commas between"),
        ("--output", "", "text that is not empty"),
    ],
)
def test_a_wrong_value_names_the_flag_and_what_it_may_be(flag: str, value: str, wanted: str) -> None:
    with pytest.raises(BadValue) as caught:
        job(flag, value)
    assert caught.value.message == f"{flag}: {value!r} is not {wanted}. Give {wanted}."
    assert caught.value.exit_code == 2


def test_an_unknown_mode_is_told_apart() -> None:
    with pytest.raises(UnknownName, match="There is no mode 'quik'"):
        job("--mode", "quik")


@pytest.mark.parametrize("missing", ["--model", "--data"])
def test_model_and_data_must_be_named(missing: str) -> None:
    given = {"--model": "m", "--data": "d"}
    del given[missing]
    with pytest.raises(UsageError, match=f"Give {missing} "):
        job_from_flags(parse(*next(iter(given.items()))))


def write(folder: Path, content: object) -> str:
    path = folder / "job.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_a_typed_flag_beats_the_job_file(tmp_path: Path) -> None:
    content = {
        "model": {"source": "m"},
        "datasets": [{"uri": "old.jsonl", "limit": 5}, {"uri": "check.jsonl", "validation": True}],
        "recipe": {"learning_rate": 1e-4, "adapter": {"rank": 4}},
        "options": {"train_on": "all"},
    }
    built, typed = job_from_flags(parse(write(tmp_path, content), "--lora-r", "8", "--data", "new.jsonl"))
    assert (built.recipe.learning_rate, built.recipe.adapter.rank) == (1e-4, 8)
    assert built.datasets == [DatasetRef(uri="new.jsonl"), DatasetRef(uri="check.jsonl", validation=True)]
    assert built.options == {"train_on": "all"}
    assert set(typed) == {
        "model.source",
        "datasets",
        "recipe.learning_rate",
        "recipe.adapter.rank",
        "options.train_on",
    }


def test_a_flag_about_data_holds_for_the_job_files_data(tmp_path: Path) -> None:
    content = {"model": {"source": "m"}, "datasets": [{"uri": "a"}, {"uri": "b"}]}
    built, _ = job_from_flags(parse(write(tmp_path, content), "--max-examples", "3"))
    assert [dataset.limit for dataset in built.datasets] == [3, 3]


def test_json_is_a_job_file_too(tmp_path: Path) -> None:
    content = json.dumps({"model": {"source": "m"}, "datasets": [{"uri": "d"}]})
    assert job_from_flags(parse(write(tmp_path, content)))[0].model.source == "m"


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (
            {"recipe": {"learning_rat": 1}},
            UnknownKey,
            "in recipe: unknown key 'learning_rat'. Did you mean 'learning_rate'",
        ),
        ({"modle": {"source": "x"}}, UnknownKey, "unknown key 'modle'. Did you mean 'model'"),
        ({"datasets": [{"url": "d"}]}, BadEntry, "'datasets.0.uri' is 'missing', which is not text that is not empty"),
        ({"datasets": ["d"]}, BadEntry, "'datasets.0' is 'd'"),
        (
            {"recipe": {"epochs": -1}},
            BadEntry,
            "'recipe.epochs' is -1, which is not a number above 0 and at most 10000",
        ),
        ({"recipe": 3}, BadEntry, "'recipe' is 3, which is not a map of settings"),
        ("recipe: [", UnreadableFile, "job.yaml: cannot be read"),
        ("- a", UnreadableFile, "it holds no keys"),
    ],
)
def test_a_job_file_that_is_off_names_the_place(
    tmp_path: Path, content: object, error: type[Exception], sentence: str
) -> None:
    base = {"model": {"source": "m"}, "datasets": [{"uri": "d"}]}
    whole = {**base, **content} if isinstance(content, dict) else content
    with pytest.raises(error) as caught:
        job_from_flags(parse(write(tmp_path, whole)))
    assert sentence in str(caught.value)
    assert "job.yaml" in str(caught.value)


def test_resuming_needs_no_model_and_no_data() -> None:
    assert changes_from_flags(parse("--epochs", "4")) == {"recipe.epochs": 4}


def test_the_help_has_its_sections_in_order_and_every_flag(tunesmith: Call) -> None:
    help_text = tunesmith("train", "--help").out
    places = [help_text.index(f"\n{section}:\n") for section in SECTIONS]
    assert places == sorted(places)
    for flag in ("--data", "--lora-r", "--max-length", "--no-tensorboard", "--skip-test", "--resume-from", "--json"):
        assert flag in help_text
    assert all(len(line) <= 80 for line in help_text.splitlines())


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("examples/*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_jobs(path: Path) -> None:
    built, _ = job_from_flags(parse(str(path)))
    assert built.name == path.stem
