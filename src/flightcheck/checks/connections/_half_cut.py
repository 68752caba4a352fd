"""Cuts of the graph between two parts of a model that both learn: of one loss the first part hears nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.checks.depth import common_path, where
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import GraphCut
from flightcheck.recording.run import Run

_OPERATIONS: Final = ("detach", "data", "tensor", "Variable")
_HANDED_ON: Final = 3
"""Times: in the first steps once each."""
_LEARN: Final = 0.8
"""Of the parameters behind the cut that another loss gives gradients: else nothing reaches them at all (C02)."""
_LITTLE: Final = 1 / 3
"""Of the way from a training with what is handed on mixed up to where it comes without the cut: a probe of features
that are cut off on purpose learns most of what there is to learn."""
_ON_PURPOSE: Final = ("gan", "reinforcement", "second-order", "finetune")


def halves(run: Run) -> list[GraphCut]:
    """Cuts whose result a part that learns is given, while what lies behind them learns by another loss."""
    if run.in_regime(*_ON_PURPOSE):
        return []
    known = {p.index: p for p in run.parameters}
    found = []
    for cut in run.graph_cuts:
        behind = [known[i] for i in cut.parameters if i in known]
        learning = [p for p in behind if p.optimizers and p.gradients_nonzero]
        if cut.operation in _OPERATIONS and cut.handed_on >= _HANDED_ON and len(learning) > _LEARN * len(behind) > 0:
            found.append(cut)
    return sorted(found, key=lambda c: -len(c.parameters))


def oversights(run: Run) -> list[GraphCut]:
    """Those of the cuts that nobody means.

    What a hook keeps is detached for pictures, and a decoder is no probe. Whoever cuts labels off from features that
    another loss shapes may ask what these hold, and "nothing" is an answer.
    """
    sites = {c.site for c in run.training_calls()}
    of_inputs = {c.site for c in run.training_calls() if c.target_given}  # known in the first steps
    decodes = bool(sites) and sites == of_inputs
    return [c for c in halves(run) if decodes or c.hooked]


def whole(cut: GraphCut) -> str:
    """The patch that leaves the tensor in its graph."""
    return f"keep-graph:{where(cut.location)}"


def mixed(cut: GraphCut) -> str:
    """The patch under which the tensor tells nothing of its example."""
    return f"mixed-up:{where(cut.location)}"


def half_cut(run: Run) -> Iterator[Finding]:
    """Told where the task behind the cut is hardly learnt, and learnt in a trial without it."""
    for cut in oversights(run):
        tried = {e.patch: e for e in run.experiments if e.question == "C02"}
        joined, without = tried.get(whole(cut)), tried.get(mixed(cut))
        if joined is None or without is None or joined.status != "confirmed" or not _hardly_learns(joined, without):
            continue
        owners = {p.module for p in run.parameters if p.index in cut.parameters}
        modules = [m.path for i in sorted(owners) if (m := run.module(i)) is not None]
        yield Finding(
            f"What {common_path(modules) or 'the first part'} computes is cut off here ({cut.operation}) and given to "
            f"another part that learns: {len(cut.parameters)} parameters before the cut hear of other losses only, and "
            "what is made of the tensor that was cut off is hardly learnt.",
            location=cut.location,
            evidence={"cut": cut.operation, "count": len(cut.parameters), "gradient": "of others"},
            severity="warn",
            fix=f"Hand on the tensor itself, without {cut.operation}.",
            patch=whole(cut),
        )
        return


def _hardly_learns(joined: Experiment, without: Experiment) -> bool:
    """From where the second part knows nothing of its example, the cut lets it come a small part of the way only."""
    nothing, before, after = without.after, joined.before, joined.after
    if joined.metric != without.metric or nothing is None or before is None or after is None:
        return False
    return (before - nothing) / (after - nothing) <= _LITTLE if after != nothing else False
