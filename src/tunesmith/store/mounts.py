"""Which file system a path lies on: SQLite's write-ahead log needs memory that all its users share."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mounts")
NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "fuse.sshfs",
     "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.juicefs", "fuse.davfs2", "davfs"}
)  # fmt: skip
"""File systems that other machines may write to at the same time (https://www.sqlite.org/wal.html, section 1)."""


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the kind of network file system that a path lies on; None for a local one, or where nobody can tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    where = os.path.realpath(path)
    found, longest = None, -1
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        # The table writes blanks and backslashes in octal.
        mounted = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        inside = where == mounted or where.startswith(mounted.rstrip("/") + "/")
        if inside and len(mounted) >= longest:
            found, longest = fields[2], len(mounted)
    return found if found in NETWORK else None
