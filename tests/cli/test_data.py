from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modalities.templates import CHATML, MISTRAL, write_model

if TYPE_CHECKING:
    from .conftest import Said

Call = Callable[..., "Said"]


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Path:
    return home


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model"), "chatml", CHATML, bos=None, eos="<|im_end|>"))


@pytest.fixture
def faulty(tmp_path: Path) -> str:
    (path := tmp_path / "faulty.jsonl").write_text(
        '{"question": "a", "answer": "b"}\n{bad\n{"text": "c"}\n{"question": "a", "answer": "b"}\n'
    )
    return str(path)


def test_good_data_ends_in_zero(tunesmith: Call, chat_file: Path) -> None:
    said = tunesmith("data", "check", str(chat_file))
    assert (said.status, said.err) == (0, "")
    assert "rows        40 (40 openai)" in said.out
    assert "faults      0" in said.out


def test_faults_end_in_65_and_are_written_to_a_file(tunesmith: Call, faulty: str, home: Path) -> None:
    said = tunesmith("data", "check", faulty)
    assert said.status == 65
    assert f"{faulty}:2: cannot be read: not JSON" in said.out
    assert "duplicates  1" in said.out
    [file] = (home / "reports").iterdir()
    assert str(file) in said.out
    assert json.loads(file.read_text())["row"] == 2


def test_shows_the_first_twenty_faults(tunesmith: Call, tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text("{bad\n" * 30)
    said = tunesmith("data", "check", str(path))
    assert (said.status, said.out.count("cannot be read")) == (65, 20)
    assert "... and 10 more." in said.out


def test_prints_one_json_object(tunesmith: Call, faulty: str, model: str) -> None:
    said = tunesmith("data", "check", faulty, "--json", "--model", model)
    report = json.loads(said.out)
    assert (said.status, report["rows"], report["by_format"]) == (65, 3, {"qa": 2, "text": 1})
    [fault] = report["faults"]["first"]
    assert (fault["file"], fault["row"], fault["column"], fault["code"]) == (faulty, 2, None, "unreadable_row")
    assert (report["duplicates"], report["lengths"]["unit"]) == (1, "tokens")
    assert report["ledger"]["total"]["trained"] > 0


def test_no_usable_row_ends_in_65(tunesmith: Call, tmp_path: Path) -> None:
    (path := tmp_path / "empty.jsonl").touch()
    said = tunesmith("data", "check", str(path), "--json")
    assert (said.status, json.loads(said.out)["rows"]) == (65, 0)


def test_adds_several_paths_up(tunesmith: Call, chat_file: Path, faulty: str) -> None:
    assert json.loads(tunesmith("data", "check", str(chat_file), faulty, "--json").out)["rows"] == 43


def test_a_named_format_and_renamed_columns_hold(tunesmith: Call, tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"instruction": "a", "response": "b"}\n')
    assert tunesmith("data", "check", str(path)).status == 65
    assert tunesmith("data", "check", str(path), "--columns", "output=response").status == 0
    assert "no column 'question'" in tunesmith("data", "check", str(path), "--dataset-format", "qa").out


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["nowhere.jsonl"], 65, "nowhere.jsonl: no such data"),
        (["*.nowhere"], 65, "no such data"),
        (["."], 65, "the folder holds no file of a known type"),
        ([".", "--dataset-format", "alpacca"], 2, "Did you mean 'alpaca'?"),
        ([".", "--columns", "output"], 2, "NAME=VALUE"),
        ([".", "--model", "./nowhere"], 78, "no such model"),
    ],
)
def test_says_in_one_sentence_what_is_wrong(tunesmith: Call, arguments: list[str], status: int, sentence: str) -> None:
    said = tunesmith("data", "check", *arguments)
    assert said.status == status
    assert sentence in said.err


def test_terminal_codes_in_data_are_not_sent_to_the_terminal(tunesmith: Call, tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"\\u001b[31m": 1}\n')
    assert "\x1b" not in tunesmith("data", "check", str(path)).out


def test_previews_what_is_trained_in_brackets(tunesmith: Call, chat_file: Path, model: str) -> None:
    said = tunesmith("data", "preview", str(chat_file), "--model", model, "--rows", "1")
    assert said.status == 0
    assert f"{chat_file}:1: " in said.out
    assert "user\nWhat is 0 plus 0?<|im_end|>\n<|im_start|>assistant\n[[It is 0.<|im_end|>]]\n" in said.out
    assert "plus 1" not in said.out


def test_previews_as_json(tunesmith: Call, chat_file: Path, model: str) -> None:
    said = tunesmith("data", "preview", str(chat_file), "--model", model, "--rows", "2", "--json")
    rows = json.loads(said.out)["rows"]
    assert [row["where"] for row in rows] == [f"{chat_file}:1", f"{chat_file}:2"]
    [sequence] = rows[1]["sequences"]
    assert "[[It is 2.<|im_end|>]]" in sequence["text"]
    assert "".join(token["text"] for token in sequence["tokens"] if token["trained"]) == "It is 2.<|im_end|>"


def test_previews_another_template_and_everything_trained(
    tunesmith: Call, chat_file: Path, model: str, tmp_path: Path
) -> None:
    (file := tmp_path / "mine.jinja").write_text(MISTRAL.replace("{{ bos_token }}", ""))
    said = tunesmith("data", "preview", str(chat_file), "--model", model, "--chat-template", str(file), "--rows", "1")
    assert "[INST] What is 0 plus 0? [/INST][[ It is 0.<|im_end|>]]" in said.out
    said = tunesmith("data", "preview", str(chat_file), "--model", model, "--train-on", "all", "--rows", "1")
    assert "<|im_start|>[[user\nWhat is 0 plus 0?" in said.out


def test_preview_says_that_no_row_can_be_used(tunesmith: Call, tmp_path: Path, model: str) -> None:
    (path := tmp_path / "a.jsonl").write_text("{bad\n")
    said = tunesmith("data", "preview", str(path), "--model", model)
    assert said.status == 65
    assert "none of 1 rows can be used. First fault:" in said.err
