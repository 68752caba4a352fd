"""Layers that were replaced while the training goes on: what P10 tells of them, and P08 leaves to it."""

from __future__ import annotations

from collections.abc import Sequence

from flightcheck.recording.records import OptimizerInfo, ParameterInfo
from flightcheck.recording.run import Run


def replaced_in(run: Run, optimizer: OptimizerInfo, unheld: Sequence[ParameterInfo]) -> tuple[
    list[ParameterInfo], list[ParameterInfo]
]:  # fmt: skip
    """Parameters of an optimizer that its model holds no more, and those without an optimizer that took their place.

    They took it if they came later, into the same model; or into another one of the same shapes, where nothing that the
    optimizer holds is in a model any more. Both are empty where a later optimizer holds a part of that model: then it
    was built for the new layers, and what it does not hold was forgotten, not replaced.

    Args:
        run: the recorded training.
        optimizer: one that steps.
        unheld: parameters that the loss reaches and no optimizer holds.
    """
    held = [p for p in run.parameters if p.requires_grad and optimizer.index in p.optimizers]
    gone = [p for p in held if p.left >= 0]
    late = [p for p in unheld if p.joined]
    if not gone or not late:
        return [], []
    of_models = {_root(run, p) for p in gone}
    successors = [p for p in late if _root(run, p) in of_models]
    if not successors and len(gone) == len(held) and sorted(p.shape for p in held) == sorted(p.shape for p in late):
        successors = late
    models = {_root(run, p) for p in successors}
    later = {o.index for o in run.optimizers if o.steps and o.created_at_step > optimizer.created_at_step}
    if any(later.intersection(p.optimizers) and _root(run, p) in models for p in run.parameters):
        return [], []
    return (gone, successors) if successors else ([], [])


def _root(run: Run, p: ParameterInfo) -> int:
    module = run.module(p.module)
    return module.root if module is not None else -1
