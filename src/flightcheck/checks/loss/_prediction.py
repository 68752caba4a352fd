"""What made the prediction that a loss received: shared by the checks of losses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

TYPES: Final = {
    "sigmoid": ("Sigmoid", "Hardsigmoid"),
    "softmax": ("Softmax", "Softmax2d"),
    "log_softmax": ("LogSoftmax",),
    "log_sigmoid": ("LogSigmoid",),
}
OPERATIONS: Final = {
    "sigmoid": ("SigmoidBackward", "HardsigmoidBackward"),
    "softmax": ("SoftmaxBackward", "SafeSoftmaxBackward"),
    "log_softmax": ("LogSoftmaxBackward",),
    "log_sigmoid": ("LogSigmoidBackward",),
}


def last_activation(call: LossCall) -> str:
    """The bounded activation that made the prediction (a key of `TYPES`), or nothing."""
    for name, starts in OPERATIONS.items():
        if (call.input_value_op or call.input_op).startswith(starts):
            return name
    return next((name for name, types in TYPES.items() if call.input_module_type in types), "")


def activation_line(run: Run, call: LossCall, activation: str) -> tuple[Location | None, str]:
    """The line that applies the last activation, and its module's path if it is a module."""
    types = TYPES[activation]
    if call.input_module_type in types and call.input_module_location:
        return call.input_module_location, call.input_module
    called = [m for m in run.modules if m.leaf and m.order >= 0 and not m.type.endswith("Loss")]
    for root in sorted({m.root for m in called}):
        last = max((m for m in called if m.root == root), key=lambda m: m.order)
        if last.type in types and last.location:
            return last.location, last.path
    site = run.site(call)
    return site.input_location or site.location, ""


def by_site(calls: Iterable[LossCall]) -> dict[int, list[LossCall]]:
    """The calls grouped by the line that computes the loss."""
    groups: dict[int, list[LossCall]] = {}
    for call in calls:
        groups.setdefault(call.site, []).append(call)
    return groups
