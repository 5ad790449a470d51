"""Two gigabytes, twenty cut connections, three dead servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.test_upload_over_kills import survive
from tunesmith.service.context import Service

pytestmark = pytest.mark.chaos


def test_an_upload_of_2_gb_survives_cuts_and_kills(service: Service, database_url: str, tmp_path: Path) -> None:
    survive(service, database_url, tmp_path, size=2_000_000_000, cuts=20, kills=3)
