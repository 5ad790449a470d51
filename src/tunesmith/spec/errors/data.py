"""Errors of the data, and faults of single rows."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tunesmith.spec.errors.base import TunesmithError, did_you_mean


class DataError(TunesmithError):
    """The data cannot be used as it is."""

    code = "data"
    status = 422
    exit_code = 65


class DataNotFound(DataError):
    """No file matches what ``--data`` names."""

    code = "data_not_found"

    def __init__(self, uri: str, hint: str = "Check the path; quote a glob so that the shell leaves it alone") -> None:
        super().__init__(f"{uri}: no such data. {hint}.")


class NoSuchColumn(DataError):
    """A column that ``--columns`` renames and that no row has."""

    code = "no_such_column"

    def __init__(self, wanted: str, have: str, where: str, found: Iterable[str]) -> None:
        names = list(found)
        super().__init__(
            f"--columns {wanted}={have}: no row of {where} has a column '{have}' (the first has: {', '.join(names)})."
            f"{did_you_mean(have, names)} Give the name of a column of the data, or leave it out."
        )
        self.column = have


class UnreadableData(DataError):
    """A file or folder that is there, and that no reader can read."""

    code = "unreadable_data"

    def __init__(self, uri: str, why: str, known: Iterable[str]) -> None:
        files = f" Files may be: {', '.join(sorted(known))}." if known else ""
        super().__init__(f"{uri}: cannot be read as data: {why}.{files}")


class NoUsableRow(DataError):
    """Every row of the data is faulty, or there is none."""

    code = "no_usable_row"

    def __init__(self, where: str, rows: int, first_fault: str = "") -> None:
        seen = f" First fault: {first_fault}" if first_fault else ""
        what = f"none of {rows:,} rows" if rows > 1 else "no row"
        super().__init__(f"{where}: {what} can be used.{seen} See `tunesmith data check {where}`.")


class NoAnswerToLearn(DataError):
    """Conversations in which nobody but an AI, or nobody at all, answers."""

    code = "no_answer_to_learn"

    def __init__(self, conversations: int, left_out: Mapping[str, int]) -> None:
        why = "".join(f", {reason}: {count}" for reason, count in left_out.items())
        super().__init__(
            f"conversations: none of {conversations:,} has an answer to learn (messages left out{why}). Send "
            "conversations in which a person's answer, with the role 'assistant', follows a message of the user."
        )


class TooFewAnswers(DataError):
    """Fewer answers to learn than MIN_TRAINING_SAMPLES asks for."""

    code = "too_few_answers"

    def __init__(self, answers: int, least: int) -> None:
        super().__init__(
            f"conversations: they have {answers:,} answers to learn, and MIN_TRAINING_SAMPLES asks for {least:,}. Send "
            "more, or lower that setting."
        )


class FaultyData(DataError):
    """``--strict`` (or ``data check``) found faults."""

    code = "faulty_data"

    def __init__(self, count: int, first_fault: str) -> None:
        rows = "A row has a fault:" if count == 1 else f"{count} rows have faults. First:"
        super().__init__(f"{rows} {first_fault} Mend it, or leave --strict out to skip such rows.")


class NoTaskFits(DataError):
    """Rows that no one task trains on."""

    code = "no_task_fits"

    def __init__(self, found: str, candidates: str) -> None:
        super().__init__(f"The data holds {found}, which no task trains on together. {candidates}")


class SplitImpossible(DataError):
    """A typed validation or test split that leaves one side empty."""

    code = "split_impossible"

    def __init__(self, split: float, rows: int, flag: str = "--validation-split") -> None:
        super().__init__(
            f"{flag} {split:g} of {rows} rows leaves no row for one side. Add rows, or choose another share."
        )


class NothingTrained(DataError):
    """No token of the data would be trained (every label is masked)."""

    code = "nothing_trained"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: no token would be trained: {why}.")


class PictureCut(DataError):
    """A length that somebody typed would cut tokens of pictures off, of which a model must see all or none."""

    code = "picture_cut"

    def __init__(self, where: str, length: int, rows: int, needed: int) -> None:
        super().__init__(
            f"{where}: a length of {length} tokens would cut the pictures of {rows} row(s), which reach up to "
            f"token {needed}. Set --max-seq-length to at least that, or leave it out: rows then stay whole."
        )


class TooMuchLost(DataError):
    """The length that the plan chose would cut off too many trained tokens."""

    code = "too_much_lost"

    def __init__(self, lost: float, limit: float, length: int, needed: int) -> None:
        super().__init__(
            f"At a length of {length} tokens {lost:.1%} of the trained tokens would be cut "
            f"(at most {limit:.0%} may be). "
            f"Give --max-seq-length {needed} to keep them (if the model can see so many), "
            f"or --max-seq-length {length} to accept the cut."
        )


@dataclass(frozen=True)
class Where:
    """A place in the data: the file, and the row counted from 1 (a line in line-based files)."""

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}:{self.row}"


class RowFault(DataError):
    """One row that cannot be used; the others still can."""

    code = "row_fault"

    def __init__(self, where: Where, column: str | None, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.column = column


class MissingColumn(RowFault):
    """A format's column is not in the row."""

    code = "missing_column"

    def __init__(self, column: str, where: Where, found: Iterable[str]) -> None:
        names = ", ".join(found) or "nothing"
        near = did_you_mean(column, found)
        super().__init__(
            where,
            column,
            f"no column '{column}' (found: {names}).{near} Rename it with columns: {{{column}: <your column>}}.",
        )


