"""L22: weights or a mask that multiply a loss when it is one number already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.run import Run


@check(
    "L22",
    "weights-after-mean",
    severity="error",
    evidence="X",
    needs=("loss_terms",),
    fix="Compute the loss with reduction='none', multiply by the weights, and average then.",
)
class WeightsAfterMean(Check):
    """Weights or a mask multiply a loss that is one number already: no example counts more than another.

    ## What it checks
    The graph of the value handed to `backward`. A term that a loss function, a mean or a sum made one number of is
    multiplied by a tensor of unequal numbers without a graph, and the products are added up or averaged. This is so in
    most of the first backward passes of that line: in the others the numbers may be equal.
    ## Why it matters
    The sum of the products is the loss times the sum of the weights, so that they act as a factor on the learning rate
    and nothing else. Padding that was to be masked counts, and doubtful examples count as the sure ones do.
    ## How to fix
    `nn.CrossEntropyLoss(reduction='none')`, or the difference before its `.mean()`; then
    `(loss * mask).sum() / mask.sum()`.
    ## Source
    pytorch.org, the `reduction` argument of the loss functions; forum questions on weighted and masked losses.
    ## Known false alarms
    None known: whoever wants the factor alone can write a number. Equal weights, and a loss that is multiplied by one
    number, are left out.
    """

    rounds = Param(3, "backward passes: a batch whose weights differ by accident is possible, three are not")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.loss_terms:
            raise NotApplicable("no loss whose terms are known")
        lines: dict[str, list[LossTerm]] = {}
        for term in run.loss_terms:
            lines.setdefault(f"{term.backward_location} {term.location}", []).append(term)
        few = 0
        for terms in lines.values():
            late = [t for t in terms if t.weights_after]
            rounds = len({t.backward for t in late})
            if rounds < self.rounds.value:
                few = max(few, rounds)
            elif 2 * len(late) >= len(terms):  # in the others the weights may have been equal
                yield self._finding(run, late)
        if few and run.info.steps < self.rounds.value:
            raise NotEnoughEvidence(f"{few} of {self.rounds.value:.0f} backward passes with weights")

    @staticmethod
    def _finding(run: Run, late: list[LossTerm]) -> Finding:
        term = late[-1]
        site = next((s for s in run.loss_sites if s.index == term.site), None)
        made = (site.location if site else None) or term.location
        name = site.function if site else "the loss"
        shape = tuple(term.weights_after)
        return Finding(
            f"{name} is one number{f' (line {made.line})' if made is not None else ''} before the {shape} weights "
            "multiply it: added up, the products are this number times the sum of the weights, in "
            f"{len({t.backward for t in late})} backward passes, so no element counts more than another.",
            location=term.weights_location or made,
            evidence={"shape": term.weights_after, "loss_line": str(made)},
            patch=f"loss:none:{PurePath(made.file).name}:{made.line}" if site is not None and made is not None else "",
        )
