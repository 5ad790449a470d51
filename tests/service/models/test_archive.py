from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from tunesmith.service.models.archive import PIECE, zipped


def test_everything_comes_out_as_it_went_in(tmp_path: Path) -> None:
    large = os.urandom(3 * PIECE + 17)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "weights.safetensors").write_bytes(large)
    (tmp_path / "empty.txt").touch()
    archive = zipfile.ZipFile(io.BytesIO(b"".join(zipped(tmp_path))))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == {
        "deep/weights.safetensors": large,
        "empty.txt": b"",
    }


def test_it_is_handed_on_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(8 * PIECE))
    assert max(len(piece) for piece in zipped(tmp_path)) <= PIECE


def test_links_and_hidden_folders_stay_behind(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of somebody else")
    folder = tmp_path / "artifacts"
    (folder / ".private").mkdir(parents=True)
    (folder / ".private" / "claim.json").touch()
    (folder / "link").symlink_to(secret)
    (folder / "parent").symlink_to(tmp_path)
    assert zipfile.ZipFile(io.BytesIO(b"".join(zipped(folder)))).namelist() == []


def test_a_file_from_before_zip_files_is_sent_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    os.utime(tmp_path / "old.txt", (0, 0))
    assert zipfile.ZipFile(io.BytesIO(b"".join(zipped(tmp_path)))).read("old.txt") == b"old"
