"""Fixtures of the command line's tests."""

from tests.cli.made import session

__all__ = ["session"]
