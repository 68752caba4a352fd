"""P14: an epsilon so large that Adam divides by it, and not by its gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.states import SecondMoments

_SMALLEST_HALF: Final = 2.0**-24
"""The smallest positive number of float16."""


def dominated(run: Run, share: float = 0.5) -> list[SecondMoments]:
    """Matrices of which epsilon dominates more than this share at the last look, if most of a model is such."""
    seen = [m for m in run.second_moments if m.dominated]
    those = [m for m in seen if m.dominated[-1] > share]
    whole = sum(m.elements for m in seen)
    return those if sum(m.elements for m in those) > share * whole else []


@check(
    "P14",
    "adam-epsilon-dominates",
    severity="warn",
    evidence="T",
    needs=("second_moments", "experiments"),
    fix="Leave eps at 1e-8.",
    patch="epsilon:1e-8",
)
class AdamEpsilonDominates(Check):
    """Adam (or RMSprop) divides by its epsilon instead of by the size of the gradients, or by an epsilon that is 0.

    ## What it checks
    At steps 10, 20, 40 … the root of the bias-corrected mean square of the gradients, for each matrix: where it lies
    below ten times epsilon for most elements of the model, epsilon decides the step. That alone is a note. A warning if
    a trial with epsilon 1e-8 achieves five times as much, and 5 % of the start loss, in each of three seeds.

    Also an epsilon that is 0 in the numbers in which the weights are stored (below 3e-8 in float16), in a training in
    which something became NaN or infinite.
    ## Why it matters
    The step is then lr / eps times the gradient: plain gradient descent, usually far too slow. It looks like a learning
    rate that is too low. In float16 small gradients have the square 0, too, and 0 / 0 is not a number: one step is
    enough.
    ## How to fix
    eps=1e-8; with very small gradients (deep networks in 16 bits) less, or a larger loss scale.
    ## Source
    Wortsman et al. 2023, Small-scale proxies for large-scale Transformer training instabilities (epsilon against the
    gradient's root mean square); catalogue P14; the factor of five is P02's.
    ## Known false alarms
    A large epsilon on purpose, with a learning rate to match (Inception: eps=1, agents: 1e-5): a note at most.
    """

    share = Param(0.5, "of the elements: the median element's step is decided by epsilon")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not any(o.steps and any(g.get("eps") for g in o.groups) for o in run.optimizers):
            raise NotApplicable("no optimizer with an epsilon stepped")
        if run.non_finite and (lost := rounded_away(run)):
            yield self._rounded_away(run, lost)
            return
        if not run.second_moments:
            raise NotEnoughEvidence("the optimizer's mean squared gradients were not seen (from step 10 on)")
        those = dominated(run, self.share.value)
        if not those:
            return
        optimizer = run.optimizers[those[0].optimizer]
        share = sum(m.dominated[-1] * m.elements for m in those) / sum(m.elements for m in those)
        e = next((e for e in run.experiments if (e.question, e.status) == ("P14", "confirmed")), None)
        text = f"{optimizer.type} has eps={those[0].epsilon:g}; at step {max(m.steps[-1] for m in those)} the root of "
        text += f"the mean squared gradient is below ten times that for {share:.0%} of the elements of {len(those)} "
        text += "matrices: epsilon decides the size of the step."
        if e is not None and e.before is not None and e.after is not None:
            text += f" In {e.steps} steps the {e.metric} falls from {e.start:.3g} to {e.before:.3g}; with "
            text += f"{e.patch.replace(':', ' ')} to {e.after:.3g}, in each of {e.seeds} seeds."
        yield Finding(
            text,
            location=optimizer.location,
            evidence={"epsilon": those[0].epsilon, "share": share, "matrices": len(those)},
            severity=None if e is not None else "info",
            parameters=tuple(m.parameter for m in those),
        )

    def _rounded_away(self, run: Run, lost: list[ParameterInfo]) -> Finding:
        optimizer = run.optimizers[lost[0].optimizers[0]]
        epsilon = next(float(g["eps"]) for g in optimizer.groups if g.get("eps"))
        return Finding(
            f"{optimizer.type} has eps={epsilon:g}, which is 0 in float16, the type of {len(lost)} of its parameters: "
            "an element whose mean squared gradient is 0, too, is divided by 0.",
            location=optimizer.location,
            evidence={"epsilon": epsilon, "dtype": "float16", "parameters": len(lost)},
            patch="epsilon:1e-4",
            parameters=tuple(p.index for p in lost),
            fix="eps=1e-4; or weights in float32, with torch.autocast around the forward pass.",
        )


def rounded_away(run: Run) -> list[ParameterInfo]:
    """Trained parameters in float16 whose optimizer's epsilon rounds to 0 there."""
    small = {
        o.index for o in run.optimizers
        if o.steps and any(0 < float(g.get("eps") or 0.0) < _SMALLEST_HALF / 2 for g in o.groups)
    }  # fmt: skip
    return [p for p in run.parameters if p.dtype == "float16" and small.intersection(p.optimizers)]
