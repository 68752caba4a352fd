"""The lines that decide which examples stand where, written into the run."""

from __future__ import annotations

from collections.abc import Iterable

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.batches import OrderUse
from flightcheck.recording.provenance import Order
from flightcheck.recording.records import Location


def recorded_orders(watch: Watch, orders: Iterable[Order]) -> list[Location]:
    """The lines that make these orders; where another line uses one, that is recorded too."""
    found = []
    for made, used in orders:
        found.append(watch.lines.of(*made))
        if used != made:
            watch.writer.append(OrderUse(found[-1], watch.lines.of(*used)))
    return found
