"""Changes of one small file by several processes, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for this file; the lock ends with the process that holds it.

    The lock is a file beside it, because the file itself is replaced by what is written.

    Raises:
        OSError: nothing can be written beside the file.
    """
    try:
        import fcntl
    except ImportError:  # Windows: there the user sees to it
        yield
        return
    with file.with_name(f".{file.name}.lock").open("w") as lock:
        with suppress(OSError):  # a network disk without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
