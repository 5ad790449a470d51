from __future__ import annotations

import pytest

from tunesmith.data.formats.text import FORMAT
from tunesmith.spec.errors import MissingColumn, Where
from tunesmith.spec.examples import PlainText

WHERE = Where("book.txt", 9)


def test_recognises_a_text() -> None:
    assert FORMAT.sniff({"text": 1}) > 0
    assert FORMAT.sniff({"context": 1}) == 0


def test_leaves_the_text_as_it_stands() -> None:
    assert list(FORMAT.examples({"text": " It was. "}, WHERE)) == [PlainText(" It was. ", WHERE)]


def test_suggests_the_column_that_is_nearly_called_text() -> None:
    with pytest.raises(MissingColumn, match=r"found: texts.*Did you mean 'texts'\?"):
        list(FORMAT.examples({"texts": "x"}, WHERE))
