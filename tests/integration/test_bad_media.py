"""Pictures and sounds that cannot be trained on, as a user meets them: one sentence, its exit code, nothing written."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Call, tunesmith
from data.drawn import as_bytes, draw_into, drawn
from integration.conftest import Here
from made_scenes import make_detector, write_scenes
from made_sounds import make_whisper, tones, write_sound, write_speech
from modalities.vision.test_families import write as make_classifier
from picture_models import make_talker

__all__ = ["tunesmith"]

Make = Callable[[Path], Path]
MODELS: dict[str, Make] = {
    "classifier": partial(make_classifier, model_type="vit"),
    "detector": make_detector,
    "whisper": make_whisper,
    "talker": partial(make_talker, kind="llava", side=56),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Path]:
    made = {kind: make(tmp_path_factory.mktemp(kind) / "model") for kind, make in MODELS.items()}
    return {**made, "text": tiny_model}


# --- what is wrong with the data ---


def rows(at: Path, found: list[dict[str, object]]) -> Path:
    draw_into(at, [f"{number}.png" for number in range(len(found))])
    file = at / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in found))
    return file


def classes(at: Path, names: str = "black white") -> Path:
    return draw_into(at / "set", [f"{name}/{number}.png" for name in names.split() for number in range(4)])


def with_file(at: Path, name: str, content: bytes) -> Path:
    """Folders of two classes, and one more picture."""
    (classes(at) / name).write_bytes(content)
    return at / "set"


def of_files(at: Path, content: bytes, ending: str) -> Path:
    """Folders of two classes whose pictures are all the same bytes."""
    for name in ("black", "white"):
        (at / "set" / name).mkdir(parents=True)
        for number in range(2):
            (at / "set" / name / f"{number}.{ending}").write_bytes(content)
    return at / "set"


def png_that_says(width: int, height: int) -> bytes:
    """A small file that says that it holds a picture of this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(2**16))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def cut_off() -> bytes:
    content = as_bytes(drawn(width=64, height=64), "JPEG")
    return content[: len(content) // 2]


def bomb(at: Path) -> Path:
    """A small archive with a picture of 300 MiB, and one of nothing."""
    at.mkdir()
    with zipfile.ZipFile(at / "set.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("black/0.png", "w") as file:
            for _ in range(300):
                file.write(bytes(2**20))
        archive.writestr("white/0.png", b"nothing")
    assert (at / "set.zip").stat().st_size < 4 * 2**20
    return at / "set.zip"


def slips(at: Path) -> Path:
    """An archive of files that lie beside the folder that it would be unpacked into."""
    at.mkdir()
    with zipfile.ZipFile(at / "set.zip", "w") as archive:
        for number, name in enumerate(["../black/0.png", "../white/0.png", "/tmp/evil/1.png"]):
            archive.writestr(name, as_bytes(drawn(number)))
    return at / "set.zip"


def scenes(at: Path, said: str | None = None, *, boxes: str | None = None, moved: bool = False) -> Path:
    """A set of YOLO, with another data.yaml, with these boxes on every picture, or with its folders elsewhere."""
    folder = write_scenes(at / "scenes", train=4, val=1, size=64)
    if said is not None:
        (folder / "data.yaml").write_text(said)
    if boxes is not None:
        for file in (folder / "labels" / "train").iterdir():
            file.write_text(boxes)
    if moved:
        for name in ("images", "labels"):
            (folder / name).rename(folder / f"other-{name}")
    return folder


def recordings(at: Path, samples: np.ndarray, *, texts: str = "ab cd") -> Path:
    folder = write_speech(at / "set", texts.split())
    for number in range(len(texts.split())):
        write_sound(folder / f"{number}.wav", samples)
    return folder


def without_transcript(at: Path) -> Path:
    folder = recordings(at, tones("ab"))
    (folder / "metadata.csv").write_text("file_name,transcription\n0.wav,\n1.wav,\n")
    return folder


def empty_class(at: Path) -> Path:
    (classes(at) / "grey").mkdir()
    return at / "set"


TALK = {"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Good day."}]}
CAPTION: dict[str, object] = {"image": "0.png", "caption": "a cat"}
QUESTION: dict[str, object] = {"image": "0.png", "question": "What?", "answer": "A cat."}
OUTSIDE = "path: /nowhere/else\nnames: [a, b, c]\ntrain: images/train\nval: images/val\n"
TAG = "names: !!python/object/apply:os.system ['touch evil']\ntrain: images/train\n"
CASES: dict[str, tuple[str, Make, str]] = {
    "a text model and captioned pictures": ("text", partial(rows, found=[CAPTION] * 4), "it reads text alone"),
    "a text model and classes of pictures": ("text", classes, "it reads text alone"),
    "a picture model and chats": ("classifier", partial(rows, found=[TALK] * 4), "a conversation cannot be used"),
    "a picture model and captions": ("classifier", partial(rows, found=[CAPTION] * 4), "Put the pictures of each"),
    "a detector and classes": ("detector", classes, "image-classification"),
    "a bomb": ("classifier", bomb, "it unpacks to more than 200 times its size"),
    "names that point out of an archive": ("classifier", slips, "its name points out of the archive"),
    "a set that says it lies elsewhere": (
        "detector", partial(scenes, said=OUTSIDE, moved=True), "leads to no pictures of the set",
    ),
    "a tag of Python": ("detector", partial(scenes, said=TAG), "it is not plain YAML: could not determine"),
    "a folder of one class": ("classifier", partial(classes, names="black"), "two folders at least"),
    "a train folder of one class": (
        "classifier", partial(classes, names="train/black val/black"), "it has: black",
    ),
    "labels of one class": (
        "classifier", partial(rows, found=[{"image": f"{n}.png", "label": "cat"} for n in range(4)]),
        "the training rows have: 'cat'",
    ),
    "an empty class": ("classifier", empty_class, "the folder of class 'grey' holds no picture"),
    "a picture of 40,000 pixels a side": (
        "classifier", partial(of_files, content=png_that_says(40_000, 40_000), ending="png"), "100,000,000 pixels",
    ),
    "a truncated picture": ("classifier", partial(of_files, content=cut_off(), ending="jpg"), "truncated"),
    "a box outside": ("detector", partial(scenes, boxes="0 0.9 0.5 0.4 0.2\n"), "box 1 reaches beyond the picture"),
    "a box of no class": ("detector", partial(scenes, boxes="7 0.5 0.5 0.4 0.2\n"), "class 7, and the classes are 0"),
    "an empty box": ("detector", partial(scenes, boxes="0 0.5 0.5 0 0.2\n"), "box 1 is empty"),
    "silence": ("whisper", partial(recordings, samples=np.zeros(16_000, np.float32)), "it is silent"),
    "a recording that is too long": ("whisper", partial(recordings, samples=tones("ab" * 20)), "2 s is the most"),
    "a missing transcript": ("whisper", without_transcript, "'transcription' is empty"),
}  # fmt: skip
"""The model, the data, and what the sentence says."""
OF_ANOTHER_KIND = {"a detector and classes": 78}
"""Exit codes where the model is what must be changed; else the data is."""


