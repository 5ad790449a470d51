from __future__ import annotations

import subprocess
import sys

import torch

from tunesmith.training.device import peak_memory

ASK = "import torch; from tunesmith.training.device import peak_memory; print(peak_memory(torch.device('cpu')))"


def test_the_most_memory_is_that_of_this_process_and_not_of_the_one_that_started_it():
    held = bytearray(1 << 29)
    held[::4096] = b"x" * len(held[::4096])
    peak = peak_memory(torch.device("cpu"))
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert len(held) < peak
    assert int(done.stdout) < peak - len(held) // 2
