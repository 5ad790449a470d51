from __future__ import annotations

import pytest

from tunesmith.data.elements import document


def test_a_document_is_the_columns_of_its_root() -> None:
    found = document(b'<?xml version="1.0"?><a id="1"><b>x</b><c><d>1</d><d>2</d></c></a>')
    assert found == {"id": "1", "b": "x", "c": {"d": ["1", "2"]}}


def test_a_root_with_nothing_but_text_is_a_text() -> None:
    assert document(" <a> Größe </a>".encode()) == "Größe"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"<a><b></a>", "not XML: mismatched tag in line 1"),
        (b"<a>", "not XML: no element found in line 1"),
        (b"<a/><b/>", "not XML: junk after document element in line 1"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>', "declares the entity 'x'"),
        (b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>', "declares the entity 'x'"),
    ],
)
def test_what_is_no_document_says_why(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        document(content)
