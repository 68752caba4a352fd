"""Which folders lie on a disk that other machines write, too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = re.compile(
    r"nfs|nfs4|cifs|smb3?|smbfs|ncpfs|afs|9p|ceph|lustre|gpfs|beegfs|pvfs2|ocfs2|gfs2|vboxsf|virtiofs|fuse\..+"
)
"""File systems of several machines, or of a host and its guests. What runs in user space (``fuse.sshfs``,
``fuse.glusterfs``) is taken for one, too: a local one loses nothing by it."""


def on_network_disk(folder: Path) -> bool:
    """Another machine may write this folder, so that memory and locks of SQLite are not shared by all who use it.

    Known on Linux only; elsewhere every disk is taken for one of this machine. The folder need not be there yet.
    """
    try:
        wanted = folder.resolve()
        kinds = {}
        for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            before, _, after = line.partition(" - ")
            kinds[Path(_plain(before.split()[4]))] = after.split()[0]  # a later mount on the same place hides the other
    except (OSError, ValueError, IndexError):
        return False
    place = next((p for p in (wanted, *wanted.parents) if p in kinds), None)
    return place is not None and _NETWORK.fullmatch(kinds[place]) is not None


def _plain(text: str) -> str:
    """A path as the kernel writes it: blanks and such are octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
