from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data.drawn import draw_into
from tunesmith.data.check import check
from tunesmith.data.detect import format_of
from tunesmith.data.formats import alone
from tunesmith.data.mixture import FormattedRow, locate, rows_of
from tunesmith.spec.errors import MediaOutside, NoWeight, RowFault, UnreadableMedia, Where, WrongType
from tunesmith.spec.examples import Conversation, Example, ImageQuestion, Message, PictureTalk
from tunesmith.spec.job import DatasetRef

WHERE = Where("rows.jsonl", 1)
PLACE = {"type": "image"}
ANSWER = {"role": "assistant", "content": "The first."}
TWO = PictureTalk(("a.png", "b.png"), (Message("user", "Which is red?"), Message("assistant", "The first.")), WHERE)


def said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def asked(*content: Any, **columns: Any) -> dict[str, Any]:
    """A row whose user says a text, or parts."""
    only = content[0] if len(content) == 1 and isinstance(content[0], str) else list(content)
    return {**columns, "messages": [{"role": "user", "content": only}, ANSWER]}


def read(row: dict[str, Any]) -> Example:
    [example] = alone(format_of(row, WHERE), row, WHERE)
    return example


def shown(row: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    """The pictures of a row, and what is first asked, with the line ends between parts left out."""
    example = read(row)
    assert isinstance(example, PictureTalk)
    question = next(turn.content for turn in example.messages if turn.role == "user")
    return example.images, question.replace("\n", "")


LLAVA = [{"from": "human", "value": "<image><image>Which is red?"}, {"from": "gpt", "value": "The first."}]
BOTH = ["a.png", "b.png"]


@pytest.mark.parametrize(
    "row",
    [
        asked(PLACE, PLACE, said("Which is red?"), images=BOTH),
        asked({**PLACE, "text": None}, {**PLACE, "image": None}, said("Which is red?"), images=BOTH),
        asked("<image><image>Which is red?", images=BOTH),
        {"image": BOTH, "conversations": LLAVA},
        {"image": [{"path": "a.png"}, {"path": "b.png"}], "conversations": LLAVA},
        {"images": BOTH, "question": "<image><image>Which is red?", "answer": "The first."},
        asked({**PLACE, "image": "a.png"}, {**PLACE, "image": "file://b.png"}, said("Which is red?")),
        asked({**PLACE, "path": "a.png"}, {**PLACE, "url": "b.png"}, said("Which is red?")),
        asked({"image": "a.png"}, {"image": "b.png"}, {"text": "Which is red?"}),
        asked(
            {"type": "image_url", "image_url": {"url": "a.png", "detail": "low"}},
            {"type": "image_url", "image_url": "b.png"},
            said("Which is red?"),
        ),
        asked({**PLACE, "image": "a.png"}, {**PLACE, "image": "b.png"}, said("Which is red?"), images=BOTH),
    ],
)
def test_pictures_are_named_in_a_column_or_in_parts_of_a_turn(row: dict[str, Any]) -> None:
    assert shown(row) == (("a.png", "b.png"), "<image><image>Which is red?")


def test_each_picture_stands_where_its_part_does() -> None:
    parts = (said("Is"), PLACE, said("like"), PLACE, said("?"))
    assert shown(asked(*parts, images=BOTH)) == (("a.png", "b.png"), "Is<image>like<image>?")
    assert shown(asked("Who is <image>?", images=["a.png"])) == (("a.png",), "Who is <image>?")


def test_later_turns_name_the_next_pictures() -> None:
    row = asked(PLACE, said("What?"), images=BOTH)
    row["messages"] += [{"role": "user", "content": [PLACE, said("And this?")]}, ANSWER]
    example = read(row)
    assert isinstance(example, PictureTalk)
    assert [turn.content for turn in example.messages[::2]] == ["<image>\nWhat?", "<image>\nAnd this?"]


def test_an_answer_may_be_a_list_of_texts() -> None:
    row = asked(PLACE, PLACE, said("Which?"), images=BOTH)
    row["messages"][1] = {"role": "assistant", "content": [said("The"), said("first.")]}
    example = read(row)
    assert isinstance(example, PictureTalk)
    assert example.messages[1].content == "The\nfirst."


def test_pictures_without_places_come_first_in_their_order() -> None:
    assert read(asked("Which is red?", images=BOTH)) == TWO
    assert read({"images": BOTH, "question": "Which is red?", "answer": "The first."}) == TWO


@pytest.mark.parametrize(
    "row",
    [
        asked(PLACE, said("Who?"), images=["a.png"]),
        asked("<image>\nWho?", images="a.png"),
        asked("Who?", image="a.png"),
        asked({**PLACE, "image": "a.png"}, said("Who?")),
    ],
)
def test_a_picture_before_one_question_is_a_question(row: dict[str, Any]) -> None:
    assert read(row) == ImageQuestion("a.png", "Who?", "The first.", WHERE)


@pytest.mark.parametrize("images", [[], None])
def test_a_row_whose_column_holds_no_picture_is_a_conversation(images: object) -> None:
    said_alone = (Message("user", "Who?"), Message("assistant", "The first."))
    assert read(asked("Who?", images=images)) == Conversation(said_alone, WHERE)


def test_without_pictures_the_place_of_one_is_a_word() -> None:
    example = read(asked("What does <image> mean?"))
    assert isinstance(example, Conversation)
    assert example.messages[0].content == "What does <image> mean?"


@pytest.mark.parametrize(
    ("row", "count"),
    [
        (asked(PLACE, said("Which?"), images=BOTH), "1 place(s) for 2 picture(s)"),
        (asked(PLACE, PLACE, said("Which?"), images=["a.png"]), "2 place(s) for 1 picture(s)"),
        (asked("<image><image><image>Which?", images=BOTH), "3 place(s) for 2 picture(s)"),
        ({"image": "a.png", "conversations": LLAVA}, "2 place(s) for 1 picture(s)"),
        ({"images": BOTH, "question": "<image>Which?", "answer": "b"}, "1 place(s) for 2 picture(s)"),
        (asked("<image>Which?", images=[]), "1 place(s) for 0 picture(s)"),
        (asked(PLACE, said("Which?")), "1 place(s) for 0 picture(s)"),
        (asked(PLACE, {**PLACE, "image": "a.png"}, said("Which?")), "2 place(s) for 1 picture(s)"),
    ],
)
def test_there_are_as_many_places_as_pictures(row: dict[str, Any], count: str) -> None:
    with pytest.raises(WrongType) as caught:
        read(row)
    assert count in str(caught.value)


ADDRESS = "pictures are not downloaded; save it beside the rows and name its path"
WITHIN = "pictures are not read from within a row; save it as a file beside the rows and name its path"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("https://example.org/a.png", ADDRESS),
        ("HTTP://example.org/a.png", ADDRESS),
        (f"data:image/png;base64,{'A' * 4000}", WITHIN),
    ],
)
def test_what_is_no_file_is_refused_wherever_it_stands(name: str, why: str) -> None:
    rows = [
        asked({"type": "image_url", "image_url": {"url": name}}, said("Who?")),
        asked({**PLACE, "image": name}, said("Who?")),
        asked("Who?", images=["a.png", name]),
        {"image": name, "question": "Who?", "answer": "A cat."},
        {"image": name, "caption": "A cat."},
    ]
    for row in rows:
        with pytest.raises(UnreadableMedia) as caught:
            read(row)
        assert f"cannot be used: {why}. " in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        (asked({"type": "image_url"}, said("Who?")), WrongType, "messages[0].content[0]"),
        (asked({"type": "video", "video": "a.mp4"}, said("Who?")), WrongType, "messages[0].content[0]"),
        (asked({**PLACE, "image": 3}, said("Who?")), WrongType, "messages[0].content[0].image"),
        (asked({**PLACE, "image": "b.png"}, said("Who?"), images=["a.png"]), WrongType, "messages"),
        (asked("Who?", images=["a.png", 3]), WrongType, "images[1]"),
        (asked(PLACE, PLACE, images=BOTH), WrongType, "messages"),
        (
            {"images": ["a.png"], "messages": [{"role": "user", "content": "Draw."}, {**ANSWER, "content": [PLACE]}]},
            WrongType,
            "messages[1].content[0]",
        ),
        (
            {"images": BOTH, "messages": [{"role": "user", "content": "Who?"}, {**ANSWER, "weight": 0}]},
            NoWeight,
            "messages",
        ),
    ],
)
def test_names_the_part_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault) as caught:
        read(row)
    assert caught.value.column == column


