"""P01: a learning rate that throws the weights out of reach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.hand_updates import HandUpdate
from flightcheck.recording.rates import highest_rate, written_rate
from flightcheck.recording.records import OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import ACTIVATION_DEAD, ACTIVATION_SATURATED, LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.recording.tables import Floats, median


@check(
    "P01",
    "lr-too-high",
    severity="error",
    evidence="T",
    needs=(LOSS, UPDATE_NORM, WEIGHT_NORM, ACTIVATION_DEAD, ACTIVATION_SATURATED),
    fix="Lower the learning rate by a factor of ten, or warm it up.",
    patch="lr:x0.1 | lr:x0.01",
)
class LrTooHigh(Check):
    """Steps as large as the weights themselves, and a loss that diverged, came back to its start, or got stuck.

    ## What it checks
    Both of two things. In at least three of the first 50 steps the update ‖ΔW‖/‖W‖ of the median matrix is above the
    limit; and harm: the loss is not finite or ten times its start, is back at its start after a
    spike or after it had fallen, or stays high after a spike with units dying. Or, where trials were run: from the same
    start, on the same batches, the loss after 60 steps or more is above that at a tenth of the rate by more than a
    tenth of what the smaller rate achieved, in each of three seeds.
    ## Why it matters
    A few such steps destroy the initialization: ReLUs die, tanh units saturate, and no later step brings them back.
    ## How to fix
    A tenth of the rate, or a warm-up over the first steps.
    ## Source
    Catalogue P01, C05, C11. Thresholds chosen on 560 short runs (10 small models × 4 optimizers × 6–8 rates × 2
    seeds, digits and diabetes): ratio, spike and dead units each overlap with runs that learn well; together
    with the loss they fired on 139 of 187 harmed runs and on 2 of 373 others (Adam at 0.1). The same runs served to
    choose the thresholds and to count.
    ## Known false alarms
    Losses of GANs and of reinforcement learning are no measure of progress: there only divergence counts. Unscaled
    inputs and missing zero_grad look alike; their own checks name them.
    """

    window = Param(50, "steps in which a destructive rate shows; later the weights have grown with it")
    ratio = Param(
        0.3, "no separator alone: 141 Adam/RMSprop runs that learned had median 0.19, 90 % 0.40, maximum 0.60"
    )
    sgd_ratio = Param(0.1, "no separator alone: 112 SGD runs that learned had median 0.04, 90 % 0.39, maximum 1.27")
    samples = Param(3, "measured steps among the first 50; the third largest counts, not one outlier")
    losses = Param(40, "the end of a shorter run cannot be told from its start")
    spike = Param(1.5, "times the start; 90 % of the runs that learned stayed below 1.1 (SGD), 3.2 (Adam/RMSprop)")
    great = Param(5.0, "times the start: a spike that lasts three steps and speaks for itself, half the ratio will do")
    fell = Param(0.7, "a loss that had lost 30 % had learned; batch noise of ten losses is smaller")
    back = Param(0.9, "back at the start, minus what a constant prediction gains")
    high = Param(0.15, "share of the start that remains; our choice, as a regression may have its noise floor above it")
    diverged = Param(10.0, "times the start loss")
    dying = Param(
        0.3, "growth of the share of dead units; runs that learned: 90 % below 0.06 (SGD), 0.58 (Adam/RMSprop)"
    )
    dead = Param(0.65, "share that cripples a layer; regression at a good rate may lose half of one and still learn")

    def __call__(self, run: Run) -> Iterator[Finding]:
        stepping = [o for o in run.optimizers if o.steps]
        if not stepping:
            if not run.recorded(HandUpdate):
                raise NotApplicable("no optimizer stepped")
            yield from self._by_hand(run)
            return
        if run.maximizes:
            raise NotApplicable("the loss is maximized: that it grows is progress")
        losses = run.series(LOSS, int(self.samples.value)).values
        ratios, optimizer = self._ratios(run, stepping)
        limit = self.sgd_ratio.value if optimizer.type in {"SGD", "ASGD"} else self.ratio.value
        finite = losses[np.isfinite(losses)]
        if len(finite) > 3 and float(np.sort(finite)[-3]) > self.great.value * abs(float(finite[0])):
            limit /= 2
        third = float(np.sort(ratios)[-3])
        if not third > limit:
            yield from self._tried(run, optimizer)
            return
        harm = self._harm(run, losses)
        if harm is None:
            yield from self._tried(run, optimizer)
            return
        if _refuted(run) and not harm[1]:
            return
        what, severe, onset = harm
        rate = highest_rate(run, optimizer)
        yield Finding(
            f"The first steps of {optimizer.type}{f' (lr={rate:g})' if rate is not None else ''} changed the weights "
            f"by {self._percent(third)} of their norm (limit {self._percent(limit)}), and {what}.",
            location=optimizer.lr_location or optimizer.location,
            evidence={"update_ratio": third, "limit": limit, "lr": rate},
            onset_step=onset,
            severity=None if severe else "warn",
            fix=f"Try lr={rate / 10:.1g}, or warm up over the first 100 steps." if rate else "",
            parameters=tuple(sorted(set(optimizer.parameters))),
        )

    def _by_hand(self, run: Run) -> Iterator[Finding]:
        """Updates that the script makes itself: how large they are is not measured, but a loss that diverges tells."""
        told = list(self._tried(run, None))
        if told:
            yield from told
            return
        harm = self._harm(run, run.series(LOSS, int(self.samples.value)).values)
        if harm is None or not harm[1]:
            return
        rate, location = written_rate(run, None)
        yield Finding(
            f"The script updates its parameters itself{f' (by {rate:g} times the gradient)' if rate else ''}, and "
            f"{harm[0]}.",
            location=location,
            evidence={"lr": rate},
            onset_step=harm[2],
            fix=f"Try {rate / 10:.1g}." if rate else "",
        )

    def _tried(self, run: Run, optimizer: OptimizerInfo | None) -> Iterator[Finding]:
        """A tenth of the rate achieves more in each seed."""
        e = next((e for e in run.experiments if (e.question, e.status) == ("P01", "confirmed")), None)
        if e is None or e.start is None or e.before is None or e.after is None:
            return
        rate, location = written_rate(run, optimizer)
        factor = float(e.patch.removeprefix("lr:x"))
        yield Finding(
            f"After {e.steps} steps the {e.metric} is {e.before:.3g} (start {e.start:.3g}), and {e.after:.3g} with "
            f"{factor:g} times the learning rate, in each of {e.seeds} seeds.",
            location=location,
            evidence={"lr": rate, "before": e.before, "after": e.after, "start": e.start},
            fix=f"Try lr={rate * factor:.1g}, or warm up over the first 100 steps." if rate else "",
            patch=e.patch,
            parameters=tuple(sorted(set(optimizer.parameters))) if optimizer is not None else (),
        )

    def _ratios(self, run: Run, stepping: list[OptimizerInfo]) -> tuple[Floats, OptimizerInfo]:
        """Per measured early step the median of ‖ΔW‖/‖W‖ over the matrices, of the optimizer where it is largest."""
        updates, weights = run.table(UPDATE_NORM), run.table(WEIGHT_NORM)
        rows = {int(s): i for i, s in enumerate(weights.steps)}
        found: list[tuple[Floats, OptimizerInfo]] = []
        for optimizer in stepping:
            held = [p for p in run.parameters if optimizer.index in p.optimizers]
            columns = [p.index for p in held if p.role == "matrix" and not p.zero and p.requires_grad]
            columns = [c for c in columns if c < min(updates.values.shape[1], weights.values.shape[1])]
            medians = []
            for i, step in enumerate(updates.steps):
                if step >= self.window.value or int(step) not in rows or not columns:
                    continue
                u, w = updates.values[i, columns], weights.values[rows[int(step)], columns]
                there = (u >= 0) & (w > 0) & np.isfinite(w)
                # An update that is not finite comes from gradients that are not; it says nothing about the rate.
                if there.any() and np.isfinite(u[there]).all():
                    medians.append(median(u[there] / w[there]))
            if len(medians) >= self.samples.value:
                found.append((np.array(medians), optimizer))
        if not found:
            raise NotEnoughEvidence(f"updates were measured in fewer than {self.samples.value:.0f} of the first steps")
        return max(found, key=lambda item: float(np.sort(item[0])[-3]))

    def _harm(self, run: Run, losses: Floats) -> tuple[str, bool, int] | None:
        """What the loss suffered, whether it diverged, and since when; None if it is fine."""
        start = float(losses[0])
        if not (np.isfinite(start) and start > 0):
            return None
        finite = np.isfinite(losses)
        if not finite.all():
            first = int(np.argmin(finite))
            before = losses[:first]
            grew = float(np.sort(before)[-2:].min()) if first > 2 else 0.0
            if grew > self.diverged.value * start and not finite[-1]:
                return (
                    f"the loss grew from {start:.3g} to {grew:.3g} and is {losses[-1]} since step {first}",
                    True,
                    int(np.argmax(before > self.diverged.value * start)),
                )
            return None
        end = median(losses[-max(10, len(losses) // 5) :])
        smooth = np.array([median(losses[i : i + 3]) for i in range(len(losses) - 2)])
        top = float(smooth.max())
        peak = int(smooth.argmax())
        if len(losses) >= 20 and end > self.diverged.value * start:
            return f"the loss rose from {start:.3g} to {end:.3g}", True, peak
        if run.in_regime("gan", "reinforcement") or losses.min() <= 0:
            return None
        if len(losses) < self.losses.value:
            raise NotEnoughEvidence(f"{len(losses)} of {self.losses.value:.0f} losses: their end is not known yet")
        spiked = top > self.spike.value * start
        blocks = np.array([median(losses[i : i + 10]) for i in range(0, len(losses) - 9, 5)])
        dying, share, layer = self._dying(run)
        dead = f"; {100 * share:.0f} % of the units of {layer}" if dying > self.dying.value else ""
        if end >= self.back.value * start:
            if spiked:
                return (
                    f"the loss spiked to {top:.3g} and ended at {end:.3g}, not below its start {start:.3g}{dead}",
                    False,
                    peak,
                )
            if blocks.min() < self.fell.value * start:
                low = int(blocks.argmin()) * 5
                return (
                    f"the loss fell to {blocks.min():.3g} and then came back to its start ({end:.3g}){dead}",
                    False,
                    low,
                )
            if dead:
                return f"the loss stands at {end:.3g} (start {start:.3g}){dead}", False, 0
        elif end >= self.high.value * start and spiked and share > self.dead.value and dead:
            return f"the loss spiked to {top:.3g} and hangs at {end:.3g}{dead}", False, peak
        return None

    def _dying(self, run: Run) -> tuple[float, float, str]:
        """Of the layer with most dead or saturated units among those where they grew many: growth, share, and which."""
        grown = [(0.0, 0.0, "")]
        for signal, fate in ((ACTIVATION_DEAD, "are dead"), (ACTIVATION_SATURATED, "are saturated")):
            try:
                table = run.table(signal, 4)
            except NotEnoughEvidence:
                continue
            for module in run.modules:
                shares = table.column(module.index).values
                shares = shares[np.isfinite(shares)]
                if len(shares) >= 4:
                    last = float(shares[-3:].min())
                    grown.append((last - float(shares.min()), last, f"{module.path} {fate}"))
        return max(grown, key=lambda g: (g[0] > self.dying.value, g[1] if g[0] > self.dying.value else g[0]))

    @staticmethod
    def _percent(ratio: float) -> str:
        return f"{100 * ratio:.0f} %" if ratio < 10 else f"{ratio:.0f} times"


def _refuted(run: Run) -> bool:
    """Smaller rates were tried, and none of them does better."""
    tried = [e.status for e in run.experiments if e.question == "P01"]
    return bool(tried) and set(tried) == {"refuted"}
