"""TensorBoard in a process that ends with the one that started it: when its stdin closes, it is over.

Started as ``python -m tunesmith.service.system.charts_process --logdir ...``; whoever holds the other end of stdin
need not stop it, and a kill of that process ends this one too.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def main() -> None:
    """Become TensorBoard, with the arguments that were given."""
    threading.Thread(target=_end_with_starter, daemon=True).start()
    sys.argv[0] = "tensorboard"
    runpy.run_module("tensorboard.main", run_name="__main__")


def _end_with_starter() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