def placed(folder: Path, rows: list[dict[str, Any]]) -> list[FormattedRow | RowFault]:
    """What is read of rows in a folder that they must not leave."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    [located] = locate([DatasetRef(uri=str(folder), within=(str(folder),))])
    return [row for file in located.files for row in rows_of(file, located.dataset)]


def test_every_picture_lies_beside_its_row_and_none_outside(tmp_path: Path) -> None:
    draw_into(folder := tmp_path / "set", BOTH)
    draw_into(tmp_path, ["secret.png"])
    aims = ("../secret.png", str(tmp_path / "secret.png"), f"file://{tmp_path}/secret.png")
    rows = [
        asked(PLACE, PLACE, said("Which?"), images=pair) for aim in aims for pair in (["a.png", aim], [aim, "a.png"])
    ]
    rows += [asked({**PLACE, "image": "a.png"}, {**PLACE, "image": aim}, said("Which?")) for aim in aims]
    rows += [asked({"type": "image_url", "image_url": {"url": aim}}, said("Which?")) for aim in aims]
    found, *faults = placed(folder, [asked(PLACE, PLACE, said("Which?"), images=BOTH), *rows])
    assert isinstance(found, FormattedRow) and isinstance(found.example, PictureTalk)
    assert found.example.images == (str(folder / "a.png"), str(folder / "b.png"))
    assert [type(fault) for fault in faults] == [MediaOutside] * len(rows)


def test_a_check_looks_at_every_picture_of_a_row(tmp_path: Path) -> None:
    draw_into(tmp_path, ["a.png"])
    (tmp_path / "b.png").write_bytes(b"no picture")
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps(asked("Which?", images=["a.png", "a.png"])) + "\n" + json.dumps(asked("Which?", images=BOTH))
    )
    report = check([DatasetRef(uri=str(path))])
    assert report.media == {"pictures": 2}
    assert report.faults.count == 1
