from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
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


def test_faults_are_written_where_one_asks(tunesmith: Call, faulty: str, chat_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes" / "faults.jsonl"
    report = json.loads(tunesmith("data", "check", faulty, "--json", "--faults", str(file)).out)
    assert report["faults"]["file"] == str(file)
    assert [json.loads(line)["row"] for line in file.read_text().splitlines()] == [2]
    assert tunesmith("data", "check", str(chat_file), "--faults", str(file)).status == 0
    assert not file.exists()


def test_every_fault_is_in_the_file_and_kinds_are_counted(tunesmith: Call, tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text("{bad\n" * 30 + '{"text": ""}\n{"text": "a"}\n')
    report = json.loads(tunesmith("data", "check", str(path), "--json").out)
    assert len(Path(report["faults"]["file"]).read_text().splitlines()) == report["faults"]["count"] == 31
    assert (report["faults"]["by_code"], report["empty"]) == ({"unreadable_row": 30, "empty_row": 1}, 1)
    assert len(report["faults"]["first"]) == 20


def test_the_same_check_writes_the_same_file_anew(tunesmith: Call, faulty: str, home: Path) -> None:
    for _ in range(2):
        tunesmith("data", "check", faulty)
    assert len(list((home / "reports").iterdir())) == 1
    Path(faulty).write_text('{"text": "mended"}\n')
    assert tunesmith("data", "check", faulty).status == 0
    assert list((home / "reports").iterdir()) == []


def test_strict_ends_at_the_first_fault(tunesmith: Call, faulty: str, home: Path) -> None:
    said = tunesmith("data", "check", faulty, "--strict")
    assert (said.status, said.out) == (65, "")
    assert f"A row has a fault: {faulty}:2: cannot be read: not JSON" in said.err
    assert list((home / "reports").iterdir()) == []


def test_divides_rows_as_a_run_would(tunesmith: Call, chat_file: Path, tmp_path: Path) -> None:
    report = json.loads(tunesmith("data", "check", str(chat_file), "--json", "--test-split", "0.2").out)
    assert report["sides"] == {"train": 28, "validation": 4, "test": 8}
    lines = chat_file.read_text().splitlines()
    (held := tmp_path / "held.jsonl").write_text("\n".join(lines[:3]) + "\n")
    flags = ["--validation-data", str(held), "--test-data", str(held), "--max-examples", "10", "--json"]
    report = json.loads(tunesmith("data", "check", str(chat_file), *flags).out)
    assert report["sides"] == {"train": 7, "validation": 3, "test": 3}
    assert (report["leaked"], report["shared"]) == (3, 3)
    assert report["warnings"] == ["3 test rows also stand in validation: the test is that much less independent."]


@pytest.mark.parametrize("flag", ["--validation-split", "--test-split"])
def test_a_typed_split_that_cannot_be_met_ends_in_65(tunesmith: Call, chat_file: Path, flag: str) -> None:
    said = tunesmith("data", "check", str(chat_file), flag, "0.01")
    assert said.status == 65
    assert f"{flag} 0.01 of 40 rows leaves no row for one side" in said.err


def test_rows_longer_than_the_model_can_see_end_in_65_as_a_run_would(
    tunesmith: Call, model: str, tmp_path: Path
) -> None:
    (path := tmp_path / "a.jsonl").write_text(json.dumps({"prompt": "a", "completion": "b c " * 1000}) + "\n")
    said = tunesmith("data", "check", str(path), "--model", model, "--json")
    report = json.loads(said.out)
    assert (said.status, report["faults"]["count"], report["clean"]) == (65, 0, False)
    assert report["ledger"]["total"]["truncated"] > 0
    assert "of the trained tokens would be cut" in report["refusal"]
    accepted = tunesmith("data", "check", str(path), "--model", model, "--max-seq-length", "512")
    assert (accepted.status, "Warning: A length of 512 tokens cuts" in accepted.out) == (0, True)


def test_a_default_split_that_cannot_be_met_is_a_warning(tunesmith: Call, tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    said = tunesmith("data", "check", str(path))
    assert said.status == 0
    assert "Warning: 2 rows are too few to hold any out: training without validation." in said.out


def test_shows_where_the_tokens_of_a_length_go(tunesmith: Call, chat_file: Path, model: str, tmp_path: Path) -> None:
    (path := tmp_path / "long.jsonl").write_text(json.dumps({"text": "running text " * 40}) + "\n")
    arguments = [str(chat_file), str(path), "--model", model, "--max-seq-length", "45", "--validation-split", "0"]
    said = tunesmith("data", "check", *arguments)
    assert said.status == 0
    assert f"  {path}: 481 tokens, 97.7 % trained, 2.3 % context" in said.out
    [all_of_it] = [line.split() for line in said.out.splitlines() if line.startswith("  all ")]
    report = json.loads(tunesmith("data", "check", *arguments, "--json").out)
    total = report["ledger"]["total"]
    assert all_of_it == ["all", f"{total['tokens']:,}", "100.0", "%"]
    assert total["truncated"] > 0
    assert Decimal(100) == sum(Decimal(str(share)) for share in total["shares"].values())


def test_nothing_to_train_ends_in_65(tunesmith: Call, chat_file: Path, model: str) -> None:
    said = tunesmith("data", "check", str(chat_file), "--model", model, "--max-seq-length", "16", "--json")
    report = json.loads(said.out)
    assert (said.status, report["clean"], report["ledger"]["total"]["trained"]) == (65, False, 0)


def test_counts_classes_and_answers_that_are_given_away(tunesmith: Call, tmp_path: Path) -> None:
    rows: list[dict[str, str]] = [
        {"text": f"mail {number}", "label": "spam" if number % 3 else "ham"} for number in range(9)
    ]
    answer = "an answer that is long enough"
    rows.append({"question": f"Say: {answer}", "response": answer})
    (path := tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    columns = ["--columns", "prompt=question,completion=response"]
    report = json.loads(tunesmith("data", "check", str(path), "--json", *columns).out)
    assert report["labels"] == {"spam": 6, "ham": 3}
    assert report["given_away"] == {"count": 1, "first": [f"{path}:10"]}
    said = tunesmith("data", "check", str(path), *columns).out
    assert "  spam  6   66.7 %" in said
    assert "given away  1" in said


@pytest.mark.parametrize(("width", "explained"), [(80, False), (120, True)])
def test_fits_the_terminal(
    tunesmith: Call, faulty: str, model: str, monkeypatch: pytest.MonkeyPatch, width: int, explained: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = tunesmith("data", "check", faulty, "--model", model).out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert max(map(len, plain.splitlines())) <= width
    assert "\x1b[" in said
    assert ("read, not learned" in plain) is explained


def test_no_usable_row_ends_in_65(tunesmith: Call, tmp_path: Path) -> None:
    (path := tmp_path / "empty.jsonl").touch()
    said = tunesmith("data", "check", str(path), "--json")
    assert (said.status, json.loads(said.out)["rows"]) == (65, 0)


def test_adds_several_paths_up(tunesmith: Call, chat_file: Path, faulty: str) -> None:
    assert json.loads(tunesmith("data", "check", str(chat_file), faulty, "--json").out)["rows"] == 43


def test_a_named_format_and_renamed_columns_hold(tunesmith: Call, tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"ask": "a", "reply": "b"}\n')
    assert tunesmith("data", "check", str(path)).status == 65
    assert tunesmith("data", "check", str(path), "--columns", "instruction=ask,output=reply").status == 0
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


def test_previews_a_class_and_both_answers_of_a_pair(tunesmith: Call, model: str, tmp_path: Path) -> None:
    rows = [{"text": "win money", "label": "spam"}, {"prompt": "Hello", "chosen": "Good day.", "rejected": "What?"}]
    (path := tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    said = tunesmith("data", "preview", str(path), "--model", model, "-n", "2").out
    assert f"{path}:1, class spam: 9 tokens, the class is trained\nwin money" in said
    assert f"{path}:2, chosen: " in said
    assert f"{path}:2, rejected: " in said
    assert "[[Good day.<|im_end|>]]" in said
    assert "[[What?<|im_end|>]]" in said
    found = json.loads(tunesmith("data", "preview", str(path), "--model", model, "--json").out)["rows"]
    assert [(row["kind"], row["label"]) for row in found] == [("LabelledText", "spam"), ("Preference", None)]
    assert [sequence["name"] for sequence in found[1]["sequences"]] == ["chosen", "rejected"]


def test_previews_running_text_in_pieces_of_a_length(tunesmith: Call, model: str, tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"text": "abcdefghijklmnopqrstuvwxyz012345"}\n')
    said = tunesmith("data", "preview", str(path), "--model", model, "--max-seq-length", "16").out
    assert f"{path}:1, piece 1 of 3: 16 tokens, 15 trained\na[[bcdefghijklmnop]]\n" in said
    assert f"{path}:1, piece 2 of 3: 15 tokens, 14 trained\nq[[rstuvwxyz01234]]\n" in said
    assert f"{path}:1, piece 3 of 3: 2 tokens, 1 trained\n5[[<|im_end|>]]\n" in said


def test_previews_in_colour_on_a_terminal(
    tunesmith: Call, chat_file: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = tunesmith("data", "preview", str(chat_file), "--model", model, "-n", "1").out
    assert "\x1b[32mIt is 0.<|im_end|>\x1b[0m" in said
    assert "[[" not in said
    monkeypatch.setenv("NO_COLOR", "1")
    assert "[[It is 0.<|im_end|>]]" in tunesmith("data", "preview", str(chat_file), "--model", model, "-n", "1").out


def test_preview_says_that_no_row_can_be_used(tunesmith: Call, tmp_path: Path, model: str) -> None:
    (path := tmp_path / "a.jsonl").write_text("{bad\n")
    said = tunesmith("data", "preview", str(path), "--model", model)
    assert said.status == 65
    assert "no row can be used. First fault:" in said.err


def test_a_length_beyond_what_the_model_can_see_is_refused(tunesmith: Call, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one two"}\n')
    said = tunesmith(
        "data", "check", str(tmp_path / "a.jsonl"), "--model", str(tiny_model), "--max-seq-length", "99999"
    )
    assert said.status == 2
    assert "all the model can see" in said.err
