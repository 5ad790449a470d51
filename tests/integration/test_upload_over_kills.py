"""An upload survives whatever happens to connections and servers, in flat memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fleet import fleet
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.datasets import files
from uploading import Uploading, sparse_file

MOST_GROWTH = 64 * 2**20


def test_an_upload_of_40_mb_survives_cuts_and_kills(service: Service, database_url: str, tmp_path: Path) -> None:
    survive(service, database_url, tmp_path, size=40_000_000, cuts=6, kills=2)


def survive(service: Service, database_url: str, folder: Path, *, size: int, cuts: int, kills: int) -> None:
    digest = sparse_file(folder / "rows.jsonl", size)
    with fleet(service.settings.home, database_url, 1) as [server]:
        uploading = Uploading(server, folder / "rows.jsonl", digest, seed=7)
        assert uploading.run(cuts, kills) > 0
        file = files.get_file(service, OPERATOR, uploading.became())
    with Path(file.path).open("rb") as stored:
        assert hashlib.file_digest(stored, "sha256").hexdigest() == file.sha256 == digest
    assert uploading.growth <= MOST_GROWTH, f"the server grew by {uploading.growth / 2**20:.0f} MiB"
    assert not list((service.settings.home / "orgs" / "default" / "data" / "uploads").iterdir())
