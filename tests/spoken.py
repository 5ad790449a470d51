"""Real speech from Debian's packages: prompts with transcripts, and digits that a synthesiser speaks.

The packages are fetched with ``apt-get download`` and unpacked into the test's own folder; nothing is installed.
"""

from __future__ import annotations

import csv
import gzip
import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from require import need

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PROMPTS = ("asterisk-core-sounds-en", "asterisk-core-sounds-en-wav")
SYNTHESISER = (
    "espeak-ng", "espeak-ng-data", "libespeak-ng1", "libpcaudio0", "libsonic0", "libportaudio2",
)  # fmt: skip


@dataclass(frozen=True)
class Prompt:
    """A recording, and what is said in it."""

    file: Path
    text: str


def unpacked(packages: tuple[str, ...], folder: Path) -> Path:
    """The contents of Debian's packages."""
    need(shutil.which("apt-get") is not None and shutil.which("dpkg") is not None, "no apt-get to fetch packages with")
    folder.mkdir(parents=True, exist_ok=True)
    got = subprocess.run(["apt-get", "download", *packages], cwd=folder, capture_output=True, text=True, timeout=300)
    need(got.returncode == 0, f"Debian's packages {', '.join(packages)} cannot be had: {got.stderr[-200:]}")
    for file in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", file.name, "."], cwd=folder, check=True)
    return folder


def prompts(folder: Path) -> list[Prompt]:
    """The prompts of Asterisk that are words, shuffled."""
    root = unpacked(PROMPTS, folder)
    files = {file.stem: file for file in root.glob("usr/share/asterisk/sounds/*/*.wav")}
    found = []
    said = gzip.decompress((root / "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz").read_bytes())
    for line in said.decode().splitlines():
        name, _, text = line.strip().partition(": ")
        if name in files and text and "[" not in text and 16_000 < files[name].stat().st_size < 320_000:
            found.append(Prompt(files[name], " ".join(text.split())))
    random.Random(0).shuffle(found)
    return found


def write_prompts(folder: Path, sides: dict[str, list[Prompt]]) -> Path:
    """A folder for each side, with ``metadata.csv`` beside the recordings."""
    for side, chosen in sides.items():
        (folder / side).mkdir(parents=True)
        with (folder / side / "metadata.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file_name", "transcription"])
            for prompt in chosen:
                shutil.copyfile(prompt.file, folder / side / prompt.file.name)
                rows.writerow([prompt.file.name, prompt.text])
    return folder


def write_digits(folder: Path, sides: dict[str, tuple[str, ...]], scratch: Path) -> Path:
    """``side/digit/voice-speed.wav``: digits spoken by these voices."""
    root = unpacked(SYNTHESISER, scratch)
    library = next(root.rglob("libespeak-ng.so.1")).parent
    data = next(root.rglob("phontab")).parent
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library), "ESPEAK_DATA_PATH": str(data.parent)}
    for side, voices in sides.items():
        for digit in DIGITS:
            (folder / side / digit).mkdir(parents=True)
            for voice in voices:
                for speed in (130, 160, 190):
                    file = folder / side / digit / f"{voice.replace('+', '-')}-{speed}.wav"
                    command = [root / "usr/bin/espeak-ng", f"--path={data.parent}", "-v", voice, "-s", str(speed)]
                    subprocess.run([*command, "-w", file, digit], env=environment, check=True, capture_output=True)
    return folder
