"""Several data sets as one stream of examples and faults, and the split of their rows into training and validation."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.data import detect
from tunesmith.data.files import Found, look_up
from tunesmith.data.formats import Format
from tunesmith.data.grouping import Grouping, Made
from tunesmith.data.layouts import LAYOUTS
from tunesmith.data.media import named as names_of
from tunesmith.data.media import placed
from tunesmith.data.renames import Renames
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, read_file
from tunesmith.spec.errors import RowFault
from tunesmith.spec.examples import (
    BoxedImage,
    CaptionedImage,
    Conversation,
    Example,
    ImageQuestion,
    LabelledImage,
    LabelledSound,
    LabelledText,
    Message,
    PictureTalk,
    PlainText,
    Preference,
    PromptCompletion,
    Speech,
)
from tunesmith.spec.job import DatasetRef

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Located:
    """A data set and the files that its uri means."""

    dataset: DatasetRef
    files: tuple[SourceFile, ...]
    notes: tuple[str, ...] = ()
    """What was found and is not read, one sentence each."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """An example and where it came from."""

    example: Example
    format: str
    source: int
    """Place of its data set in the list."""
    file: int
    """Place of its file among all files of all data sets."""
    position: int
    """Bytes of that file read so far, for progress."""


def locate(datasets: Sequence[DatasetRef]) -> list[Located]:
    """Find every data set's files before any is read.

    Raises:
        DataNotFound: nothing is there.
        UnreadableData: something is there, but no file that can be read.
        UnknownName: a format that does not exist.
    """
    for dataset in datasets:
        if dataset.format != "auto" and dataset.format not in LAYOUTS:
            detect.named(dataset.format)
    found = [(dataset, look_up(dataset.uri, dataset.format, dataset.within)) for dataset in datasets]
    return [part for dataset, each in found for part in _by_side(dataset, each)]


def _by_side(dataset: DatasetRef, found: Found) -> Iterator[Located]:
    """Divide a data set that brings its own validation or test rows; a side that was asked for takes all of them."""
    own = not (dataset.validation or dataset.test)
    sides = list(dict.fromkeys(file.side if own else "" for file in found.files)) or [""]
    for place, side in enumerate(sorted(sides)):
        files = tuple(file for file in found.files if not own or file.side == side)
        notes = tuple(found.notes) if place == 0 else ()
        yield Located(dataset.model_copy(update={side: True}) if side else dataset, files, notes)


def read(datasets: Sequence[DatasetRef]) -> Iterator[Example | RowFault]:
    """Yield every data set's examples in order, and a fault for each row that gives none."""
    for row in stream(locate(datasets)):
        yield row.example if isinstance(row, ReadRow) else row


def stream(located: Sequence[Located]) -> Iterator[ReadRow | RowFault]:
    """Yield rows with their places; at most ``limit`` examples of each data set.

    Raises:
        NoSuchColumn: at the end, where a data set renames a column that none of the rows has.
    """
    renames = Renames(each.dataset for each in located)
    file = 0
    for source, each in enumerate(located):
        usable = 0
        for place, source_file in enumerate(each.files):
            for row in rows_of(source_file, each.dataset, renames=renames):
                if isinstance(row, RowFault):
                    yield row
                else:
                    usable += 1
                    yield ReadRow(row.example, row.format, source, file + place, row.position)
                if usable == each.dataset.limit:
                    break
            if usable == each.dataset.limit:
                break
        file += len(each.files)
    if renames.fault:
        raise renames.fault


@dataclass(frozen=True, slots=True)
class FormattedRow:
    """An example and the format it was written in."""

    example: Example
    format: str
    position: int
    rows: int
    """Rows that it was made of."""


def rows_of(
    file: SourceFile, dataset: DatasetRef, wanted: Container[int] | None = None, *, renames: Renames | None = None
) -> Iterator[FormattedRow | RowFault]:
    """Yield one file's examples; only the wanted numbers, if given and the file's reader can skip the others.

    ``renames`` is shown every row.
    """
    forced = file.format if dataset.format in ("auto", *LAYOUTS) else dataset.format
    known = detect.named(forced) if forced else None
    grouping = Grouping(wanted)
    position = 0
    for raw in read_file(file, None if wanted is None else grouping):
        if isinstance(raw, RowFault):
            yield _bare(raw)
            continue
        for made in _made(raw, dataset, known, grouping, renames):
            yield _placed(made, raw.position, file, dataset)
        position = raw.position
    for made in grouping.close():
        yield _placed(made, position, file, dataset)


