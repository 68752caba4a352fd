"""A hash of eight bytes: of what a run depends on, of the machine, of an example."""

from __future__ import annotations

SIZE = 8
"""Bytes."""


def short_hash(data: bytes) -> bytes:
    """BLAKE2b of `data` with a digest of `SIZE` bytes (RFC 7693).

    From Python's own module where there is one: `hashlib` loads OpenSSL first, a fiftieth of the processor time of a
    command that reads.
    """
    try:
        from _blake2 import blake2b
    except ImportError:  # another Python
        from hashlib import blake2b

    return blake2b(data, digest_size=SIZE).digest()
