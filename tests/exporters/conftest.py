"""Fixtures of the exporters' tests."""

from tests.exporters.made import tracker

__all__ = ["tracker"]
