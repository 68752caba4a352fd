"""Fixtures of the tests of views."""

from tests.harmless.conftest import server

__all__ = ["server"]
