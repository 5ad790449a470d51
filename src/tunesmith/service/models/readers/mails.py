"""Mails sorted into ham and spam: one JSON file each becomes rows of text and label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email import message_from_string, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

from tunesmith.service.models.readers import Fetched, Reader
from tunesmith.spec.errors import PullFailed

_BLANKS = re.compile(r"[ \t\r\f\v]+")
_LINES = re.compile(r"\n{3,}")


def read(fetched: Fetched, result: Path) -> str:
    """Write ``mails.jsonl``: one mail a line, in the order of the files' names."""
    result.mkdir()
    counts = {"ham": 0, "spam": 0}
    with (result / "mails.jsonl").open("w", encoding="utf-8") as sink:
        for file in fetched.files:
            try:
                mail = json.loads(file.read_text(encoding="utf-8"))
                label = "spam" if mail["group"].startswith("spam") else "ham"
                text = said(mail["text"])
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise PullFailed(fetched.alias.name, f"{file.name} is no mail ({error})") from None
            if text:
                counts[label] += 1
                sink.write(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n")
    return f"{counts['ham']:,} ham and {counts['spam']:,} spam mails"


def said(mail: str) -> str:
    """Return subject and body as plain text.

    The other headers are left out: they tell which mailbox a mail was collected from, and with it the label.
    """
    parsed = message_from_string(mail, policy=policy.compat32)
    subject = _BLANKS.sub(" ", str(parsed.get("Subject", "")).replace("\n", " ")).strip()
    body = "\n".join(_bodies(parsed))  # type: ignore[arg-type]
    text = _LINES.sub("\n\n", _BLANKS.sub(" ", f"{subject}\n\n{body}")).strip()
    return text.encode("utf-8", "replace").decode()


def _bodies(mail: EmailMessage) -> Iterator[str]:
    """Yield the text parts: the plain ones, or where there are none what the HTML ones say."""
    parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    plain = [part for part in parts if part.get_content_subtype() != "html"]
    for part in plain or parts:
        text = _decoded(part)
        yield _without_tags(text) if part.get_content_subtype() == "html" else text


def _decoded(part: EmailMessage) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return str(part.get_payload())
    try:
        return content.decode(part.get_content_charset() or "latin-1", "replace")
    except LookupError:  # a character set that nobody knows
        return content.decode("latin-1")


def _without_tags(html: str) -> str:
    parser = _Texts()
    parser.feed(html)
    parser.close()
    return " ".join(parser.texts)


class _Texts(HTMLParser):
    """Collects what a page shows."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Go into a part that may not be shown."""
        self._hidden += tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        """Come out of it."""
        self._hidden = max(0, self._hidden - (tag in ("style", "script")))

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        if not self._hidden and not data.isspace():
            self.texts.append(data)


READER = Reader("mails", "subject and body of each mail became a row of text and label in `mails.jsonl`.", read)
