"""P17: gradient clipping that has no effect, or that is all there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.clamped_gradients import ClampedGradients
from flightcheck.recording.records import Call, Location
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.recording.tables import Floats, median


@check(
    "P17",
    "gradient-clipping-misuse",
    severity="warn",
    evidence="H",
    needs=("calls", LOSS, UPDATE_NORM, WEIGHT_NORM, "ClampedGradients", "experiments"),
    fix="Clip once per step, between backward and optimizer.step(), at a norm that most steps do not reach.",
)
class GradientClippingMisuse(Check):
    """Gradients are clipped after the step, not at all, per micro-batch, or down to nothing.

    ## What it checks
    Every clipping call: whether it stands between backward and step; whether it received parameters; whether it runs
    between two backward passes of one step; whether it scales nearly every gradient down by more than ten while the
    weights hardly move and the loss does not fall, or while a trial without clipping achieves five times as much.
    Gradients that were clamped element by element, by a function or by hand, are told by their values: many of them
    are the limit itself. Then the trial decides.
    ## Why it matters
    Clipping after the step protects from nothing. A limit far below every gradient replaces the learning rate.
    ## How to fix
    Put the call directly before `optimizer.step()`; choose the limit from the observed norms (the 90th percentile).
    ## Source
    Pascanu et al. 2013; catalogue P17. Numbers ours.
    ## Known false alarms
    Clipping in every step is normal for language models and in PPO: without weights that stand still it is no
    finding. Per-example clipping with a clearing in between (differential privacy) is not reported.
    """

    calls = Param(5, "a call out of place in five rounds is a habit of the loop")
    always = Param(0.9, "of the calls at one line; the first round often differs")
    clipped = Param(0.95, "share of clipped steps from which the limit, not the gradient, sets the length of the step")
    ratio = Param(
        10.0, "median of norm/limit, from the catalogue; not measured by us, so it counts with standing weights only"
    )
    still = Param(1e-4, "‖ΔW‖/‖W‖ per step: healthy medians are 2e-3…1e-2, at a hundredth of the rate 5e-5")
    fall = Param(0.05, "share of the first loss that has to go in the run; our choice, not measured")
    steps = Param(60, "shorter runs do not show that the loss stands still")
    at_limit = Param(0.1, "of the elements that are not zero: a limit against outliers meets few; the trial decides")
    looks = Param(4, "steps at which the elements were looked at")

    def __call__(self, run: Run) -> Iterator[Finding]:
        clips = [c for c in run.calls if c.kind == "clip"]
        clamped = clamped_hard(run)
        if not clips and not clamped:
            raise NotApplicable("gradients are not clipped")
        if clamped:
            yield self._clamped(run, clamped[0], clips)
            return
        by_line: dict[Location | None, list[Call]] = defaultdict(list)
        for call in clips:
            by_line[call.location].append(call)
        if all(len(calls) < self.calls.value for calls in by_line.values()):
            raise NotEnoughEvidence(f"{len(clips)} observed clipping calls")
        judged = {at: calls for at, calls in by_line.items() if len(calls) >= self.calls.value}
        found = [f for at, calls in judged.items() for f in self._line(run, at, calls)]
        yield from found
        few = min((n for calls in judged.values() if _strangles(calls) and (n := len(_ratios(calls)))), default=None)
        if not found and few is not None and few < self.steps.value:
            raise NotEnoughEvidence(
                f"nearly every gradient is clipped, in {few} of {self.steps.value:.0f} steps so far"
            )

    def _line(self, run: Run, location: Location | None, calls: list[Call]) -> Iterator[Finding]:
        n, enough = len(calls), self.always.value * len(calls)
        nothing = sum(c.data.get("parameters") == 0 for c in calls)
        after = [c for c in calls[1:] if c.data.get("after_step")]
        if nothing >= enough:
            yield Finding(
                f"Clipping got no parameters in {nothing} of {n} calls, so it does nothing (a used-up generator?).",
                location=location,
                evidence={"calls": n, "without_parameters": nothing},
                fix="Pass model.parameters() itself, not a generator that was already consumed.",
            )
        elif len(after) >= self.always.value * (n - 1):
            yield Finding(
                "Gradients are clipped after optimizer.step() has used them, before the next backward makes new ones "
                f"({len(after)} of {n - 1} calls): clipping has no effect.",
                location=location,
                evidence={"calls": n, "after_step": len(after)},
                onset_step=after[0].step,
                patch=_clip(calls),
                fix="Move the clipping between loss.backward() and optimizer.step().",
            )
        elif (micro := self._micro(run, location)) >= 0.5 * n:
            yield Finding(
                f"Gradients are clipped after each micro-batch ({micro} of {n} calls had another backward pass to come "
                "before the step): the accumulated sum is clipped again and again.",
                location=location,
                evidence={"calls": n, "between_backwards": micro},
                fix="Clip once, directly before optimizer.step().",
            )
        else:
            yield from self._strangled(run, location, calls)

    def _micro(self, run: Run, location: Location | None) -> int:
        """Calls at this line after which a backward pass adds to the same gradients before the step."""
        count = 0
        open_clip = backward_since = False
        for call in run.calls:
            if call.kind in {"step", "scaler_step", "scaler_skip", "zero_grad"}:
                open_clip = backward_since = False
            elif call.kind == "backward":
                backward_since = open_clip
            elif call.kind == "clip" and call.location == location:
                count += backward_since
                open_clip, backward_since = True, False
        return count

    def _clamped(self, run: Run, clamped: ClampedGradients, clips: list[Call]) -> Finding:
        """Of each gradient its sign is left."""
        proof, proved = _proof(run)
        share = median(clamped.shares)
        return Finding(
            f"Gradients are clamped to ±{clamped.limit:.3g}, and {share:.0%} of their elements are that limit: what is "
            f"left of these is their sign.{proved}",
            location=clamped.location or next((c.location for c in clips), None),
            evidence={"share": share, "limit": clamped.limit},
            severity=None if proof else "info",
            patch="clip:off",
            fix="Clip the norm of all gradients together, at one that most steps do not reach (1.0 is usual).",
        )

    def _strangled(self, run: Run, location: Location | None, calls: list[Call]) -> Iterator[Finding]:
        known = _known(calls)
        ratios = _ratios(calls)
        if len(ratios) < self.steps.value or not _strangles(calls):
            return
        factor = median(ratios)
        updates, weights, losses = run.table(UPDATE_NORM), run.table(WEIGHT_NORM), run.series(LOSS).values
        moves = []
        for p in run.parameters:
            if p.role == "matrix" and run.trained(p):
                u, w = updates.column(p.index).values, weights.column(p.index).values
                if len(u) and len(w) and median(w) > 0:
                    moves.append(median(u) / median(w))
        part = len(losses) // 4
        if not moves or part < 5 or not np.isfinite(losses).all():
            return
        first, last, move = median(losses[:part]), median(losses[-part:]), median(moves)
        stands = last > first - self.fall.value * abs(first)
        proof, proved = _proof(run)
        yield Finding(
            f"Clipping at {known[-1][1]:.3g} scales {100 * float((ratios > 1).mean()):.0f} % of the gradients down, by "
            f"a median of {factor:.0f}: the limit, not the gradient, sets the length of the step"
            + (
                f"; weights move by {move:.1e} of their norm per step and the loss stands at {last:.3g}."
                if stands
                else "."
            )
            + proved,
            location=location,
            evidence={"ratio": factor, "update_ratio": move, "first": first, "last": last},
            severity=None if proof or (stands and move < self.still.value) else "info",
            patch="clip:off",
            fix=f"Clip at about {float(np.quantile([n for n, _ in known], 0.9)):.2g}, the 90th percentile seen.",
        )


def _proof(run: Run) -> tuple[bool, str]:
    """A trial without clipping is better by far; and in words, how much."""
    e = next((e for e in run.experiments if (e.question, e.status) == ("P17", "confirmed")), None)
    if e is None or e.before is None or e.after is None:
        return e is not None, ""
    return True, f" Without clipping the {e.metric} after {e.steps} steps is {e.after:.3g} and not {e.before:.3g}."


def clamped_hard(run: Run) -> list[ClampedGradients]:
    """Optimizers whose gradients hold one limit and its negative again and again."""
    limits = GradientClippingMisuse
    return [
        c
        for c in run.recorded(ClampedGradients)
        if len(c.shares) >= limits.looks.value and median(c.shares) > limits.at_limit.value
    ]


def _ratios(calls: list[Call]) -> Floats:
    """The norm of each clipped gradient over its limit."""
    return np.array([n / m for n, m in _known(calls) if np.isfinite(n) and m > 0])


def clips_hard(run: Run) -> bool:
    """Somewhere the limit of the norm, and not the gradient, sets the length of nearly every step."""
    by_line: dict[Location | None, list[Call]] = defaultdict(list)
    for call in run.calls:
        if call.kind == "clip":
            by_line[call.location].append(call)
    return bool(clamped_hard(run)) or any(_strangles(calls) for calls in by_line.values())


def _strangles(calls: list[Call]) -> bool:
    ratios = _ratios(calls)
    limits = GradientClippingMisuse
    if len(ratios) < limits.calls.value or any(c.data.get("scaled") for c in calls):
        return False
    return bool((ratios > 1).mean() > limits.clipped.value and median(ratios) > limits.ratio.value)


def _known(calls: list[Call]) -> list[tuple[float, float]]:
    """Norm and limit of the calls that had both."""
    return [(c.data["norm"], c.data["max_norm"]) for c in calls if c.data.get("norm") and c.data.get("max_norm")]


def _clip(calls: list[Call]) -> str:
    """The patch that clips before each step at the limit of these calls; empty where they clip each value."""
    limits = {float(c.data["max_norm"]) for c in calls if c.data.get("norm") is not None and c.data.get("max_norm")}
    return f"clip:{limits.pop():g}" if len(limits) == 1 else ""
