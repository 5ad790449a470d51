"""How much memory it takes to read a million chat rows: as JSON lines, one JSON array, CSV, Parquet and compressed.

    .venv/bin/python benchmarks/data_memory.py [--rows 1000000] [--kinds jsonl,json] [--folder DIR] [--tokens MODEL]

Each file is read in a process of its own, from the file to checked examples; with ``--tokens`` the rows are encoded for
that model and written into the token cache as well, and a second process takes them from there. Prints one line of
JSON for each: bytes on disk, rows, faults, seconds, and the highest resident memory of the process (that of the imports
alone is ``start_mb``); ``own_mb`` is the part of it that no file backs, looked at every few milliseconds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

KINDS = ("jsonl", "json", "csv", "parquet", "jsonl.gz", "zip")
WORDS = tuple(
    [
        "a",
        "model",
        "learns",
        "from",
        "rows",
        "of",
        "text",
        "and",
        "every",
        "answer",
        "ends",
        "where",
        "the",
        "next",
        "question",
        "begins",
    ]
)


def conversations(rows: int) -> Iterator[list[dict[str, str]]]:
    """Yield conversations of about 300 bytes, none like another."""
    chance = random.Random(1)
    for number in range(rows):
        question, answer = (" ".join(chance.choices(WORDS, k=length)) for length in (14, 22))
        yield [
            {"role": "user", "content": f"Row {number}: {question}?"},
            {"role": "assistant", "content": f"{answer}."},
        ]


def write(path: Path, rows: int) -> None:
    """Write the rows as the name of the file says."""
    kind = path.name.partition(".")[2]
    with ExitStack() as closing:
        if kind == "parquet":
            write_parquet(path, rows)
        elif kind == "zip":
            archive = closing.enter_context(zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED))
            inside = closing.enter_context(archive.open("chat.jsonl", "w"))
            inside.writelines(f"{json.dumps({'messages': turns})}\n".encode() for turns in conversations(rows))
        elif kind == "jsonl.gz":
            packed = closing.enter_context(gzip.open(path, "wt", compresslevel=1))
            packed.writelines(f"{json.dumps({'messages': turns})}\n" for turns in conversations(rows))
        else:
            file = closing.enter_context(path.open("w"))
            file.writelines(pieces(kind, rows))


def pieces(kind: str, rows: int) -> Iterator[str]:
    """Yield the text of a file piece by piece."""
    if kind == "csv":
        yield "question,answer\n"
        yield from (f'"{turns[0]["content"]}","{turns[1]["content"]}"\n' for turns in conversations(rows))
    elif kind == "json":
        for number, turns in enumerate(conversations(rows)):
            yield f"{',' if number else '['}\n{json.dumps({'messages': turns})}"
        yield "\n]\n"
    else:
        yield from (f"{json.dumps({'messages': turns})}\n" for turns in conversations(rows))


def write_parquet(path: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema([("messages", pa.list_(turn))])
    source = conversations(rows)
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, 100_000):
            size = min(100_000, rows - first)
            writer.write_table(pa.table({"messages": [next(source) for _ in range(size)]}, schema=schema))


def peak_mb() -> float:
    """Return this program's own peak; ``ru_maxrss`` begins with that of whoever started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Watch(threading.Thread):
    """Looks at this process' own memory, without the pages of mapped files, which can be dropped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.005):
            found = Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()
            self.highest = max(self.highest, int(found[0]) / 1024)

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self.highest


def read(path: Path, model: str | None, cache: Path | None) -> dict[str, Any]:
    """Read one file in this process."""
    from tunesmith.data.mixture import read as examples
    from tunesmith.spec.errors import RowFault
    from tunesmith.spec.job import DatasetRef

    started, start_mb, watch = time.monotonic(), peak_mb(), Watch()
    watch.start()
    data = [DatasetRef(uri=str(path))]
    rows = faults = 0
    cached = False
    if model and cache:
        rows, faults, cached = tokenised(data, model, cache)
    else:
        for example in examples(data):
            if isinstance(example, RowFault):
                faults += 1
            else:
                rows += 1
    return {
        "file": path.name,
        "mb": round(path.stat().st_size / 1e6, 1),
        "rows": rows,
        "faults": faults,
        "seconds": round(time.monotonic() - started, 1),
        "start_mb": round(start_mb),
        "peak_mb": round(peak_mb()),
        "own_mb": round(watch.stop()),
        "cached": cached,
    }


def tokenised(data: list[Any], model: str, cache: Path) -> tuple[int, int, bool]:
    from tunesmith.data.prepare import prepare
    from tunesmith.modalities import MODALITIES

    modality = MODALITIES["text"]
    encoder = modality.encoder(Path(model), modality.options.model_validate({}))
    found = prepare(
        data,
        encoder,
        cache_dir=cache,
        length=None,
        split=0.1,
        split_typed=False,
        seed=42,
        strict=False,
        drop_duplicates=False,
        length_chosen=False,
        progress=lambda *_: None,
    )
    return found.rows, found.faults.count, found.cached


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--kinds", default=",".join(KINDS))
    asked.add_argument("--folder", type=Path, help="where the files are made, and kept")
    asked.add_argument("--tokens", metavar="MODEL", help="folder of a model for which the rows are encoded")
    asked.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    asked.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.read:
        print(json.dumps(read(given.read, given.tokens, given.cache)), flush=True)
        return
    with tempfile.TemporaryDirectory() as aside:
        folder = given.folder or Path(aside)
        folder.mkdir(parents=True, exist_ok=True)
        for kind in given.kinds.split(","):
            path = folder / f"chat-{given.rows}.{kind}"
            if not path.exists():
                write(path, given.rows)
            model = ["--tokens", given.tokens, "--cache", str(Path(aside) / f"cache-{kind}")] if given.tokens else []
            for _ in range(2 if given.tokens else 1):
                subprocess.run([sys.executable, __file__, "--read", str(path), *model], check=True)


if __name__ == "__main__":
    main()
