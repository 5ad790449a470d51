"""JSON: a list of rows, an object around one, or a single row. Lines of JSON under this name are read as such."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from tunesmith.data.json_stream import JsonStream
from tunesmith.data.lines import Line, lines
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader, jsonl
from tunesmith.data.wrapped import WRAPPERS
from tunesmith.spec.errors import RowFault, UnreadableRow, Where


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield every row as it is reached; bytes that are not text, or no JSON, spoil only their own row."""
    if _holds_lines(file):
        yield from jsonl.read(file, None)
        return
    name, number = file.name, 0
    with file.open() as opened:
        stream = JsonStream(opened.stream, WRAPPERS)
        for value in stream.rows():
            if isinstance(value, Exception):
                number += 1
                yield UnreadableRow(Where(name, number), str(value))
                continue
            for row in _squad(value):
                number += 1
                yield RawRow(Where(name, number), row, opened.position())


def _holds_lines(file: SourceFile) -> bool:
    """Whether the first line is a value of its own and another line follows it."""
    there = (line for line in lines(file) if not isinstance(line, Line) or not line.text.isspace())
    first = next(there, None)
    alone = isinstance(first, Line) and isinstance(jsonl.parse(first, ""), RawRow)
    return alone and next(there, None) is not None


def _squad(value: object) -> Iterator[object]:
    """Take an article of the SQuAD file apart into rows as hubs publish them; any other value is a row."""
    paragraphs = value.get("paragraphs") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(paragraphs, list):
        yield value
        return
    for paragraph in paragraphs:
        questions = paragraph.get("qas") if isinstance(paragraph, Mapping) else None
        for question in questions if isinstance(questions, list) else [None]:
            yield _question(value, paragraph, question) if isinstance(question, Mapping) else paragraph


def _question(article: Mapping[str, object], paragraph: Mapping[str, object], question: Mapping[str, object]) -> object:
    given = question.get("answers")
    answers = [answer for answer in given if isinstance(answer, Mapping)] if isinstance(given, list) else []
    return {
        "id": question.get("id"),
        "title": article.get("title"),
        "context": paragraph.get("context"),
        "question": question.get("question"),
        "answers": {key: [answer.get(key) for answer in answers] for key in ("text", "answer_start")},
    }


READER = Reader(name="json", suffixes=(".json",), read=read)
