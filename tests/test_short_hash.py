"""The hash of eight bytes is BLAKE2b, whichever module computes it."""

from __future__ import annotations

import hashlib
import sys

import pytest

from flightcheck.recording.short_hash import short_hash

DATA = [b"", b"abc", b"x" * 1000]


@pytest.mark.parametrize("data", DATA)
def test_it_is_that_of_hashlib(data: bytes) -> None:
    assert short_hash(data) == hashlib.blake2b(data, digest_size=8).digest()


@pytest.mark.parametrize("data", DATA)
def test_another_python_has_only_hashlib(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setitem(sys.modules, "_blake2", None)
    assert short_hash(data) == hashlib.blake2b(data, digest_size=8).digest()
