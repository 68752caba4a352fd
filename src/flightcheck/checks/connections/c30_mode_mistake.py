"""C30: training in eval mode, or evaluation in train mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import full_batch, trained_roots, where
from flightcheck.recording.dropouts import DropoutUse, HandmadeDropout
from flightcheck.recording.records import Call, Location
from flightcheck.recording.run import Run
from flightcheck.recording.states import BatchStatistics
from flightcheck.recording.surroundings import UncalledMethod


@check(
    "C30",
    "mode-mistake",
    severity="error",
    evidence="X",
    needs=("calls", "evaluations"),
    fix="Call model.train() at the start of every training epoch and model.eval() at the start of every evaluation.",
)
class ModeMistake(Check):
    """Dropout and batch normalization were in the wrong mode.

    ## What it checks
    (a) Steps whose forward passes all ran in eval mode after earlier ones ran in train mode, or after an evaluation:
    nobody called `model.train()` again. (b) Evaluations that compute losses or metrics without gradient while
    dropout or batch normalization are in train mode, or go back to it before they are over. (c) Dropout that
    `model.eval()` does not reach, so that it stays on: called as a function without the mode; in a module that the
    model does not hold (``nn.Dropout(p)(x)`` in the forward pass, a module in a plain list); or written by hand, in a
    function that asks for no mode: what a model computed times a random mask, and divided by a constant, where a trial
    with the mean of the mask takes away a third of the error of evaluations. And statements such as ``model.eval``
    without a call. (d) Batch normalization that is in eval mode in all training steps that were seen, with the
    statistics of its construction (mean 0, variance 1, no batch counted), in a model that was not loaded.
    ## Why it matters
    Without `train()` dropout is off and batch statistics freeze for the rest of training. Without `eval()` the
    measured quality is that of a randomly thinned network, and validation data leaks into the running statistics.
    Batch normalization with mean 0 and variance 1 does nothing: a deep network trains as if it had none.
    ## How to fix
    `model.train()` as the first line of each training epoch, `model.eval()` as the first of each evaluation. Freeze
    batch normalization only after its statistics were loaded or learnt.
    ## Source
    nanoGPT#240, pytorch-fm#21, ncsn#2, vsepp#4, pytorch-fcn#57, LCFCN#20, deep-learning-v2-pytorch#3.
    ## Known false alarms
    Monte-Carlo dropout (the same input twice, in two calls or in one), statistics recalibration, frozen batch
    normalization (single modules in eval mode, with statistics of any batch or file), attacks and adversaries (other
    passes of the step are in train mode) and phases without gradient in most steps (teachers, rollouts) are silent. So
    is a model that trains in eval mode from its first step on, with statistics that another training left it, and was
    not evaluated before: a fine-tune of few examples.
    """

    steps = Param(3, "consecutive training steps in the wrong mode; attacks and probes take no steps")
    often = Param(
        0.5,
        "phases without gradient in more than half of the steps belong to the training, unless every step is an epoch",
    )
    scored = Param(2, "operations of a metric: classes are chosen and compared; labels of one's own are only chosen")

    def __call__(self, run: Run) -> Iterator[Finding]:
        roots = trained_roots(run)
        by_index = {r.index: r for r in run.roots}
        sensitive = {m.root for m in run.modules if m.kind in ("dropout", "batchnorm")}
        sensitive |= _told_the_mode(run)
        functional = [*self._functional(run), *self._by_hand(run)]
        yield from functional
        if roots and not sensitive.intersection(roots):
            if functional:
                return
            raise NotApplicable("no module depends on the mode (dropout, batch normalization)")
        forwards = [c for c in run.calls if c.kind == "forward" and c.data.get("grad", True)]
        if not forwards and not run.evaluations:
            raise NotEnoughEvidence("no forward pass of a training step was recorded")
        for root in roots:
            finding = self._training(run, root, [c for c in forwards if c.subject == root], by_index[root].loaded)
            if finding is not None:
                yield finding
            else:
                yield from self._never_normalizes(run, root)
        found = list(self._inside(run)) or list(self._evaluation(run, roots))
        yield from found or (() if functional else self._uncalled(run))

    def _training(self, run: Run, root: int, forwards: list[Call], loaded: bool) -> Finding | None:
        by_step: dict[int, list[Call]] = {}
        for c in sorted(forwards, key=lambda c: c.seq):
            by_step.setdefault(c.step, []).append(c)
        steps = sorted(by_step)
        wrong = [all(_eval_mode(c) for c in by_step[s]) for s in steps]
        start = _first_run(wrong, int(self.steps.value))
        if start is None:
            return None
        first = by_step[steps[start]][0]
        before = [c for c in run.calls if c.kind == "eval_mode" and c.subject in (root, -1) and c.seq < first.seq]
        evaluated = any(e.root == root and e.step <= steps[start] for e in run.evaluations)
        if start == 0 and (loaded or not before):
            return None  # frozen statistics of a pretrained model, or never put in train mode by its library
        if self._norms_are_fixed(run, root, first.step) or (start == 0 and not evaluated and self._learnt(run, root)):
            return None  # from its first step on it trains with the statistics that it was given
        if start > 0 and before and self._begins_a_phase(run, before[-1], first):
            return None
        switched: Location | None = before[-1].location if before else None
        late = start > 0 or evaluated
        initial = bool(self._unnormalized(run, root))
        count = sum(wrong)
        text = f"{count} of {len(steps)} observed training steps ran in eval mode, from step {first.step} on"
        text += f": eval() in {where(switched)} was never undone" if switched else ""
        text += f"; train() belongs before the training pass in {where(first.location)}."
        return Finding(
            text + " Dropout is off and batch statistics are frozen.",
            location=(first.location if late else switched) or first.location,
            evidence={
                "steps": count,
                "of": len(steps),
                "eval_line": str(switched),
                "forward_line": str(first.location),
                "initial": initial,
            },
            onset_step=first.step,
            severity=None if late or initial else "warn",
            patch="mode:train",
            fix=f"Call train() before the training pass in {where(first.location)}, after each evaluation.",
        )

    @staticmethod
    def _begins_a_phase(run: Run, switch: Call, first: Call) -> bool:
        """Written once before a loop of its own, with an optimizer of its own: fine-tuning with fixed statistics."""
        at, to = switch.location, first.location
        if at is None or to is None or (at.file, at.function) != (to.file, to.function) or at.line > to.line:
            return False
        once = sum(c.kind == "eval_mode" and c.location == at for c in run.calls) == 1
        made = [o.created_at_step for o in run.optimizers if o.steps]
        return once and any(0 < switch.step <= step <= first.step for step in made)

    @staticmethod
    def _norms_are_fixed(run: Run, root: int, step: int) -> bool:
        """From then on an optimizer learns that was made for another phase and holds no batch normalization: what is
        not trained any more is to compute what it computed before.
        """
        norms = {m.index for m in run.modules if m.root == root and m.kind == "batchnorm"}
        weights = {p.index for p in run.parameters if p.module in norms}
        made = max((o.created_at_step for o in run.optimizers if o.steps and o.created_at_step <= step), default=0)
        latest = [o for o in run.optimizers if o.steps and o.created_at_step == made]
        return made > 0 and bool(weights) and not any(weights.intersection(o.parameters) for o in latest)

    @staticmethod
    def _learnt(run: Run, root: int) -> bool:
        """Batch normalization has other statistics than those of its construction, and used them in training only."""
        mine = {m.index for m in run.modules if m.root == root}
        norms = [n for n in run.batch_statistics if n.module in mine]
        return bool(norms) and not any(n.initial for n in norms)

    def _unnormalized(self, run: Run, root: int) -> list[BatchStatistics]:
        """Batch normalizations of a model that use the statistics of their construction in training."""
        mine = {m.index for m in run.modules if m.root == root}
        return [
            n for n in run.batch_statistics
            if n.module in mine and n.initial and not n.calls and n.fixed_calls >= self.steps.value
        ]  # fmt: skip

    def _never_normalizes(self, run: Run, root: int) -> Iterator[Finding]:
        fixed = self._unnormalized(run, root)
        if not fixed:
            return
        module = run.module(fixed[0].module)
        line = next((n.mode_location for n in fixed if n.mode_location), None)
        at = line or next((r.call_location for r in run.roots if r.index == root), None)
        by = f" (eval() in {where(line)})" if line else ""
        layers = "1 BatchNorm layer" if len(fixed) == 1 else f"{len(fixed)} BatchNorm layers"
        yield Finding(
            f"{layers} ran in eval mode in every observed training step{by}, with the statistics of the construction "
            "(mean 0, variance 1, no batch counted): nothing is normalized.",
            location=at,
            module=module.path if module else "",
            evidence={"layers": len(fixed), "initial": True, "eval_line": str(line or "")},
            patch="mode:batchnorm",
            fix="Leave BatchNorm in train mode while the model trains from scratch; freeze it only after its "
            "statistics were loaded or learnt.",
        )

    def _evaluation(self, run: Run, roots: list[int]) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement"):
            return
        total, told = max(run.info.steps, 1), _told_the_mode(run)
        for root in sorted({e.root for e in run.evaluations}):
            phases = [e for e in run.evaluations if e.root == root]
            wrong = [
                e for e in phases
                if ("train" in e.modes.values() or (root in told and e.training_flag))
                and (e.losses or e.metrics) and not e.same_input and not e.grad_enabled
            ]  # fmt: skip
            frequent = len({e.step for e in phases}) > self.often.value * total
            scored = all(e.losses or e.metrics >= self.scored.value for e in wrong)
            if not wrong or (frequent and not (full_batch(run) and scored)):
                continue
            kinds = sorted({k for e in wrong for k, mode in e.modes.items() if mode == "train"}) or ["dropout"]
            at = wrong[0].loop_location or wrong[0].location
            named = next((u.location for u in run.recorded(UncalledMethod) if u.name == "eval"), None)
            why = f"eval() belongs before {where(at)}" if named is None else "eval is named, but not called"
            yield Finding(
                f"{len(wrong)} of {len(phases)} evaluations ran with {' and '.join(kinds)} in train mode (first after "
                f"step {wrong[0].step}): {why}.",
                location=named or at,
                evidence={"evaluations": len(wrong), "of": len(phases), "modes": kinds},
                onset_step=wrong[0].step,
                patch="mode:eval",
                fix=f"Call eval() before the evaluation in {where(at)}, and train() after it.",
            )

    @staticmethod
    def _inside(run: Run) -> Iterator[Finding]:
        """Evaluations that begin in eval mode, and go on in train mode: ``train()`` stands in their loop."""
        flipped = [e for e in run.evaluations if e.flipped and (e.losses or e.metrics) and not e.same_input]
        if run.in_regime("gan", "reinforcement") or not flipped:
            return
        first = flipped[0]
        modes = [c for c in run.calls if c.step == first.step and c.subject in (first.root, -1)]
        eval_seq = next((c.seq for c in modes if c.kind == "eval_mode"), -1)
        line = next((c.location for c in modes if c.kind == "train_mode" and c.seq > eval_seq), None)
        yield Finding(
            f"{_evaluations(len(flipped))} went from eval to train mode half-way ({first.flipped} of {first.calls} "
            f"passes of the first): train() in {where(line)} belongs behind the loop in {where(first.location)}.",
            location=line or first.location,
            evidence={"evaluations": len(flipped), "passes": first.flipped, "of": first.calls, "modes": ["flipped"]},
            onset_step=first.step,
            patch="mode:eval",
            fix=f"Move train() in {where(line)} out of the loop, behind the evaluation.",
        )

    @staticmethod
    def _uncalled(run: Run) -> Iterator[Finding]:
        """``model.eval`` as a statement: it does nothing, whether an evaluation was seen or not."""
        for method in run.recorded(UncalledMethod):
            if method.name in ("eval", "train"):
                yield Finding(
                    f"{method.name} is named in {where(method.location)}, but not called: dropout and batch "
                    "normalization stay in the mode they are in.",
                    location=method.location,
                    evidence={"uncalled": method.name},
                    fix=f"Call it: {method.name}().",
                    patch=f"mode:{method.name}",
                )

    def _functional(self, run: Run) -> Iterator[Finding]:
        """Dropout that stays on in eval mode, because nothing tells it of the mode."""
        for line in dict.fromkeys(e.functional_dropout for e in run.evaluations):
            if line is None:
                continue
            phases = [e for e in run.evaluations if e.functional_dropout == line]
            unheld = phases[0].unheld_dropout
            if unheld and any(e.same_input for e in phases):
                continue  # Monte-Carlo dropout
            why = "is in a module that the model does not hold, so that eval() does not reach it:"
            why = why if unheld else "is called as a function and stays on in eval mode:"
            yield Finding(
                f"Dropout in {where(line)} {why} {_evaluations(len(phases))} gave random results.",
                location=line,
                evidence={"evaluations": len(phases), "modes": ["unheld dropout" if unheld else "functional dropout"]},
                onset_step=phases[0].step,
                patch="mode:eval",
                fix="Make the module once, in __init__, as an attribute (self.drop = nn.Dropout(p)) or in a ModuleList."
                if unheld
                else "Pass training=self.training (to attention: dropout_p=p if self.training else 0.0).",
            )

    @staticmethod
    def _by_hand(run: Run) -> Iterator[Finding]:
        """Told only where evaluations are better without it: a channel that loses packets is meant to be random."""
        for line in handmade_dropouts(run):
            patch = off_in_evaluations(line)
            if any((e.question, e.patch, e.status) == ("C30", patch, "confirmed") for e in run.experiments):
                yield Finding(
                    f"Dropout in {where(line)} is written by hand and never asks for the mode, so that it stays on in "
                    "evaluations, which give random results.",
                    location=line,
                    evidence={"modes": ["handmade dropout"]},
                    patch=patch,
                    fix="Return the input as it is unless self.training, or use nn.Dropout.",
                )


def handmade_dropouts(run: Run) -> list[Location]:
    """Lines of dropout written by hand that asks for no mode, where answers are not random on purpose."""
    meant = run.in_regime("gan", "reinforcement") or any(e.same_input for e in run.evaluations)
    return [] if meant else [use.location for use in run.recorded(HandmadeDropout)]


def off_in_evaluations(line: Location) -> str:
    """The patch that puts the mean of its mask in the place of the mask, in evaluations alone."""
    return f"dropout:{PurePath(line.file).name}:{line.line}=eval"


def _told_the_mode(run: Run) -> set[int]:
    """Models that call dropout as a function and tell it their mode: ``training=self.training``."""
    lines = [u for u in run.recorded(DropoutUse) if u.module < 0 and u.location is not None]
    inside = {u.inside for u in lines if u.location is not None and ".training" in u.location.code}
    return {m.root for m in run.modules if m.path in inside} | {r.index for r in run.roots if r.name in inside}


def _eval_mode(call: Call) -> bool:
    """The root itself is in eval mode, and so is everything in it that depends on it."""
    modes = [call.data[k] for k in ("dropout", "batchnorm") if call.data.get(k)]
    return not call.data.get("training", True) and bool(modes) and all(mode == "eval" for mode in modes)


def _first_run(wrong: list[bool], length: int) -> int | None:
    """Where the first run of `length` wrong steps begins."""
    for i in range(len(wrong) - length + 1):
        if all(wrong[i : i + length]):
            return i
    return None


def _evaluations(count: int) -> str:
    return "1 evaluation" if count == 1 else f"{count} evaluations"
