"""Starts a worker, waits for it and writes down how it ended; started as a script, by its path.

    python parent.py <run folder> <working folder> -- <command of the worker>

A run is launched once: of all that would launch it (or give it up), whoever makes ``launched.json`` does. The worker
begins only when ``handle.json`` is on the disk, so that no worker runs of which nobody knows.

It imports the standard library alone, so that it starts in an instant and weighs nothing while the worker runs. It is
the leader of its own session, and the worker leads a process group of its own: the worker's group can be killed as a
whole and the end is still written down. Neither dies with the terminal or with the process that launched them.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping

# ruff: noqa: SIM105 -- contextlib takes longer to import than this process has.

SET_CHILD_SUBREAPER = 36
"""``PR_SET_CHILD_SUBREAPER`` of prctl(2): processes that lose their parent come to us instead of to init."""


def main() -> None:
    """Run the worker of a run folder from its start to its end."""
    folder, working_folder = sys.argv[1:3]
    command = sys.argv[4:]
    if os.fork():
        os._exit(0)  # Whoever launched us has nothing to wait for.
    os.setsid()
    launched = {"parent": describe(os.getpid())}
    if not write(folder, "launched.json", launched, once=True):
        sys.exit(1)
    worker, go = start(folder, working_folder, command)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal_group(worker, number))
    handle = {"folder": folder, "parent": describe(os.getpid()), "worker": describe(worker)}
    if not write(folder, "handle.json", handle):
        sys.exit(1)  # With us goes the other end of the worker's pipe, and with that the worker.
    let_go(go)
    forget_launcher()
    status = wait(worker)
    end_descendants(worker)
    killed = os.WIFSIGNALED(status)
    end = {
        "code": None if killed else os.WEXITSTATUS(status),
        "signal": os.WTERMSIG(status) if killed else None,
        "peak_memory_bytes": peak_memory(),
        "ended_at": time.time(),
    }
    write(folder, "exit.json", end)


def start(folder: str, working_folder: str, command: list[str]) -> tuple[int, int]:
    """Fork the worker into its own group, with the run's log for its output.

    Return its process id, and a pipe: it waits for a byte in it, and ends where there comes none.
    """
    become_subreaper()
    wait_for, go = os.pipe()
    log = os.open(os.path.join(folder, "output.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    worker = os.fork()
    if worker:
        try:
            os.setpgid(worker, worker)
        except OSError:
            pass  # It was faster and did so itself.
        os.close(log)
        os.close(wait_for)
        return worker, go
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(working_folder)
        os.close(go)  # Ours would keep the pipe open when the parent is gone.
        if not os.read(wait_for, 1):
            os._exit(1)
        os.close(wait_for)
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"The worker cannot be started: {error}\n".encode())
    os._exit(78)


def let_go(go: int) -> None:
    """Let the worker begin, unless it has come to its end already: then there is that to write down."""
    try:
        os.write(go, b"!")
    except OSError:
        pass
    os.close(go)


def become_subreaper() -> None:
    """Adopt the worker's orphans, where the system knows how."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def forget_launcher() -> None:
    """Close what was inherited: the launcher waits for the end of our output to know that the worker runs."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def wait(worker: int) -> int:
    """Return the worker's wait status; reap whatever else was adopted meanwhile."""
    while True:
        ended, status = os.wait()
        if ended == worker:
            return status


def end_descendants(worker: int) -> None:
    """Kill what the worker left behind: its group, and the processes of it that were adopted."""
    signal_group(worker, signal.SIGKILL)
    while True:
        for child in children():
            os.kill(child, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def signal_group(worker: int, number: int) -> None:
    """Signal the worker's group, if there is anybody left in it."""
    try:
        os.killpg(worker, number)
    except OSError:
        pass


def children() -> list[int]:
    """Return the processes that have us for a parent."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def peak_memory() -> int:
    """Return the highest memory of the largest process that we waited for, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def describe(pid: int) -> dict[str, object]:
    """Say what tells a process apart from later ones with its id; the same facts as ``runs/liveness.py`` reads."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            started = file.read().rpartition(")")[2].split()[19]
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
    except OSError:
        return {"pid": pid, "started": None, "boot": None}
    return {"pid": pid, "started": started, "boot": boot}


def write(folder: str, name: str, content: Mapping[str, object], *, once: bool = False) -> bool:
    """Write a file of the run folder in one step, ``once``: only if there is none; say whether it was written."""
    draft = os.path.join(folder, f".{name}.{os.getpid()}")
    try:
        with open(draft, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        if once:
            place_once(draft, os.path.join(folder, name))
        else:
            os.replace(draft, os.path.join(folder, name))
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return False
    return True


def place_once(draft: str, path: str) -> None:
    """Give a file its name unless another has it."""
    try:
        os.link(draft, path)
        os.unlink(draft)
    except FileExistsError:
        os.unlink(draft)
        raise
    except OSError:  # Some file systems know no second name for a file: there the name comes before the content.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(draft, path)


if __name__ == "__main__":
    main()
