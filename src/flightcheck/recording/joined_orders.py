"""Record of lines that put rows of two tables beside each other, which were drawn in two orders."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class JoinedOrders:
    """A line that joins what was made of one table's rows with what was made of another's: a condition and what is to
    have it.
    """

    location: Location
    calls: int = 0
    """Calls in the learning pass in which rows of two tables of equal length met, as many of one as of the other."""
    apart: int = 0
    """Of these, those in which the rows were drawn as different ones."""
    same_places: float = 0.0
    """Share of the rows, over these calls, in which both drew the same number."""
    one: Location | None = None
    """The line that constructs the loader of the first table, or picks rows of it."""
    other: Location | None = None
    """The same of the other one."""
    picked: bool = False
    """No loaders: the script picks the rows by numbers of its own."""
    examples: int = 0
    """Rows of each table."""
    pairs: int = 0
    """Numbers of which the rows of both tables were seen."""
    related: float = 0.0
    """Largest absolute correlation of the ranks of a column of one with those of a column of the other, or with how far
    they are from the middle, in these pairs …"""
    neighbours: float = 0.0
    """… the same two columns, of rows with the next number …"""
    joined: float = 0.0
    """… and of the rows that were joined."""
    tables: list[int] = field(default_factory=list)
    """Which two, among those of all such lines."""


RECORDS[JoinedOrders.__name__] = JoinedOrders
