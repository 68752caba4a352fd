"""L07: prediction and target have different shapes and are blown up to a matrix of all pairs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.loss._prediction import by_site
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.records import Broadcast, Location
from flightcheck.recording.run import Run

ELEMENTWISE = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "kl_div", "poisson_nll_loss", "gaussian_nll_loss", "soft_margin_loss",
)  # fmt: skip
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "equal", "where", "logical")
ON_PURPOSE = re.compile(r"\bNone\b|newaxis|unsqueeze|expand|outer|meshgrid|cdist")


def doubled_axis(left: Sequence[int], right: Sequence[int]) -> int:
    """The size of an axis that stands in both shapes but meets itself nowhere: 32 for (32, 1) and (32,); else 0.

    Only for shapes of different rank: `x[:, None] - y[None, :]` is written on purpose.
    """
    if len(left) == len(right):
        return 0
    rank = max(len(left), len(right))
    a = [1] * (rank - len(left)) + list(left)
    b = [1] * (rank - len(right)) + list(right)
    if any(x != y and 1 not in (x, y) for x, y in zip(a, b)):
        return 0
    only_left = {x for x, y in zip(a, b) if x > 1 and y == 1}
    only_right = {y for x, y in zip(a, b) if y > 1 and x == 1}
    return max(only_left & only_right, default=0)


@check(
    "L07",
    "shape-broadcast",
    severity="error",
    evidence="X",
    needs=("loss_calls", "Broadcast"),
    fix="Give prediction and target the same shape, for example with prediction.squeeze(-1).",
    patch="align-shapes",
)
class ShapeBroadcast(Check):
    """Prediction and target differ in shape, so every prediction is compared with every target.

    ## What it checks
    The operands of an elementwise loss, or of the user's own arithmetic between model output and data, have different
    numbers of dimensions; the same axis (32 in (32, 1) and (32,)) is not aligned with itself, and the result is larger
    than both. Where a function does the arithmetic that was handed both, the line is that of the model's call.
    ## Why it matters
    The loss over all N × N pairs is smallest when every prediction is the mean of the targets: the model learns a
    constant while the loss looks plausible.
    ## How to fix
    `prediction.squeeze(-1)` or `target.unsqueeze(-1)`; assert that both shapes are equal before the loss.
    ## Source
    PyTorch's broadcasting rules; pytorch/pytorch#16045.
    ## Known false alarms
    All-pairs arithmetic on purpose that relies on different ranks. Shapes of equal rank, such as (N, 1) and (1, N), and
    operations inside a module are not flagged; a line that inserts the axis itself (`[:, None]`) is only information.
    """

    axis = Param(2, "an axis of one element broadcasts without harm")

    def __call__(self, run: Run) -> Iterator[Finding]:
        calls = run.training_calls(*ELEMENTWISE)
        if not run.loss_calls and not run.recorded(Broadcast):
            if run.info.steps or run.info.backwards:
                raise NotEnoughEvidence("no loss function and no arithmetic between model output and data was seen")
            raise NotApplicable("no training step was seen")
        seen = set()
        for here in by_site(calls).values():
            wide = [c for c in here if self._grows(c.input_shape, c.target_shape)]
            if wide:
                seen.add(str(run.site(wide[0]).location))
                yield self._in_loss(run, here, wide)
        for b in run.recorded(Broadcast):
            if str(b.location) not in seen and self._accident(b):
                seen.add(str(b.location))
                yield self._by_hand(run, b)

    def _grows(self, left: Sequence[int], right: Sequence[int]) -> bool:
        return doubled_axis(left, right) >= self.axis.value

    def _accident(self, b: Broadcast) -> bool:
        mixed = b.left_from_model != b.right_from_model
        compares = b.operation.strip("_").startswith(COMPARISONS)
        return mixed and not b.in_module and not compares and self._grows(b.left_shape, b.right_shape)

    @staticmethod
    def _in_loss(run: Run, here: list[LossCall], wide: list[LossCall]) -> Finding:
        first, site = wide[0], run.site(wide[0])
        return Finding(
            f"{site.function} compares a prediction of shape {tuple(first.input_shape)} with a target of shape "
            f"{tuple(first.target_shape)}: broadcasting makes all pairs of them ({len(wide)} of {len(here)} calls), "
            "and the best answer to that is a constant.",
            location=site.location,
            module=first.input_module,
            evidence={
                "input_shape": first.input_shape,
                "target_shape": first.target_shape,
                "axis": doubled_axis(first.input_shape, first.target_shape),
            },
            onset_step=first.step,
            fix=_fix(first.input_shape, first.target_shape, "prediction", "target"),
        )

    @staticmethod
    def _by_hand(run: Run, b: Broadcast) -> Finding:
        left, right = ("prediction", "target") if b.left_from_model else ("target", "prediction")
        on_purpose = bool(b.location and ON_PURPOSE.search(b.location.code))
        severity: Severity = "info" if on_purpose else "error"
        called = _call_of_model(run, b)
        at = f" in line {b.location.line}" if called is not None and b.location is not None else ""
        return Finding(
            f"'{b.operation}'{at} combines shapes {tuple(b.left_shape)} and {tuple(b.right_shape)} to "
            f"{tuple(b.result_shape)}: every prediction meets every target ({math.prod(b.result_shape)} pairs).",
            location=called or b.location,
            evidence={
                "left_shape": b.left_shape,
                "right_shape": b.right_shape,
                "result_shape": b.result_shape,
                "operation_line": str(b.location),
            },
            onset_step=b.step,
            severity=severity,
            fix=_fix(b.left_shape, b.right_shape, left, right),
        )


def _call_of_model(run: Run, b: Broadcast) -> Location | None:
    """Where the model is called, if the operation stands in a function that is handed both by the one that calls it.

    Such a function compares what it is given; the shapes are made by its caller.
    """
    trained = [r for r in run.roots if r.train_calls and r.call_location is not None]
    if b.caller is None or b.location is None or len(trained) != 1:
        return None
    made = trained[0].call_location
    same = made is not None and (made.file, made.function) == (b.caller.file, b.caller.function)
    inside = (b.location.file, b.location.function) == (b.caller.file, b.caller.function)
    return made if same and not inside else None


def _fix(left: Sequence[int], right: Sequence[int], left_name: str, right_name: str) -> str:
    shape, name, other = (left, left_name, right) if len(left) > len(right) else (right, right_name, left)
    if len(shape) - len(other) == 1 and 1 in shape:
        axis = len(shape) - 1 - list(shape)[::-1].index(1)
        return f"{name}.squeeze({-1 if axis == len(shape) - 1 else axis}), so that both have the shape {tuple(other)}."
    return f"Give {left_name} and {right_name} the same shape."
