"""Runs a command for as long as its starter lives: ``python tether.py COMMAND...``, with a pipe as standard input.

When the pipe closes, because the starter let go of it or is gone, the command and all that it started are ended. It
runs by itself (``python -S -E``), so it imports nothing but the standard library.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE = 10.0
"""Seconds between the request to end and the end."""


def main(command: list[str]) -> int:
    """Run the command in a process group of its own; return its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_the_pipe, args=(child,), daemon=True).start()
    return child.wait()


def _end_with_the_pipe(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