def refused(
    tunesmith: Call, capsys: pytest.CaptureFixture[str], model: Path, data: Path, *flags: str, status: int = 65
) -> str:
    """Train on data that cannot be; return the sentence."""
    output = data.parent / "out"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    before = sorted(data.parents[1].rglob("*"))
    capsys.readouterr()
    said = tunesmith(
        "train", "--model", str(model), "--data", str(data), "--output", str(output), "--device", "cpu", *flags
    )
    assert said.status == status, said.err
    [sentence] = said.err.splitlines()
    assert sentence.startswith("Error: ")
    assert sentence.endswith((".", "`."))
    assert [file.name for file in output.iterdir()] == ["notes.txt"]
    written = [file for file in sorted(data.parents[1].rglob("*")) if file not in before]
    assert not [file for file in written if not file.is_relative_to(data.parents[1] / "home")]
    return sentence


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_one_sentence_and_nothing_is_written(
    case: str, models: dict[str, Path], tunesmith: Call, capsys: pytest.CaptureFixture[str], here: Here, home: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    kind, make, words = CASES[case]
    status = OF_ANOTHER_KIND.get(case, 65)
    assert words in refused(tunesmith, capsys, models[kind], make(tmp_path / "data"), status=status)


def test_tokens_of_pictures_that_a_length_would_cut_are_said_before_training(
    models: dict[str, Path], tunesmith: Call, capsys: pytest.CaptureFixture[str], here: Here, home: Path, tmp_path: Path
) -> None:
    data = rows(tmp_path / "data", [{**QUESTION, "image": f"{number}.png"} for number in range(4)])
    sentence = refused(tunesmith, capsys, models["talker"], data, "--max-seq-length", "16")
    assert "a length of 16 tokens would cut the pictures of 4 row(s)" in sentence


FAULTS: dict[str, tuple[str, Make, str]] = {
    "a truncated picture": ("classifier", partial(with_file, name="black/9.jpg", content=cut_off()), "truncated"),
    "a picture of 40,000 pixels a side": (
        "classifier", partial(with_file, name="black/9.png", content=png_that_says(40_000, 40_000)), "100,000,000",
    ),
    "an empty file": ("classifier", partial(with_file, name="black/9.png", content=b""), "the file is empty"),
}  # fmt: skip
"""One fault among rows that are sound."""


@pytest.mark.parametrize("case", FAULTS)
def test_one_fault_ends_a_strict_job_and_is_named_by_a_check(
    case: str, models: dict[str, Path], tunesmith: Call, capsys: pytest.CaptureFixture[str], here: Here, home: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    kind, make, words = FAULTS[case]
    data = make(tmp_path / "data")
    assert words in refused(tunesmith, capsys, models[kind], data, "--strict")
    checked = tunesmith("data", "check", str(data), "--model", str(models[kind]))
    assert (checked.status, checked.err) == (65, "")
    assert words in checked.out


def test_a_name_that_points_out_of_an_archive_is_left_out_of_sound_data_and_said(
    tunesmith: Call, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data" / "set.zip", "w") as archive:
        for number, name in enumerate(["black/0.png", "black/1.png", "white/0.png", "white/1.png", "../../evil.png"]):
            archive.writestr(name, as_bytes(drawn(number)))
    said = tunesmith("data", "check", str(tmp_path / "data" / "set.zip"))
    assert said.status == 0
    assert "set.zip/../../evil.png is left out: its name points out of the archive." in " ".join(said.out.split())
    assert not list(tmp_path.rglob("evil.png"))
