"""What is tested every time, and what only by ``make thorough``, which takes an hour."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

Kind = TypeVar("Kind")

THOROUGH = bool(os.environ.get("FLIGHTCHECK_THOROUGH"))


def chosen(every: Iterable[Kind], every_time: Iterable[Kind]) -> list[Kind]:
    """All kinds of a test if it is to be thorough, else those of every time, which must be among them."""
    all_of_them, some = list(every), list(every_time)
    assert all(kind in all_of_them for kind in some)
    return all_of_them if THOROUGH else some
