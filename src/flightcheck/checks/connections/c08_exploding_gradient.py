"""C08: gradients that grow until they destroy what was learnt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import most_common, relative_gradients, stacks
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, GRAD_NORM_TOTAL, LOSS
from flightcheck.recording.tables import Floats, Ints, Series, median

Story = tuple[int, str, dict[str, float]]


@check(
    "C08",
    "exploding-gradient",
    severity="error",
    evidence="T",
    needs=(GRAD_NORM_TOTAL, LOSS),
    fix="Clip the gradient norm between backward and step, and lower the learning rate or warm it up.",
    patch="clip:1.0 | lr:x0.1",
)
class ExplodingGradient(Check):
    """The gradient norm grows a hundredfold, and the loss grows with it.

    ## What it checks
    The norm that the optimizer used, against its own past: (1) the median of 10 steps is 100 times that of the best
    earlier 10; (2) three spikes within 20 steps, each above 10 times the running median and 8 deviations; (3) 100 times
    growth in the steps before the first NaN; (4) layers near the input get 10⁴ times the relative gradient of the last.
    (1), (2) and (4) count only if the loss got worse.
    ## Why it matters
    One step along an exploded gradient throws the weights away.
    ## How to fix
    `clip_grad_norm_` between backward and step, a lower learning rate, warm-up, orthogonal recurrent weights.
    ## Source
    Pascanu et al. 2013; AutoTrainer, TheDeepChecker (absolute limits); here a robust control chart.
    ## Known false alarms
    Heavy tails are normal in reinforcement learning, GANs and language models: isolated spikes never count, and
    those regimes are judged by rule (3) only. Where parameters get gradients that had none before (a backbone that is
    thawed), growth is information.
    """

    samples = Param(30, "a past to compare with")
    growth = Param(100, "healthy norms vary within a factor of 10 once training is under way")
    spike = Param(10, "times the median of the steps before")
    deviations = Param(8, "median absolute deviations, scaled to a normal distribution")
    decades = Param(4.0, "growth of the relative gradient towards the input; healthy networks stay within 2")
    worse = Param(1.5, "times the loss before the growth, both as distance from the best")
    lost = Param(0.5, "of the first loss: late spikes of a training that is all but done do no harm")

    def __call__(self, run: Run) -> Iterator[Finding]:
        norms = run.series(GRAD_NORM_TOTAL)
        finite = np.isfinite(norms.values) & (norms.values > 0)
        broken = min([n.step for n in run.non_finite], default=None)
        if broken is not None:
            finite &= norms.steps <= broken
        steps, values = norms.steps[finite], norms.values[finite]
        story = self._before_nan(steps, values, broken)
        free = not run.in_regime("gan", "reinforcement", "second-order")
        if story is None and broken is None and len(values) < self.samples.value:
            raise NotEnoughEvidence(f"{len(values)} of {self.samples.value:.0f} gradient norms")
        if story is None and free and len(values) >= self.samples.value:
            losses = run.series(LOSS)
            story = self._growth(steps, values, losses) or self._spikes(run, steps, values, losses)
        if story is not None:
            onset, text, evidence = story
            thawed = broken is None and _more_learn(run, onset)
            yield Finding(text, _line(run), evidence=evidence, onset_step=onset, severity="info" if thawed else None)
        elif free:
            yield from self._towards_input(run)

    def _before_nan(self, steps: Ints, values: Floats, broken: int | None) -> Story | None:
        if broken is None or len(values) < 2:
            return None
        usual, peak = median(values[: max(1, len(values) // 2)]), float(values[-5:].max())
        if peak < self.growth.value * usual:
            return None
        onset = int(steps[np.argmax(values > self.spike.value * usual)])
        text = (
            f"The gradient norm grew from {usual:.3g} to {peak:.3g} before the first NaN or infinity in step {broken}."
        )
        return onset, text, {"norm": peak, "usual": usual}

    def _growth(self, steps: Ints, values: Floats, losses: Series) -> Story | None:
        blocks = [median(values[i : i + 10]) for i in range(0, len(values) - 9, 10)]
        best = int(np.argmin(blocks[:-1])) if len(blocks) > 1 else 0
        if len(blocks) < 2 or blocks[-1] < self.growth.value * blocks[best]:
            return None
        onset = int(steps[best * 10 + int(np.argmax(values[best * 10 :] > self.spike.value * blocks[best]))])
        if not self._worse(losses, onset):
            return None
        text = f"The gradient norm grew from {blocks[best]:.3g} (step {steps[best * 10]}) to {blocks[-1]:.3g} in step "
        return onset, f"{text}{steps[-1]}, and the loss with it.", {"norm": blocks[-1], "usual": blocks[best]}

    def _spikes(self, run: Run, steps: Ints, values: Floats, losses: Series) -> Story | None:
        found = []
        for i in range(20, len(values)):
            past = values[max(0, i - 200) : i]
            usual = median(past)
            mad = 1.4826 * median(np.abs(past - usual))
            if values[i] > max(self.spike.value * usual, usual + self.deviations.value * mad):
                found.append(i)
        for a, b, c in zip(found, found[1:], found[2:]):
            regular = steps[b] - steps[a] == steps[c] - steps[b] > 1  # the last batch of each epoch
            if steps[c] - steps[a] <= 20 and not regular and self._worse(losses, int(steps[a])):
                usual, peak = median(values[:a]), float(values[[a, b, c]].max())
                text = (
                    f"The gradient norm jumped to {peak:.3g} ({peak / usual:.0f} times its median) three times within "
                )
                return int(steps[a]), f"{text}20 steps from step {steps[a]} on, and the loss got worse.", {"norm": peak}
        return None

    def _worse(self, losses: Series, onset: int) -> bool:
        """The last losses are worse than those before the onset, and most of what was learnt is lost."""
        at = max(3, int(np.searchsorted(losses.steps, onset)))
        before, after = losses.values[:at], losses.values[at:]
        if len(after) < 5:
            return False
        if not np.isfinite(after[-5:]).all() or not np.isfinite(before).all():
            return not np.isfinite(after[-5:]).all()
        low = min(float(before.min()), 0.0)
        now, then, first = (median(v) - low for v in (after[-10:], before[-10:], before[:3]))
        return now > self.worse.value * then and now > self.lost.value * first

    def _towards_input(self, run: Run) -> Iterator[Finding]:
        for stack in stacks(run):
            chosen = [layer for layer in stack.layers if not layer.symmetric]
            if len(chosen) < 4:
                continue
            strength = relative_gradients(run, chosen, 5)
            if not (np.isfinite(strength).all() and (strength > 0).all()):
                continue
            third = len(chosen) // 3
            rise = float(np.log10(strength[:third].min() / strength[-third:].max()))
            losses = run.series(LOSS)
            if rise > self.decades.value and self._worse(losses, int(losses.steps[min(5, len(losses) - 1)])):
                at = most_common(layer.matrix.write_location for layer in chosen) or chosen[0].module.location
                text = f"The relative gradient grows by {rise:.1f} decades towards the input over {len(chosen)} layers."
                yield Finding(text, at, chosen[0].module.path, {"decades": rise})


def _line(run: Run) -> Location | None:
    return run.plan.backward_location or next((o.step_location for o in run.optimizers if o.step_location), None)


def _more_learn(run: Run, onset: int) -> bool:
    """From about this step on, parameters get gradients that had none before: the norm is one of more of them."""
    if GRAD_NORM.name not in run.frames:
        return False
    table = run.table(GRAD_NORM)
    there = table.recorded & (table.values >= 0)
    before, after = there[table.steps < onset - 20], there[table.steps >= onset - 20]
    return bool(len(before) and len(after) and (after.any(0) & ~before.any(0)).any())
