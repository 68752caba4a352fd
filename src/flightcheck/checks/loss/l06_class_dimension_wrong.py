"""L06: the loss compares classes along an axis that does not hold them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.loss_records import LossAxes, LossSite
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

OVER_CLASSES = ("cross_entropy", "nll_loss")
MODULES = ("Softmax", "LogSoftmax")
LAYERS = {"linear": "a linear layer puts them on the last axis", "conv": "a convolution puts them on axis 1"}


@check(
    "L06",
    "class-dimension-wrong",
    severity="error",
    evidence="B",
    needs=("loss_axes",),
    fix="Bring the classes to axis 1 with transpose or permute, never with view or reshape.",
    patch="loss:transpose",
)
class ClassDimensionWrong(Check):
    """The loss takes another axis for the classes than the one on which the model laid them out.

    ## What it checks
    PyTorch's cross-entropy takes axis 1 for the classes. The axis is followed back from the loss through views and
    transposes to the layer that made the outputs. Caught: (N, T, C) without a transpose, where T equals C or the target
    is a distribution over the last axis; classes torn apart by `view` or `reshape` where a transpose was meant; a
    softmax over the batch or another axis than that of the classes.
    ## Why it matters
    Where the sizes happen to fit, nothing fails: scores of different positions or examples compete with each other, and
    the model cannot learn the task.
    ## How to fix
    `logits.transpose(1, 2)` for (N, T, C); `logits.permute(0, 2, 3, 1).reshape(-1, C)` for (N, C, H, W);
    `softmax(…, dim=-1)`.
    ## Source
    Shape contract of `torch.nn.CrossEntropyLoss`; `view` keeps the order of the elements in memory.
    ## Known false alarms
    A linear layer over another axis than the features (mixers) whose width happens to be the number of classes.
    """

    exact = Param(1e-3, "rows of class probabilities sum to 1 within rounding, also in half precision")
    off = Param(0.05, "sums over an axis that holds no classes miss 1 by far more")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.loss_axes:
            if not run.training_calls():
                raise NotApplicable("no loss function of the framework was called in training")
            raise NotEnoughEvidence("no prediction could be followed to a layer")
        sites: dict[int, list[LossAxes]] = {}
        for axes in run.loss_axes:
            sites.setdefault(axes.site, []).append(axes)
        followed = 0
        for index, here in sites.items():
            site = next(s for s in run.loss_sites if s.index == index)
            followed += any(a.relation for a in here)
            found = [self._problem(run, site, a) for a in here]
            problem = found[-1]
            if problem is None or None in found:  # a layout is wrong in every call
                continue
            message, location, fix = problem
            yield Finding(
                message,
                location=location or site.location,
                evidence={
                    "loss": site.function,
                    "input_shape": here[-1].input_shape,
                    "layer": here[-1].producer,
                    "layer_shape": here[-1].producer_shape,
                    "loss_line": str(site.location),
                },
                onset_step=here[0].step,
                fix=fix,
                patch=self._patch(here[-1], location),
            )

    def _problem(self, run: Run, site: LossSite, a: LossAxes) -> tuple[str, Location | None, str] | None:
        shape = tuple(a.input_shape)
        if site.function in OVER_CLASSES:
            classes = shape[1]
            fits = a.producer_classes == classes > 1
            if a.relation == "mixed" and fits:
                return (
                    f"A view makes {shape} of {tuple(a.producer_shape)}: the {classes} class scores of one position "
                    f"end up in different places ({LAYERS[a.producer]}), and {site.function} compares scores of "
                    "different positions.",
                    a.view_location,
                    _move(a),
                )
            if len(shape) > 2 and ((a.relation == "other" and fits) or self._last_axis(a)):
                return (
                    f"{site.function} takes axis 1 of {shape} for the classes, but they lie on the last axis: "
                    "positions compete with each other instead of classes.",
                    site.location,
                    "Give it logits.transpose(1, 2)" + (" and the target too." if self._last_axis(a) else "."),
                )
        elif not self._rows(a):
            return None
        if a.softmax_differs and a.relation != "other":
            batch = a.softmax_dim == 0
            what = "the examples of the batch" if batch else f"axis {a.softmax_dim}"
            return (
                f"The softmax before {site.function} normalizes over {what} instead of the classes: the scores of one "
                "example do not sum to 1 and depend on the others.",
                self._softmax_line(run, a),
                "Use dim=-1, the axis of the classes.",
            )
        return None

    def _patch(self, a: LossAxes, location: Location | None) -> str:
        """Of a softmax over a wrong axis: that of the classes at its line. Else that of the check."""
        at = a.softmax_location
        of_view = a.relation == "other" or (a.relation == "mixed" and location == a.view_location)
        if at is None or of_view or not a.softmax_differs:
            return ""
        return f"axes:softmax={1 if a.producer == 'conv' else -1}:{PurePath(at.file).name}:{at.line}"

    @staticmethod
    def _softmax_line(run: Run, a: LossAxes) -> Location | None:
        """The line that constructed the softmax, where it is a module, else the line that called it."""
        made = [m.location for m in run.modules if m.type in MODULES and m.settings.get("dim") in (None, a.softmax_dim)]
        return made[0] if len(made) == 1 else a.softmax_location

    def _last_axis(self, a: LossAxes) -> bool:
        """The target is a distribution over the last axis and over no other."""
        last, over = a.target_sum_error_last, a.target_sum_error_classes
        return last is not None and over is not None and last < self.exact.value and over > self.off.value

    def _rows(self, a: LossAxes) -> bool:
        """The target's rows are distributions over the classes."""
        return a.target_sum_error_classes is not None and a.target_sum_error_classes < self.exact.value


def _move(a: LossAxes) -> str:
    if a.producer == "conv":
        order = ", ".join(str(i) for i in (0, *range(2, len(a.producer_shape)), 1))
        return f"Write .permute({order}).reshape(-1, {a.producer_classes}) instead of the view alone."
    return "Use .transpose(1, 2) where the view or reshape stands."
