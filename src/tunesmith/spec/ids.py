"""Names of jobs: one canonical id, which each way in prints in a form of its own and reads in every form."""

from __future__ import annotations

import re
import secrets
from typing import Final

FORMS: Final = ("job-", "train_", "ftjob-")
"""What may stand before the canonical id: ours, the organisations' API's, OpenAI's; two APIs print it bare."""
_CANONICAL: Final = re.compile(r"[0-9a-f]{12}")
ORGANISATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What an organisation may be called."""
DEFAULT_ORGANISATION: Final = "default"


def new_job_id() -> str:
    """Make a canonical id: 12 hexadecimal digits."""
    return secrets.token_hex(6)


def new_id(prefix: str) -> str:
    """Make an id of another noun, such as ``file-`` and 24 hexadecimal digits."""
    return prefix + secrets.token_hex(12)


def job_id_of(written: str) -> str | None:
    """Return the canonical id that a form of it means; None if it is no id of a job."""
    for form in FORMS:
        written = written.removeprefix(form)
    return written if _CANONICAL.fullmatch(written) else None
