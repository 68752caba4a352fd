"""P20: updates that are rounded away because the weights are stored in 16 bits."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE


@check(
    "P20",
    "low-precision-update-lost",
    severity="error",
    evidence="B",
    needs=("stored_updates", LEARNING_RATE),
    fix="Keep the weights in float32 and compute in 16 bits: torch.autocast, without model.half() or .bfloat16().",
    patch="precision:master",
)
class LowPrecisionUpdateLost(Check):
    """Weights are stored in bfloat16 or float16, and most of the optimizer's updates round to nothing.

    ## What it checks
    A sample of the elements of every trained 16-bit matrix, from the first to the last measured step: the share of the
    gradient that fell on elements which are still bit-identical. Or, where trials were run: with float32 copies of the
    weights in the optimizer the first 300 steps achieve twice as much, in each of three seeds.
    ## Why it matters
    bfloat16 has 8 bits of mantissa: a change of less than 1/512 of the value is lost, every time, and usual updates are
    a thousandth. The loss stops falling early and nothing is reported.
    ## How to fix
    float32 weights with `torch.autocast`; or an optimizer with Kahan summation or stochastic rounding.
    ## Source
    Zamirai et al. 2020, Revisiting BFloat16 Training. The thresholds are our own.
    ## Known false alarms
    Optimizers with float32 copies, Kahan summation or stochastic rounding are recognized by their state or because the
    elements do move. While the learning rate still rises, nothing is concluded.
    """

    steps = Param(32, "stochastic rounding moves an element within as many steps if updates are 1/32 of its spacing")
    looks = Param(8, "gradients that are there in so few steps have nothing to lose")
    lost = Param(0.5, "of the gradient: the displacement keeps less than half of what was intended")

    def __call__(self, run: Run) -> Iterator[Finding]:
        trained = [u for u in run.stored_updates if run.trained(run.parameters[u.parameter])]
        if not trained:
            raise NotApplicable("no trained matrix is stored in 16 bits")
        exact = [u for u in trained if not u.master]
        if not exact:
            raise NotApplicable("the optimizer keeps the weights in more bits")
        seen = [u for u in exact if u.steps >= self.steps.value and u.looks >= self.looks.value]
        if not seen:
            raise NotEnoughEvidence(f"fewer than {self.steps.value:.0f} steps were seen")
        total = sum(u.elements for u in seen)
        lost = sum(u.lost * u.elements for u in seen) / total
        proof = next((e for e in run.experiments if (e.question, e.status) == ("P20", "confirmed")), None)
        if proof is None:
            self._raise_while_warming_up(run, run.parameters[seen[0].parameter].optimizers[0])
            if lost < self.lost.value:
                return
        worst = max(seen, key=lambda u: u.lost * u.elements)
        parameter = run.parameters[worst.parameter]
        optimizer = run.optimizers[parameter.optimizers[0]]
        held_back = ""
        if proof is not None and proof.before is not None and proof.after is not None:
            held_back = f" In {proof.steps} steps the {proof.metric} goes {proof.start:.3g} → {proof.before:.3g}, "
            held_back += f"and to {proof.after:.3g} with float32 copies of the weights in the optimizer."
        yield Finding(
            f"{lost:.0%} of the gradient falls on {worst.dtype} weights that have not changed by a single bit in "
            f"{worst.steps} steps: the updates are smaller than the spacing of the numbers and round to nothing."
            + held_back,
            location=worst.cast_location or run.location_of(parameter) or optimizer.location,
            module=parameter.name.rpartition(".")[0],
            evidence={"lost": lost, "dtype": worst.dtype, "steps": worst.steps, "matrices": len(seen)},
            parameters=tuple(u.parameter for u in seen),
        )

    @staticmethod
    def _raise_while_warming_up(run: Run, optimizer: int) -> None:
        try:
            rates = run.table(LEARNING_RATE, 4).column(optimizer).values
        except NotEnoughEvidence:
            return
        if len(rates) >= 4 and (rates[-1] > 1.2 * rates[len(rates) // 2] or not rates.any()):
            raise NotEnoughEvidence("the learning rate is zero, or still rising")
