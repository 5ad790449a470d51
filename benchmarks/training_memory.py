"""How much memory training takes, beside what the plan said: each method and optimizer in a run of its own.

    .venv/bin/python benchmarks/training_memory.py [--only lora,qlora] [--length 512] [--json FILE]

Every row is as long as it may be and all of it is trained, so that the micro-batches are as full as the plan reckons.
What counts is memory that cannot be dropped (``RssAnon``); pages of mapped files, such as the model's, can. The worker
is looked at every few milliseconds, so a peak that is shorter is missed. On Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from training_speed import ALL_LINEAR, RANK, WORDS, find_model

CASES = {
    "lora": ["--method", "lora"],
    "lora recomputing": ["--method", "lora", "--gradient-checkpointing"],
    "lora fp32": ["--method", "lora", "--precision", "fp32"],
    "lora-8bit": ["--method", "lora-8bit"],
    "qlora": ["--method", "qlora"],
    "qlora kept": ["--method", "qlora", "--no-gradient-checkpointing"],
    "full adamw_torch": ["--method", "full"],
    "full adamw_bnb_8bit": ["--method", "full", "--optimizer", "adamw_bnb_8bit"],
    "full adafactor": ["--method", "full", "--optimizer", "adafactor"],
}
TOKENS = 1024
"""Tokens of a step, all computed at once."""
EVERY = 0.005
"""Seconds between two looks."""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--model", help="folder of a SmolLM2-135M-Instruct (default: the pulled one)")
    asked.add_argument("--only", help="comma list of " + ", ".join(CASES))
    asked.add_argument("--length", type=int, default=512, help="tokens of each row")
    asked.add_argument("--json", help="also write the figures into this file")
    given = asked.parse_args()
    model = find_model(given.model)
    found = {}
    with tempfile.TemporaryDirectory(prefix="tunesmith-memory-", ignore_cleanup_errors=True) as scratch:
        rows = write_rows(Path(scratch), given.length)
        for name in given.only.split(",") if given.only else CASES:
            found[name] = measure(name, model, rows, Path(scratch), given.length)
            show(name, found[name])
    if given.json:
        Path(given.json).write_text(json.dumps(found))


def write_rows(folder: Path, length: int) -> Path:
    """Write rows of more words than ``length``: each is cut there."""
    random.seed(0)
    words = WORDS.split()
    turns = [
        [
            {"role": "user", "content": f"Row {number}"},
            {"role": "assistant", "content": " ".join(random.choices(words, k=length))},
        ]
        for number in range(64)
    ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns))
    return path


def measure(name: str, model: Path, rows: Path, scratch: Path, length: int) -> dict[str, Any]:
    home = scratch / name.replace(" ", "-")
    command = [str(Path(sys.executable).with_name("tunesmith")), "train", "--json", "--skip-test", "--no-tensorboard"]
    command += ["--model", str(model), "--data", str(rows), "--output", str(home / "result"), "--max-steps", "3"]
    command += ["--batch-size", str(TOKENS // length), "--gradient-accumulation-steps", "1"]
    command += ["--max-seq-length", str(length), "--validation-split", "0", "--save-steps", "1000", *CASES[name]]
    if "full" not in name:
        command += ["--lora-r", str(RANK), "--target-modules", ",".join(ALL_LINEAR)]
    environment = {**os.environ, "TUNESMITH_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        seen = watch(running, home)
        _, said = running.communicate()
    if running.returncode:
        raise SystemExit(f"tunesmith failed ({running.returncode}): {said.decode()[-2000:]}")
    run = next((home / "runs").iterdir())
    plan = json.loads((run / "plan.json").read_text())
    steps = [event for event in map(json.loads, (run / "events.jsonl").open()) if event["kind"] == "step"]
    return {
        "anonymous": seen["RssAnon"],
        "loading": seen["loading"],
        "resident": seen["VmHWM"],
        "estimate": plan["memory"],
        "micro_tokens": plan["spec"]["recipe"]["batch"]["micro_tokens"],
        "said_tokens_per_second": plan["execution"]["tokens_per_second"],
        "tokens_per_second": steps[-1]["tokens"] / steps[-1]["seconds"],
    }


def watch(running: subprocess.Popen[bytes], home: Path) -> dict[str, int]:
    """Look at the worker until it ends: its highest memory in bytes, and that before the first step as ``loading``."""
    highest = {"RssAnon": 0, "VmHWM": 0, "loading": 0}
    status, events = None, None
    while running.poll() is None:
        time.sleep(EVERY)
        handle = next(home.glob("runs/*/handle.json"), None)
        if status is None and handle is not None:
            status = Path("/proc") / str(json.loads(handle.read_text())["worker"]["pid"]) / "status"
            events = handle.with_name("events.jsonl")
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines()) if status else {}
            begun = events is not None and '"kind":"started"' in events.read_text()
        except OSError:
            continue
        for name in {"RssAnon", "VmHWM"} & fields.keys():
            highest[name] = max(highest[name], int(fields[name].split()[0]) * 1024)
        if not begun:
            highest["loading"] = highest["RssAnon"]
    return highest


def show(name: str, found: dict[str, Any]) -> None:
    parts = found["estimate"]
    estimate = sum(parts[part] for part in ("weights", "gradients", "optimizer", "activations", "logits", "overhead"))
    print(
        f"{name:20} {found['micro_tokens']:5} tokens: measured {found['anonymous'] / 2**20:6.0f} MiB "
        f"(loading {found['loading'] / 2**20:.0f}, resident {found['resident'] / 2**20:.0f}), "
        f"estimated {estimate / 2**20:6.0f} ({estimate / found['anonymous'] - 1:+.0%}); "
        + ", ".join(f"{part} {parts[part] / 2**20:.0f}" for part in parts if part != "available")
        + f"; {found['tokens_per_second']:.0f} tok/s, said {found['said_tokens_per_second']:.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
