"""Does the process that writes a run still live? Asked on the machine that it ran on; elsewhere nobody can say."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from flightcheck.recording.short_hash import short_hash


def this_process() -> str:
    """A name of this process: a hash of the machine's name, the number, and when it began (numbers are used again)."""
    return f"{_machine()}:{os.getpid()}:{_began(os.getpid())}"


def is_dead(process: str) -> bool:
    """A process of this name ran on this machine and is gone. False where that cannot be known."""
    machine, _, rest = process.partition(":")
    number, _, began = rest.partition(":")
    if not number.isdigit() or machine != _machine():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it lives, and belongs to somebody else
        pass
    now = _began(int(number))
    return bool(began and now and began != now)


def _machine() -> str:
    import socket  # it takes a part of the start of a command that reads

    names = [socket.gethostname()]
    # Machines may share a name, and containers that of their machine: their processes they do not.
    with suppress(OSError):
        names.append(Path("/etc/machine-id").read_text())
    with suppress(OSError):
        names.append(str(Path("/proc/self/ns/pid").readlink()))
    return short_hash("\n".join(names).encode(errors="replace")).hex()


def _began(process: int) -> str:
    """Clock ticks after the start of the machine (proc(5), field 22 of ``stat``); empty where there is no such file."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