def _made(
    raw: RawRow, dataset: DatasetRef, forced: Format | None, grouping: Grouping, renames: Renames | None
) -> Iterator[Made | RowFault]:
    try:
        row = detect.as_row(raw.values, raw.where)
        if renames and dataset.columns:
            renames.see(row)
        row = detect.renamed(row, dataset.columns)
        found = forced or detect.format_of(row, raw.where)
    except RowFault as fault:
        yield fault
        return
    yield from grouping.add(found, row, raw.where)


def _placed(made: Made | RowFault, position: int, file: SourceFile, dataset: DatasetRef) -> FormattedRow | RowFault:
    if isinstance(made, RowFault):
        return _bare(made)
    try:
        example = placed(made.example, file.beside, dataset.within)
    except RowFault as fault:
        return _bare(fault)
    return FormattedRow(example, made.format, position, made.rows)


def _bare(fault: RowFault) -> RowFault:
    """Drop what keeps the frames of the failed row alive: there may be a million faults."""
    fault.__traceback__ = fault.__context__ = fault.__cause__ = None
    return fault


def split(rows: int, share: float, seed: int, *, test: float = 0.0) -> tuple[Indices, Indices, Indices]:
    """Return the rows for training, for validation and for the test at the end.

    Rows are shuffled by the seed: the first ``int(rows * share)`` validate, the next ``int(rows * test)`` test, so that
    a test split takes nothing from validation. The first result is in ascending order, the others in the shuffle's.
    """
    shuffled = np.random.RandomState(seed).permutation(rows).astype(np.int64)
    validating, testing = int(rows * share), int(rows * test)
    held_out = validating + testing
    return np.sort(shuffled[held_out:]), shuffled[:validating], shuffled[validating:held_out]


def digest(example: Example, media: bytes = b"") -> int:
    """Return 64 bits that are equal for examples of equal content, wherever they stand.

    ``media`` is what was decoded of its pictures or recordings; without it they are told apart by their names.
    """
    said = _parts(example) if not media else [part for part in _parts(example) if part not in names_of(example)]
    content = "".join(f"{len(part)}:{part}" for part in said).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(content + media, digest_size=8).digest(), "little")


def _parts(example: Example) -> list[str]:
    """Return all that an example says, each kind of example in its own way."""
    match example:
        case Conversation():
            parts = ["conversation", *_said(example.messages)]
            parts += [str(place) for place, turn in enumerate(example.messages) if not turn.train]
            return [*parts, "tools", example.tools] if example.tools else parts
        case PlainText():
            return ["text", example.text]
        case PromptCompletion():
            return ["completion", example.prompt, example.completion]
        case LabelledText():
            return ["label", example.text, example.label]
        case Preference():
            sides = (example.messages, example.chosen, example.rejected)
            parts = ["preference", *(part for turns in sides for part in [str(len(turns)), *_said(turns)])]
            return [*parts, "tools", example.tools] if example.tools else parts
        case CaptionedImage():
            return ["caption", example.image, example.caption]
        case ImageQuestion():
            return ["question", example.image, example.question, example.answer]
        case LabelledImage():
            return ["labelled image", example.image, example.label]
        case BoxedImage():
            return ["boxed image", example.image, *(repr(box) for box in example.boxes)]
        case PictureTalk():
            return ["picture talk", *example.images, *_said(example.messages)]
        case Speech():
            return ["speech", example.audio, example.text]
        case LabelledSound():
            return ["labelled sound", example.audio, example.label]


def _said(turns: Sequence[Message]) -> list[str]:
    parts = ([turn.role, turn.content, *([turn.tool_calls] if turn.tool_calls else [])] for turn in turns)
    return [part for said in parts for part in said]


def characters(example: Example) -> int:
    """Count what an example says, whatever it is called in a row."""
    match example:
        case Conversation():
            return _length(example.messages) + len(example.tools)
        case Preference():
            return sum(map(_length, (example.messages, example.chosen, example.rejected))) + len(example.tools)
        case PromptCompletion():
            return len(example.prompt) + len(example.completion)
        case CaptionedImage():
            return len(example.caption)
        case ImageQuestion():
            return len(example.question) + len(example.answer)
        case PlainText() | LabelledText() | Speech():
            return len(example.text)
        case PictureTalk():
            return _length(example.messages)
        case LabelledImage() | LabelledSound():
            return len(example.label)
        case BoxedImage():
            return sum(len(box.label) for box in example.boxes)


def _length(turns: Sequence[Message]) -> int:
    return sum(len(turn.content) + len(turn.tool_calls) for turn in turns)


def repeats(digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Mark the rows whose content stands in an earlier row already."""
    _, first = np.unique(digests, return_index=True)
    repeated = np.ones(len(digests), dtype=np.bool_)
    repeated[first] = False
    return repeated
