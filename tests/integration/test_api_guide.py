"""What the guide of the API prints can be typed, one block after another."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hub_cache import make_classifier
from served import served

GUIDE = Path(__file__).parents[2] / "docs/guides/api.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.M | re.S)


@pytest.mark.slow
def test_every_block_of_the_guide_works(home: Path, tmp_path: Path, tiny_model: Path) -> None:
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    shell = "\n".join(text for language, text in blocks if language == "sh")
    python = [text for language, text in blocks if language == "python"]
    assert shell.count("curl") > 20
    with served(home, folder=tmp_path, TUNESMITH_CPU_SLOTS="2") as server:
        classifier = make_classifier(tmp_path / "classifier", "vit")
        environment = os.environ | {"URL": server.url, "MODEL": str(tiny_model), "CLASSIFIER": str(classifier)}
        said = subprocess.run(
            ["bash", "-exo", "pipefail", "-c", shell], cwd=tmp_path, env=environment, capture_output=True, timeout=240
        )
        assert said.returncode == 0, said.stderr.decode()[-3000:] + said.stdout.decode()[-2000:]
        for text in python:
            subprocess.run([sys.executable, "-c", text], cwd=tmp_path, env=environment, check=True, timeout=60)
