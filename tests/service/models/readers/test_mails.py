"""Mails become rows of text and label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.service.models.aliases import ALIASES
from tunesmith.service.models.readers import Fetched
from tunesmith.service.models.readers.mails import read, said
from tunesmith.settings import Settings
from tunesmith.spec.errors import PullFailed

HEAD = "Delivered-To: collector@example.com\nSubject: Win\n now\n"


def fetched(*files: Path) -> Fetched:
    return Fetched(ALIASES["spam-assassin"], files, Settings(), lambda stage, done: None)


def test_headers_that_tell_the_mailbox_are_left_out() -> None:
    assert said(f"{HEAD}\nDear friend\n") == "Win now\n\nDear friend"


def test_html_is_read_as_it_is_shown() -> None:
    mail = f"{HEAD}Content-Type: text/html\n\n<html><style>p {{}}</style><p>Buy&nbsp;<b>this</b></p></html>"
    assert said(mail).replace("\xa0", " ").split() == ["Win", "now", "Buy", "this"]


def test_the_plain_part_of_several_is_taken() -> None:
    mail = (
        f"{HEAD}Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\nplain\n"
        "--x\nContent-Type: text/html\n\n<p>rich</p>\n--x--\n"
    )
    assert said(mail).endswith("plain")


def test_encoded_bodies_of_unknown_character_sets_are_read() -> None:
    mail = f"{HEAD}Content-Type: text/plain; charset=nobody-knows\nContent-Transfer-Encoding: base64\n\nw6k=\n"
    assert said(mail) == "Win now\n\nÃ©"


def test_writes_a_row_for_each_mail(tmp_path: Path) -> None:
    for name, group, text in (
        ("1", "easy-ham-1", "A: b\n\nhello"),
        ("2", "spam-2", "A: b\n\nbuy"),
        ("3", "spam-1", ""),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps({"group": group, "text": text}))
    told = read(fetched(*sorted(tmp_path.glob("*.json"))), tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "mails.jsonl").read_text().splitlines()]
    assert rows == [{"text": "hello", "label": "ham"}, {"text": "buy", "label": "spam"}]
    assert told == "1 ham and 1 spam mails"


def test_another_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(PullFailed, match=r"x\.json is no mail"):
        read(fetched(tmp_path / "x.json"), tmp_path / "out")
