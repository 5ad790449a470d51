"""Words that people type for a model: whole characters only, as no tokenizer takes half of one."""

from __future__ import annotations

import sys
from typing import Final

import click

NOT_UTF8: Final = "is not UTF-8. Save or type it as UTF-8, then try again."


def whole_text(value: str) -> str:
    """Return the text of a flag (its ``type``); bytes that are not UTF-8 reach Python as lone surrogates.

    Raises:
        click.BadParameter: it holds such.
    """
    if not is_whole(value):
        raise click.BadParameter(f"this text {NOT_UTF8}")
    return value


def is_whole(text: str) -> bool:
    """Whether the text has whole characters alone."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def keep_bad_bytes() -> None:
    """Have stdin give bytes that are not UTF-8 as lone surrogates in every locale, so that their line is found."""
    if (reconfigure := getattr(sys.stdin, "reconfigure", None)) is not None:
        reconfigure(encoding="utf-8", errors="surrogateescape")
