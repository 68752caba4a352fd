"""L03: a softmax before a loss that applies one itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._prediction import TYPES, activation_line
from flightcheck.recording.loss_records import RepeatedSoftmax
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "L03",
    "double-softmax",
    severity="error",
    evidence="B",
    needs=("loss_calls", "RepeatedSoftmax"),
    fix="Return the logits from the model; apply softmax only when predicting.",
    patch="drop-module:softmax",
)
class DoubleSoftmax(Check):
    """Probabilities were taken for logits, and a softmax is applied to them again.

    ## What it checks
    Every observed prediction given to `cross_entropy` lies in [0, 1] and its rows sum to 1 over the class dimension.
    In the first steps, the same of what the script itself, or a distribution, puts through `logsumexp`, `log_softmax`,
    `softmax` or `gumbel_softmax` on the way to a loss, over the same axis: `Categorical(logits=probabilities)`.
    ## Why it matters
    `CrossEntropyLoss` and `Categorical(logits=…)` expect logits. Softmax of probabilities is nearly uniform, so the
    loss cannot fall below ln(1 + (C−1)/e) (1.461 for 10 classes), its gradients are about C times too small, and no
    policy can give an action a higher probability than e/(e + C − 1) (0.475 of 4 actions).
    ## How to fix
    Return the logits from `forward`; apply softmax only when predicting. `Categorical(probs=…)` takes probabilities.
    ## Source
    PyTorch contracts of `CrossEntropyLoss` and `torch.distributions.Categorical`; the limits follow from logits
    limited to [0, 1].
    ## Known false alarms
    None known: rows of real logits do not sum to 1. Log-probabilities are harmless here and are not flagged, nor is a
    second softmax inside a model, which may weigh something.
    """

    row_sum = Param(1e-3, "float32 softmax rows sum to 1 within 1e-6, bfloat16 ones within about 4e-3/C per element")
    calls = Param(3, "one row that sums to 1 by chance is possible, several whole batches are not")

    def __call__(self, run: Run) -> Iterator[Finding]:
        repeated = [self._repetition(run, r) for r in run.recorded(RepeatedSoftmax) if self._always(r)]
        yield from repeated
        if repeated:
            return  # what the framework's losses were given is likely the same, and this line is nearer
        calls = [c for c in run.training_calls("cross_entropy") if c.classes > 1]
        if not run.training_calls():
            raise NotApplicable("no loss function of the framework was called in training")
        if not calls:
            raise NotApplicable("no cross-entropy over more than one class")
        told: set[Location | None] = set()
        doubt = ""
        for index in sorted({c.site for c in calls}):
            here = [c for c in calls if c.site == index]
            doubled = [c for c in here if self._probabilities(c.input_min, c.input_max, c.row_sum_error)]
            if len(here) < self.calls.value:
                doubt = f"{len(here)} of {self.calls.value:.0f} observed calls of the loss"
                continue
            if len(doubled) < len(here):
                continue
            site = run.site(here[0])
            floor = math.log1p((here[-1].classes - 1) / math.e)
            first = next((c for c in here if c.input_module_location), here[0])
            line, module = activation_line(run, first, "softmax")
            if line in told:  # one softmax in front of several losses is one fault
                continue
            told.add(line)
            yield Finding(
                f"Cross-entropy received probabilities (rows sum to 1 in {len(here)} of {len(here)} observed calls), "
                f"so its floor is {floor:.3f} and not 0.",
                location=line,
                module=module,
                evidence={"floor": floor, "classes": here[-1].classes, "loss_line": str(site.location)},
                onset_step=here[0].step,
            )
        if doubt:
            raise NotEnoughEvidence(doubt)

    def _always(self, found: RepeatedSoftmax) -> bool:
        return found.repeated == found.calls >= self.calls.value

    @staticmethod
    def _repetition(run: Run, found: RepeatedSoftmax) -> Finding:
        """What a line of the script, or a distribution that it makes there, normalizes once more."""
        most = math.e / (math.e + found.classes - 1)
        module = run.module(found.module) if found.module >= 0 else None
        made = module is not None and module.type in TYPES["softmax"] and module.location is not None
        line = f" in line {found.location.line}" if found.location is not None else ""
        return Finding(
            f"{found.operation}{line} takes probabilities for logits (rows sum to 1 in {found.calls} of {found.calls} "
            f"observed calls), so none of the {found.classes} classes can get a probability above {most:.3g}.",
            location=module.location if made and module is not None else found.made_location or found.location,
            module=module.path if module is not None else "",
            evidence={"most": most, "classes": found.classes, "loss_line": str(found.location)},
            onset_step=found.step,
        )

    def _probabilities(self, low: float, high: float, row_sum_error: float | None) -> bool:
        return low >= 0.0 and high <= 1.0 + self.row_sum.value and (row_sum_error or 0.0) <= self.row_sum.value
