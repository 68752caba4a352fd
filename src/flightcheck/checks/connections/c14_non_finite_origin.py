"""C14: where the first NaN or infinity came from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, check
from flightcheck.recording.records import NonFinite
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS

PATTERNS = (
    ("log", "Clamp before the logarithm (`x.clamp_min(1e-8)`), or use log_softmax, logsigmoid, xlogy."),
    ("sqrt", "Add an epsilon inside the square root: its derivative at 0 is infinite."),
    ("norm", "Add an epsilon inside the norm: its derivative at 0 is NaN."),
    ("div", "Add an epsilon to the denominator, or skip the case where it is 0."),
    ("reciprocal", "Add an epsilon to the denominator."),
    ("std", "Add an epsilon: the deviation of equal values is 0, and that of one value is NaN."),
    ("exp", "Clamp the exponent, or stay in the log domain (logsumexp)."),
    ("pow", "Keep the base above 0: the power or its derivative does not exist there."),
    ("softmax", "Do not mask every entry of a row with -inf."),
    ("where", "Make both branches finite: the unused one still sends 0·inf = NaN backward."),
    ("acos", "Clamp the argument to (-1, 1)."),
)


@check(
    "C14",
    "non-finite-origin",
    severity="critical",
    evidence="X",
    needs=("non_finite", LOSS),
    fix="Keep the arguments of log, sqrt and division away from zero, and those of exp from overflow.",
    patch="clamp:1e-8",
)
class NonFiniteOrigin(Check):
    """A number became NaN or infinite; this is the first place where it happened.

    ## What it checks
    The earliest NaN or infinity in execution order, with the operation, its line and the range of its inputs. An
    infinity in an activation counts only if the loss, a gradient or a parameter became non-finite too (masks hold
    −inf on purpose); a gradient whose step the loss scaler skipped does not count.
    ## Why it matters
    From there on every weight that it reaches is lost, and so is the rest of the run.
    ## How to fix
    An epsilon inside log, sqrt and division; clamping before exp; a guard for rows that are masked altogether.
    ## Source
    DeepLocalize; `torch.autograd.detect_anomaly`.
    ## Known false alarms
    None known.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        losses = run.series(LOSS) if LOSS.name in run.frames else None
        broken = [] if losses is None else [int(s) for s in losses.steps[~np.isfinite(losses.values)]]
        skipped = {c.step for c in run.calls if c.kind == "scaler_skip"}
        found = sorted(
            (n for n in run.non_finite if not (n.where in ("gradient", "loss", "activation") and n.step in skipped)),
            key=lambda n: n.step,
        )
        lasting = bool(set(broken) - skipped) or any(n.where in ("loss", "gradient", "parameter") for n in found)
        if found and lasting:
            yield _finding(found[0], broken)
        elif set(broken) - skipped:
            first = min(set(broken) - skipped)
            yield Finding(
                f"The loss became NaN or infinite in step {first}; the operation that made it was not seen.",
                location=run.plan.loss_location or run.plan.backward_location,
                evidence={"steps": len(broken)},
                onset_step=first,
            )
        elif losses is None or not len(losses):
            raise NotEnoughEvidence("no loss was recorded")


def _finding(origin: NonFinite, broken: list[int]) -> Finding:
    detail = origin.detail
    name = origin.operation.removesuffix("0").removesuffix("Backward")
    text = f"The first NaN or infinity arose in step {origin.step} in the {origin.where} {origin.name}".rstrip()
    text += f": {detail['reason']}" if detail.get("reason") else f", made by {name}" if name else ""
    if detail.get("minimum") is not None and detail.get("maximum") is not None:  # None: no value was finite
        what = "its finite results lie" if detail.get("of_result") else "of values"
        text += f", {what} from {detail['minimum']:.3g} to {detail['maximum']:.3g}"
    if detail.get("zeros"):
        text += f" with {detail['zeros']} zeros"
    lower = name.lower()
    fix = next(
        (advice for word, advice in PATTERNS if word in lower and not (word == "log" and "softmax" in lower)), ""
    )
    if detail.get("reason") == "the square root of a negative number":
        fix = (
            "Keep what goes into the square root at 0 or above: clamp it, or make it positive by a square or softplus."
        )
    if max(abs(float(detail.get(k) or 0.0)) for k in ("minimum", "maximum")) > 1e30:
        fix = "The values grew without limit: clip the gradient norm, or lower the learning rate."
    if origin.where in ("input", "target"):
        fix = "Remove or fill the non-finite values in the data before training."
    return Finding(
        text + (f"; {len(broken)} losses are lost." if broken else "."),
        location=origin.location,
        module=origin.module,
        evidence={"where": origin.where, "operation": origin.operation, **detail},
        onset_step=origin.step,
        fix=fix,
        patch={"input": "inputs:finite", "target": "targets:finite"}.get(origin.where, ""),
    )
