from __future__ import annotations

import re
from pathlib import Path

import pytest

from tunesmith.api.model_server.page import OWN, load_page
from tunesmith.spec.errors import UnreadableFile


def test_our_page_is_all_that_it_needs() -> None:
    html = load_page().html
    assert re.findall(r"(?:src|href)=\"(?!data:)[^\"]*\"", html) == []
    assert "http://" not in html.replace("http://www.w3.org", "") and "https://" not in html
    assert "innerHTML" not in html


def test_only_our_own_script_runs() -> None:
    page = load_page()
    assert "'unsafe-inline'" not in page.policy.partition("script-src")[2].partition(";")[0]
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}';", page.policy)


def test_every_script_is_one_that_is_named() -> None:
    assert OWN.read_text().count("<script") == OWN.read_text().count("<script>") == 1


def test_a_file_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<h1>Ä</h1>")
    page = load_page(tmp_path / "mine.html")
    assert page.html == "<h1>Ä</h1>"
    assert "script-src 'self' 'unsafe-inline'" in page.policy


def test_a_file_that_cannot_be_shown_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"\x89PNG\xff")
    for name in ("page.png", "nowhere.html"):
        with pytest.raises(UnreadableFile, match=name):
            load_page(tmp_path / name)
