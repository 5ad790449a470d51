"""The page at `/`: our own, or a file that replaces it; either is all that a browser needs."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tunesmith.spec.errors import UnreadableFile

OWN: Final = Path(__file__).with_name("page.html")
POLICY: Final = (
    "default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
"""A page asks this server and nobody else."""


@dataclass(frozen=True)
class Page:
    """A page, and what a browser may let it do."""

    html: str
    policy: str


def load_page(file: Path | None = None) -> Page:
    """Read our page, or the file that stands in its place, whose scripts the operator answers for.

    Raises:
        UnreadableFile: the file cannot be read, or is no text.
    """
    try:
        html = (file or OWN).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(file or OWN, getattr(error, "strerror", None) or "it is no UTF-8 text") from error
    scripts = "'self' 'unsafe-inline'" if file is not None else _hashes(html)
    return Page(html, POLICY.format(scripts=scripts))


def _hashes(html: str) -> str:
    """Name the page's own scripts by their contents: no other one runs, wherever it comes from."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
