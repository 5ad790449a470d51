"""llama.cpp in a process of its own: ``python -m tunesmith.worker.export.llama_server FILE SOCKET POSITIONS``.

It takes over the signals of its process, and its end can wait for ever with the interpreter's lock in its hand; so it
is given a process that can be killed. It says ``ready`` when the file is open, and lives until its input ends.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def main(file: str, place: str, positions: str) -> None:
    """Answer on a Unix socket for as long as somebody holds the other end of the standard input."""
    import xllamacpp  # type: ignore[import-untyped]

    server = xllamacpp.Server(_parameters(file, place, int(positions)))
    print("ready", flush=True)
    while os.read(0, 4096):
        pass
    assert server is not None
    os._exit(0)


def _parameters(file: str, place: str, positions: int) -> Any:
    """Return how the file is opened: on the CPU, one request at a time, in 32 bits where llama.cpp has the choice."""
    import xllamacpp

    chosen = xllamacpp.CommonParams()
    chosen.model.path = file
    chosen.hostnames = [place]
    chosen.n_ctx = positions
    chosen.n_parallel = 1
    chosen.n_gpu_layers = 0
    for threads in (chosen.cpuparams, chosen.cpuparams_batch):
        threads.n_threads = os.cpu_count() or 1
        threads.poll = 0  # Threads that spin while they wait make two busy programs ten times slower.
    chosen.cache_type_k = chosen.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    chosen.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    chosen.cache_ram_mib = 0
    chosen.fit_params = chosen.warmup = chosen.ui = False
    chosen.verbosity = -1
    chosen.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    return chosen


if __name__ == "__main__":
    main(*sys.argv[1:])
