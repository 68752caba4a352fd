"""The installed version."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """As in the package's metadata; ``0`` when run from a folder that was never installed."""
    try:
        return metadata.version("flightcheck")
    except metadata.PackageNotFoundError:
        return "0"
