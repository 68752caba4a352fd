"""Models that are evaluated in the place of the one that was trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.depth import trained_roots
from flightcheck.frozen import frozen
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.provenance.filled import asked_for_weights
from flightcheck.recording.records import RootInfo
from flightcheck.recording.run import Run

WITH_TRAINED_WEIGHTS: Final = "load:trained"
"""The patch under which such a model has the weights of the trained one."""
_OFTEN: Final = 0.5
"""Evaluations in more than this share of the steps belong to the training: teachers, target networks."""


@frozen
class StandIn:
    """A model that no optimizer holds, nothing is loaded into and nobody asks for its weights, of the shapes of a
    trained one.
    """

    root: RootInfo
    trained: RootInfo
    evaluations: list[Evaluation]
    """Those after the first step."""

    @property
    def made_late(self) -> bool:
        """Its constructor ran when the training had begun."""
        return self.root.location is not None and self.root.constructed_at_step > 0


def stand_ins(run: Run) -> Iterator[StandIn]:
    """Models that were evaluated after steps of another one of the same shapes, which is not evaluated itself then."""
    if run.in_regime("gan", "reinforcement", "second-order"):
        return
    trained = [r for r in run.roots if r.index in trained_roots(run)]
    for root in run.roots:
        after = [e for e in run.evaluations if e.root == root.index and e.step > 0]
        if root.train_calls or root.loaded or not after or any(e.held_by_optimizer or e.grad_enabled for e in after):
            continue
        if len({e.step for e in after}) > _OFTEN * run.info.steps or not any(e.losses or e.metrics for e in after):
            continue
        if root.location is not None and asked_for_weights(root.location.file, root.location.line):
            continue  # averages of weights are written by hand
        alike = [t for t in trained if t.type == root.type and _shapes(run, t) == _shapes(run, root)]
        if len(alike) != 1 or any(_between(alike[0], t, root) for t in trained):
            continue
        if not any(e.root == alike[0].index and e.step >= after[0].step for e in run.evaluations):
            yield StandIn(root, alike[0], after)


def _between(first: RootInfo, other: RootInfo, last: RootInfo) -> bool:
    """The other one was built and trained between the two, so the last has its weights: adapters that were merged."""
    return first.constructed_at_step < other.constructed_at_step <= last.constructed_at_step


def _shapes(run: Run, root: RootInfo) -> list[tuple[int, ...]]:
    mine = {m.index for m in run.modules if m.root == root.index}
    return [tuple(p.shape) for p in run.parameters if p.module in mine]
