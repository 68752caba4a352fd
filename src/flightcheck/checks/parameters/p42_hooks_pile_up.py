"""P42: one line registers a hook again and again, and each pass runs all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.piled_hooks import PiledHooks
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM
from flightcheck.recording.tables import median

ONCE: Final = "hooks:once"
"""Of equal hooks the newest alone."""
_FEWEST: Final = 3
_LOOKS: Final = 8
"""At the gradients of a parameter."""
_WHAT: Final = {
    "gradient": "gradient", "forward": "output", "forward_pre": "input", "backward": "gradient",
}  # fmt: skip


@check(
    "P42",
    "hooks-pile-up",
    severity="error",
    evidence="X",
    needs=("PiledHooks",),
    fix="Register the hook once, before the loop; or keep the handle that register_hook returns, and remove() it.",
    patch=ONCE,
)
class HooksPileUp(Check):
    """The same hook is registered again in every epoch, and what it changes is changed as often.

    ## What it checks
    Hooks of parameters and modules, read after 1, 2, 4, 8, … steps and every few hundred: three or more on one owner
    that are the same function with the same values around it. An error where they return something (they change the
    gradient, the output or the input) and a trial in which only one of them stays brings the error of evaluations down
    by a third, or where nothing is left of the gradients of their owners; information otherwise.
    ## Why it matters
    A hook that halves a gradient leaves a thousandth of it after ten epochs: that part of the model stops learning,
    and nothing in the code says so. Hooks that only look cost time and memory, more in every epoch.
    ## How to fix
    `handle = p.register_hook(…)` once before the loop; or `handle.remove()` at the end of the epoch.
    ## Source
    torch.Tensor.register_hook and torch.nn.Module.register_forward_hook ("returns a handle that can be used to remove
    the added hook").
    ## Known false alarms
    Hooks that do the same when they are run twice (a mask, a limit): the trial shows no difference, and they are no
    more than information.
    """

    gone = Param(1e-12, "of the first gradients: where a training without noise converges, rounding leaves far more")
    fewest = Param(_FEWEST, "equal hooks on one owner: two may be meant, one for each of two purposes")

    def __call__(self, run: Run) -> Iterator[Finding]:
        piles = run.recorded(PiledHooks)
        if not run.info.steps and not piles:
            raise NotApplicable("no training step was seen")
        if 0 < run.info.steps < self.fewest.value and not piles:
            raise NotEnoughEvidence(f"{run.info.steps} steps: no loop that registers hooks would show yet")
        proof = next((e for e in run.experiments if (e.question, e.status) == ("P42", "confirmed")), None)
        told = growing_pile(run) if proof is not None else None
        for pile in (p for p in piles if p.most >= self.fewest.value):
            named = ", ".join(pile.owners[:2]) + (" …" if len(pile.owners) > 2 else "")
            better = ""
            if pile is told and proof is not None and proof.before is not None and proof.after is not None:
                better = (
                    f" With one of them the {proof.measure} after {proof.steps} steps is {proof.after:.3g}, and not "
                    f"{proof.before:.3g}."
                )
            gone = self._left(run, pile)
            if gone is not None:
                better = f" What is left of the gradient there is {gone:.1g} of that of the first steps." + better
            does = f"changes the {_WHAT[pile.kind]} as often" if pile.returns else "runs all of them"
            yield Finding(
                f"{pile.most} equal hooks lie on one owner after {pile.step + 1} steps ({named}): each pass {does}."
                + better,
                location=pile.location,
                severity=None if better else "info",
                evidence={"kind": pile.kind, "hooks": pile.most, "owners": pile.owners},
                onset_step=pile.since,
            )

    def _left(self, run: Run, pile: PiledHooks) -> float | None:
        """The share of the owners' first gradients that their last ones are, if it is nothing, or beyond any size."""
        tried = {e.status for e in run.experiments if e.question == "P42" and e.seeds}
        if tried and "confirmed" not in tried:
            return None
        if not (pile.returns and pile.kind == "gradient" and GRAD_NORM.name in run.frames):
            return None
        table, shares = run.table(GRAD_NORM), []
        for p in (p for p in run.parameters if p.name in pile.owners):
            norms = table.column(p.index).values
            norms = norms[np.isfinite(norms)]
            if len(norms) >= _LOOKS and (first := median(norms[:3])) > 0:
                shares.append(median(norms[-3:]) / first)
        share = median(shares) if shares else 1.0
        return share if not self.gone.value <= share <= 1 / self.gone.value else None


def growing_pile(run: Run) -> PiledHooks | None:
    """The first that changes what it is given: a trial tells whether that does harm."""
    return next((p for p in run.recorded(PiledHooks) if p.returns and p.most >= _FEWEST), None)
