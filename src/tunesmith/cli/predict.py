"""``tunesmith predict``: show pictures and recordings to a model, and print what it says of each."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import click

from tunesmith.cli.text_option import whole_text


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top-k", type=click.IntRange(1, 1000), metavar="N", help="Classes named. Default: 5.")
@click.option("--threshold", type=click.FloatRange(0, 1), metavar="P", help="Smallest chance of a thing that is found.")
@click.option("--text", type=whole_text, metavar="TEXT", help="The question, for a model that answers about pictures.")
@click.option("--label", "labels", multiple=True, type=whole_text, metavar="TEXT", help="A text to compare with.")
@click.option("--language", metavar="CODE", help="What is spoken, such as en. Default: as the model was trained.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each file.")
def command(*, model: str, files: tuple[Path, ...], as_json: bool, labels: tuple[str, ...], **told: Any) -> int:
    """Show pictures or recordings to a model: a folder, a pulled name, a run, or what a server calls it.

    What it says depends on the model: classes with their chances, things and where they are, what is said, or an
    answer. The model is loaded once for all files, unless a server has it.

    \b
    tunesmith predict ./shapes picture.png
    tunesmith predict whisper-tiny-en recording.wav --json
    """
    from tunesmith.cli.terminal import current_settings, printable
    from tunesmith.service.serving.sought import session_with

    said = {name: value for name, value in {**told, "labels": list(labels) or None}.items() if value is not None}
    shown = [(file, _read(file)) for file in files]
    with session_with(current_settings(), model, way="predict") as session:
        for file, content in shown:
            answer = session.predict({"content": base64.b64encode(content).decode(), **said})
            if as_json:
                click.echo(json.dumps({"file": str(file), **answer}, ensure_ascii=False))
            else:
                click.echo(printable(f"{file}: {_words(answer)}"))
    return 0


def _read(file: Path) -> bytes:
    """Return what a file holds.

    Raises:
        DataNotFound: it is not there.
        ContentTooLarge, UnreadableContent: it is too large, empty, or a folder.
    """
    from tunesmith.service.serving.showing import MOST_BYTES, bounded
    from tunesmith.spec.errors import DataNotFound, UnreadableContent

    if file.is_dir():
        raise UnreadableContent(f"it is a folder, whose files are to be named: {file / '*'}", str(file))
    if not file.is_file():
        raise DataNotFound(str(file), "Give a picture or a recording")
    with file.open("rb") as opened:
        return bounded(opened.read(MOST_BYTES + 1), str(file))


def _words(answer: dict[str, Any]) -> str:
    """Say in a line what a model says."""
    if "text" in answer:
        return str(answer["text"])
    if "boxes" in answer:
        found = [f"{each['label']} {each['score']:.2f} {_box(each['box'])}" for each in answer["boxes"]]
        return "; ".join(found) or "nothing"
    return ", ".join(f"{each['label']} {each['score']:.3f}" for each in answer.get("labels", []))


def _box(box: list[float]) -> str:
    return "[" + ", ".join(f"{side:.0f}" for side in box) + "]"
