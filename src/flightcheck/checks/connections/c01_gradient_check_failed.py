"""C01: a hand-written backward that is not the derivative of its forward."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "C01",
    "gradient-check-failed",
    severity="error",
    evidence="B",
    needs=("Probe",),
    fix="Derive the backward again, and test it with torch.autograd.gradcheck.",
    preview=True,
)
class GradientCheckFailed(Check):
    """The backward of an autograd function of the script's own differs from its numerical derivative.

    ## What it checks
    In a trial, for each subclass of ``torch.autograd.Function`` in the user's code: the derivative in a random
    direction, by its backward and by centred differences in float64 (step 1e-6), on the arguments of up to three calls.
    The median of the relative errors counts, so that a kink on one of them is no alarm.
    ## Why it matters
    A wrong backward trains something, only not what the forward computes.
    ## How to fix
    ``torch.autograd.gradcheck(Function.apply, inputs_in_float64)`` names the argument.
    ## Source
    CS231n, gradient checks (relative error above 1e-2: wrong); PyTorch's gradcheck.
    ## Known false alarms
    Gradients that are another thing on purpose: straight-through estimators and gradient reversal are recognized where
    the forward is the identity or has no derivative. In preview for what is not recognized.
    """

    limit = Param(1e-2, "CS231n: above 1e-2 the gradient is wrong, kinks leave less")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.probe("gradients").result["functions"]
        if not found:
            raise NotEnoughEvidence("no autograd function of the script's own could be asked")
        for f in found:
            if f["error"] > self.limit.value and not f["on_purpose"]:
                yield Finding(
                    f"The backward of {f['name']} differs from the derivative of its forward by "
                    f"{100 * f['error']:.0f} % (limit {100 * self.limit.value:.0f} %).",
                    location=Location(f["file"], int(f["line"]), "backward", ""),
                    evidence={"error": f["error"]},
                )