def _shown(value: object) -> str:
    """Show a value from someone's data within 60 characters, in little time however long or deep it is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring = 3, 60
    text = short.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _tail(name: str) -> str:
    """Show the end of a path, where files differ."""
    return name if len(name) <= 60 else f"...{name[-57:]}"


class WrongType(RowFault):
    """A column holds a value of the wrong type."""

    code = "wrong_type"

    def __init__(self, column: str | None, where: Where, value: object, wanted: str) -> None:
        what = "the row" if column is None else f"column '{column}'"
        super().__init__(where, column, f"{what} is {_shown(value)}, which is not {wanted}. Give {wanted}.")


class EmptyRow(RowFault):
    """A column that must say something says nothing."""

    code = "empty_row"

    def __init__(self, column: str, where: Where) -> None:
        super().__init__(where, column, f"column '{column}' is empty. Fill it in or remove the row.")


class NoWeight(RowFault):
    """A conversation whose assistant turns all have weight 0."""

    code = "no_weight"

    def __init__(self, column: str, where: Where) -> None:
        hint = "Give one of them weight 1, or remove the row."
        super().__init__(
            where, column, f"column '{column}': every assistant turn has weight 0, so none is learned. {hint}"
        )


class UnknownFormat(RowFault):
    """No format recognises the row's columns."""

    code = "unknown_format"

    def __init__(self, where: Where, found: Iterable[str], near: str = "", missing: str | None = None) -> None:
        names = ", ".join(found) or "nothing"
        nearly = f" With '{missing}' it would be {near}." if missing else ""
        super().__init__(
            where,
            missing,
            f"no format has these columns: {names}.{nearly} Name one with --dataset-format, or rename the columns.",
        )


class UnreadableRow(RowFault):
    """The file's syntax is broken at this row."""

    code = "unreadable_row"

    def __init__(self, where: Where, why: str) -> None:
        super().__init__(where, None, f"cannot be read: {why}. Mend or remove it.")


class EmptyFile(RowFault):
    """A file without a single row."""

    code = "empty_file"

    def __init__(self, where: Where) -> None:
        super().__init__(where, None, "the file holds no row. Fill it in or leave it out.")


class TemplateRefused(RowFault):
    """The model's chat template will not render the row."""

    code = "template_refused"

    def __init__(self, where: Where, why: str) -> None:
        hint = "Mend the row, or give another --chat-template FILE."
        super().__init__(where, None, f"the model's chat template refuses it: {why}. {hint}")


class KindRefused(RowFault):
    """A kind of example that this model cannot read."""

    code = "kind_refused"

    def __init__(
        self, where: Where, kind: str, why: str, hint: str = "Train another kind of model with it, or remove the row"
    ) -> None:
        super().__init__(where, None, f"a {kind} cannot be used with this model: {why}. {hint}.")


class MediaMissing(RowFault):
    """A picture or recording that a row names is not there."""

    code = "media_missing"

    def __init__(self, where: Where, name: str) -> None:
        hint = "Paths are relative to the file of the row. Mend the path or remove the row."
        super().__init__(where, None, f"there is no file {_shown(name)}. {hint}")


class MediaOutside(RowFault):
    """A picture or recording lies where the job may not read."""

    code = "media_outside"

    def __init__(self, where: Where, name: str) -> None:
        super().__init__(
            where, None, f"{_shown(name)} lies outside of the data set's folder. Put the file into the data set."
        )


class UnreadableMedia(RowFault):
    """A picture or recording that cannot be decoded, or that nothing can be learned from."""

    code = "unreadable_media"

    def __init__(self, where: Where, name: str, why: str) -> None:
        super().__init__(where, None, f"{_tail(name)} cannot be used: {why}. Replace the file or remove the row.")
        self.why = why


class BadBox(RowFault):
    """A box that is none."""

    code = "bad_box"

    def __init__(self, where: Where, number: int, why: str) -> None:
        super().__init__(where, "boxes", f"box {number} {why}. Mend or remove it.")


class UnknownLabel(DataError):
    """Validation or test rows of a class that no training row has."""

    code = "unknown_label"

    def __init__(self, labels: Iterable[str], known: Iterable[str]) -> None:
        names, classes = sorted(labels), sorted(known)
        super().__init__(
            f"no training row has the label {_shown(names[0])}, which stands in the rows held out "
            f"({len(names)} such label(s); trained: {', '.join(map(_shown, classes[:10]))}). "
            f"Mend the labels, or add rows of that class to the training data."
        )


class TooFewClasses(DataError):
    """All training rows have the same label."""

    code = "too_few_classes"

    def __init__(self, labels: Iterable[str]) -> None:
        names = ", ".join(map(_shown, labels)) or "none"
        super().__init__(f"telling classes apart needs two of them; the training rows have: {names}. Add the others.")
