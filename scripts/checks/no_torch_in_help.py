"""``tunesmith --help`` starts at once: neither torch, transformers nor numpy is imported by it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.checks import Fault

HEAVY = ("torch", "transformers", "peft", "accelerate", "numpy", "tokenizers", "huggingface_hub")
COMMANDS = (("--help",), ("train", "--help"), ("--version",))

FIX = "Import it inside the function that needs it; `python -X importtime -m tunesmith.cli.main --help` shows who does."

PROBE = """
import sys
from tunesmith.cli.main import main
status = main(sys.argv[1:])
print("\\n" + " ".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
sys.exit(status)
"""


def faults(root: Path) -> Iterator[Fault]:
    """Yield every heavy package that a help page imports."""
    for command in COMMANDS:
        shown = " ".join(("tunesmith", *command))
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *command],
            env={**os.environ, "PYTHONPATH": str(root / "src")},
            capture_output=True,
            text=True,
        )
        where = Path("src/tunesmith/cli/main.py")
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
            yield Fault(where, 1, f"`{shown}` ended with {done.returncode}: {last}", "Make the command work.")
            continue
        imported = set(done.stderr.strip().splitlines()[-1].split())
        for package in sorted(imported.intersection(HEAVY)):
            yield Fault(where, 1, f"`{shown}` imports {package}", FIX)
