"""Errors that users see. Each message names what was wrong, where, and what to do."""

from __future__ import annotations


class FlightcheckError(Exception):
    """Base of everything that Flightcheck raises on purpose."""


class UsageError(FlightcheckError):
    """The command cannot be carried out as given; exit status 2."""


class RunFileError(FlightcheckError):
    """A run file is missing, damaged, or of a newer version."""


class MissingExtra(FlightcheckError):
    """An optional package is needed and not installed."""
