"""Archives as users make them, and as they are made to do harm."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from tunesmith.data import archives, compression
from tunesmith.data.files import look_up
from tunesmith.data.sampling import sample
from tunesmith.data.sources import RawRow, read_file
from tunesmith.spec.errors import RowFault, UnreadableData
from tunesmith.spec.job import DatasetRef

TARS = ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"]


def rows(*texts: str) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    mode = {".tar": "w", ".tgz": "w:gz"}.get(path.suffix, f"w:{path.suffix[1:]}")
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def read(uri: Path | str) -> list[tuple[str, object]]:
    found = [row for file in look_up(str(uri)).files for row in read_file(file)]
    return [(str(row.where), row.values if isinstance(row, RawRow) else row.message) for row in found]


def only_fault(path: Path) -> str:
    """Read an archive that is nothing but one fault, which names it."""
    [(where, message)] = read(path)
    assert where == f"{path}:1"
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("name", [*TARS, "a.zip"])
def test_rows_are_named_after_the_archive_and_the_file_inside(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, {"b/two.jsonl": rows("b", "c"), "one.csv": b"text\na\n", "notes.pdf": b"x"})
    assert read(path) == [
        (f"{path}/b/two.jsonl:1", {"text": "b"}),
        (f"{path}/b/two.jsonl:2", {"text": "c"}),
        (f"{path}/one.csv:2", {"text": "a"}),
    ]
    assert look_up(str(path)).notes == [f"Passed over, as these are no rows: {path}/notes.pdf."]


@pytest.mark.parametrize("name", [*TARS, "a.zip"])
def test_files_of_an_archive_can_be_read_again_and_in_any_order(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, {f"{n}.jsonl": rows(str(n)) for n in range(4)})
    files = look_up(str(path)).files
    for n in (2, 0, 3, 3, 1):
        [row] = read_file(files[n])
        assert isinstance(row, RawRow) and row.values == {"text": str(n)}


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_two_files_of_an_archive_can_be_read_side_by_side(tmp_path: Path, name: str) -> None:
    texts = [[str(n * side) for n in range(30_000)] for side in (3, 7)]
    path = packed(tmp_path / name, {f"{side}.jsonl": rows(*each) for side, each in enumerate(texts)})
    together = zip(*(read_file(file) for file in look_up(str(path)).files), strict=True)
    found = [tuple(row.values["text"] for row in pair) for pair in together]  # type: ignore[union-attr, index]
    assert found == list(zip(*texts, strict=True))


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_an_archive_is_sampled_like_a_folder(tmp_path: Path, name: str) -> None:
    path = packed(
        tmp_path / name,
        {"a.jsonl": rows(*map(str, range(50))), "qa/b.jsonl": b'{"question": "a", "answer": "b"}\n' * 50},
    )
    found = sample([DatasetRef(uri=str(path))], 10)
    assert (found.total_rows, found.exact, found.formats) == (100, True, {"text": 5, "qa": 5})


def test_a_folder_inside_named_after_a_format_forces_it(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"alpaca/x/a.jsonl": rows("a"), "b.jsonl": rows("b")})
    assert [file.format for file in look_up(str(path)).files] == ["alpaca", None]
    (tmp_path / "qa").mkdir()
    path.rename(tmp_path / "qa" / "a.zip")
    assert [file.format for file in look_up(str(tmp_path)).files] == ["alpaca", "qa"]


def test_compressed_files_inside_are_read_too(tmp_path: Path) -> None:
    import gzip

    path = packed(tmp_path / "a.zip", {"a.jsonl.gz": gzip.compress(rows("a", "b"))})
    assert [values for _, values in read(path)] == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_what_points_outside_or_nests_is_left_out_and_said(tmp_path: Path, name: str) -> None:
    names = ["../evil.jsonl", "/etc/evil.jsonl", "b/../../evil.jsonl", "inner.zip", "__MACOSX/x.jsonl", ".hidden.jsonl"]
    path = packed(tmp_path / name, {**dict.fromkeys(names, rows("evil")), "good.jsonl": rows("good")})
    assert [values for _, values in read(path)] == [{"text": "good"}]
    notes = look_up(str(path)).notes
    assert [name for name in names if any(f"{path}/{name} is left out" in note for note in notes)] == names[:4]


def test_links_and_devices_are_left_out_and_said(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(f"{name}.jsonl")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    with pytest.raises(UnreadableData, match=r"link.jsonl is left out: it is a link"):
        look_up(str(tmp_path / "a.tar"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        entry = zipfile.ZipInfo("link.jsonl")
        entry.external_attr = 0o120777 << 16
        zipped.writestr(entry, "/etc/passwd")
    with pytest.raises(UnreadableData, match=r"link.jsonl is left out: it is a link"):
        look_up(str(tmp_path / "a.zip"))


def test_an_archive_with_nothing_but_an_archive_names_it(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData, match=r"a.zip/inner.tar.gz is left out: it is an archive inside an archive"):
        look_up(str(packed(tmp_path / "a.zip", {"inner.tar.gz": b""})))


@pytest.mark.parametrize("name", [*TARS, "a.zip"])
def test_what_is_no_archive_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no archive" * 200)
    assert "damaged" in only_fault(tmp_path / name)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_an_archive_that_is_damaged_later_is_a_fault_of_its_file(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, {"a.jsonl": rows(*(f"{n * 7919 % 10007}" for n in range(5000)))})
    files = look_up(str(path)).files
    path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 2] if name != "a.zip" else b"PK" + path.read_bytes()[2:]
    )
    if name == "a.zip":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    found = list(read_file(files[0]))
    assert isinstance(found[-1], RowFault)
    assert found[-1].where.file == f"{path}/a.jsonl"


def test_a_tar_that_unpacks_without_end_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "FREE_BYTES", 2**20)
    info = tarfile.TarInfo("a.jsonl")
    info.size = 2**40
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    with (tmp_path / "a.tar.gz").open("wb") as file:
        file.write(press.compress(info.tobuf()))
        for _ in range(20):
            file.write(press.compress(b"\0" * 2**20))
        file.write(press.flush())
    assert "unpacks to more than 200 times its size" in only_fault(tmp_path / "a.tar.gz")


def test_a_zip_whose_files_claim_too_much_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "FREE_BYTES", 2**20)
    path = packed(tmp_path / "a.zip", {"bomb.txt": b"\0" * 2**21})
    [(where, message)] = read(path)
    assert where == f"{path}/bomb.txt:1"
    assert "unpacks to more than 200 times its size" in str(message)


def test_files_of_a_zip_that_claim_too_much_together_are_one_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "FREE_BYTES", 2**20)
    path = packed(tmp_path / "a.zip", {f"{n}.txt": b"\0" * 2**18 for n in range(8)})
    files = look_up(str(path)).files
    assert [file.name for file in files] == [*(f"{path}/{n}.txt" for n in range(4)), str(path)]
    assert "unpacks to more than 200 times its size" in files[-1].broken


def test_a_file_that_unpacks_without_end_costs_no_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "FREE_BYTES", 2**20)
    bomb, good = b"\0" * 2**21, rows("good")
    zipped = packed(tmp_path / "a.zip", {"0.jsonl": bomb, "ok.jsonl": good})
    tarred = packed(tmp_path / "a.tar.gz", {"ok.jsonl": good, "z.bin": bomb})
    assert [where for where, _ in read(zipped)] == [f"{zipped}/0.jsonl:1", f"{zipped}/ok.jsonl:1"]
    assert [where for where, _ in read(tarred)] == [f"{tarred}/ok.jsonl:1", f"{tarred}:1"]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("last", ["z.jsonl", "z.bin"])
def test_what_stands_before_the_damage_is_read_and_the_damage_is_one_fault(
    tmp_path: Path, name: str, last: str
) -> None:
    noise = rows(*(f"{n * 7919 % 10007}" for n in range(20_000)))
    path = packed(tmp_path / name, {"a.jsonl": rows("a"), "b.jsonl": rows("b"), last: noise})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = read(path)
    assert found[:2] == [(f"{path}/a.jsonl:1", {"text": "a"}), (f"{path}/b.jsonl:1", {"text": "b"})]
    [fault] = [where for where, values in found if isinstance(values, str)]
    assert fault.startswith(f"{path}/z.jsonl:" if last == "z.jsonl" else f"{path}:1")


def test_damage_between_two_files_is_a_fault_of_the_archive(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar", {"a.jsonl": rows("a"), "b.jsonl": rows("b")})
    content = bytearray(path.read_bytes())
    content[1024:1536] = b"x" * 512
    path.write_bytes(content)
    (good, fault) = read(path)
    assert good == (f"{path}/a.jsonl:1", {"text": "a"})
    assert fault[0] == f"{path}:1" and "no header of a file" in str(fault[1])


def test_the_files_beside_an_archive_that_cannot_be_read_are_still_usable(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no archive")
    (tmp_path / "b.jsonl").write_bytes(rows("b"))
    faulty, good = read(tmp_path)
    assert faulty[0] == f"{tmp_path}/a.zip:1"
    assert good == (f"{tmp_path}/b.jsonl:1", {"text": "b"})
    assert read(f"{tmp_path}/*") == read(f"{tmp_path}/b.jsonl,{tmp_path}/a.zip")[::-1] == [faulty, good]
    found = sample([DatasetRef(uri=str(tmp_path))], 10)
    assert (len(found.examples), len(found.faults)) == (1, 1)


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 10)
    *found, (where, message) = read(path := packed(tmp_path / "a.tar", {f"{n}.txt": b"x" for n in range(11)}))
    assert (len(found), where) == (10, f"{path}:1")
    assert "more than 10 files" in str(message)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.XHDTYPE, 2**31
    (tmp_path / "a.tar").write_bytes(info.tobuf() + b"\0" * 2**16)
    assert "header in it is too long" in only_fault(tmp_path / "a.tar")


def test_a_zip_with_a_password_is_left_out_and_said(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jsonl": rows("a")})
    content = path.read_bytes().replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    path.write_bytes(content)
    with pytest.raises(UnreadableData, match="needs a password"):
        look_up(str(path))
