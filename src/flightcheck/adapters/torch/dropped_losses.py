"""Losses that a loop computes one after another under one name, so that backward gets the last one only."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import nodes_of
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.dropped_losses import DroppedLoss
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.provenance.overwritten import overwritten_in_loop

_MOST_CALLS: Final = 512
"""Of a round, to be looked at."""
_MOST_NODES: Final = 20_000


class DroppedLosses:
    """Looks at the losses of each round in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._round: dict[int, list[tuple[Any, int]]] = {}
        """Site → its losses of this round: their nodes, and where their targets lie."""
        self._met: set[Any] = set()
        """Nodes of losses of this round that a backward reached."""
        self._elsewhere = False
        """Gradients were asked for in another way in this round: what backward reaches is not all that counts."""
        self._backwards = 0
        self._known: dict[int, DroppedLoss] = {}

    def made(self, site: LossSite, result: torch.Tensor, target: torch.Tensor) -> None:
        """A loss function returned `result`, with its graph."""
        here = self._round.setdefault(site.index, [])
        if result.numel() == 1 and result.grad_fn is not None and len(here) < _MOST_CALLS:
            here.append((result.grad_fn, target.data_ptr()))
            if site.index not in self._known and site.location is not None:
                name = overwritten_in_loop(site.location.file, site.location.line)
                self._known[site.index] = DroppedLoss(site.index, site.location, name, self._watch.step)

    def reached(self, loss: torch.Tensor) -> None:
        """Backward is called on `loss`."""
        self._backwards += 1
        wanted = {node for calls in self._round.values() for node, _ in calls} - self._met
        if not any(len(calls) > 1 for calls in self._round.values()) or loss.grad_fn is None:
            return
        for node in nodes_of(loss.grad_fn, _MOST_NODES):
            if node in wanted:
                self._met.add(node)

    def differentiated(self) -> None:
        """``torch.autograd.grad`` was called."""
        self._elsewhere = True

    def end_round(self) -> None:
        """Count, and forget the graph of this round."""
        for site, calls in self._round.items() if self._backwards and not self._elsewhere else ():
            known = self._known.get(site)
            if known is None or not known.name:
                continue
            used = [node in self._met for node, _ in calls]
            only_last = len(calls) > 1 and used[-1] and not any(used[:-1])
            unlike = len({place for _, place in calls}) > 1
            self._known[site] = dataclasses.replace(
                known,
                calls=len(calls),
                rounds=known.rounds + 1,
                dropped=known.dropped + (only_last and unlike),
            )
        self._round.clear()
        self._met.clear()
        self._elsewhere, self._backwards = False, 0

    def save(self) -> None:
        """Write the lines whose losses were dropped."""
        for i, found in enumerate(f for f in self._known.values() if f.dropped):
            self._watch.writer.put(found, i)
