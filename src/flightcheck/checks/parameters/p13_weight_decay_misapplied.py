"""P13: weight decay that outweighs the gradient, or acts on what it should leave alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.frozen import frozen
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LOSS, WEIGHT_NORM
from flightcheck.recording.tables import Floats, Table, median

DECOUPLED = {"AdamW", "SGDW", "NAdamW", "Lion", "AdamW8bit", "Lamb", "LAMB", "Muon", "Sophia", "SophiaG", "RAdamW"}
"""Optimizers that subtract lr x decay x weight beside the step; the others add decay x weight to the gradient."""
RESCALING = {"Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta"}

_USUAL: Final = (0.01, 0.3)
"""Decays that AdamW is given: 0.01 by PyTorch, 0.05 for vision transformers, 0.1 for language models."""
_MANY: Final = 100
_WEIGHTS: Final = ("matrix", "embedding")
WITHOUT: Final = "regularization:weight_decay"
"""The training without its decay."""


@frozen
class _Decayed:
    """A parameter under decay: its rate, and whether the decay goes through the gradient."""

    info: ParameterInfo
    decay: float
    coupled: bool


@check(
    "P13",
    "weight-decay-misapplied",
    severity="warn",
    evidence="H",
    needs=("optimizers", GRAD_NORM, WEIGHT_NORM, LOSS),
    fix="Use a smaller weight_decay (1e-4 for SGD, 1e-2 for AdamW), and none for biases and the gains of norms.",
    patch=WITHOUT,
)
class WeightDecayMisapplied(Check):
    """Weight decay is stronger than the gradient and erases the weights, or is scaled away by Adam.

    ## What it checks
    For most of the decayed matrices: the pull of the decay is larger than the gradient in most measured steps, their
    norms fell to less than half, and the loss stayed above half of its first value. Or that pull is more than half of
    the gradient for most of the decayed weights, or Adam is given a decay that is usual for AdamW, and a trial without
    decay brings the error of evaluations down by a third. Information: decay in Adam, which divides it by the size of
    the gradients, and decay of single-number parameters.
    ## Why it matters
    All weights shrink to zero together, and the network answers the same to everything: it looks like a learning rate
    or an initialization that is wrong.
    ## How to fix
    A hundredth of the decay; AdamW in place of Adam; a parameter group without decay for biases, gains and scalars.
    ## Source
    Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization; CS231n. Thresholds are our own.
    ## Known false alarms
    At the end of a long training decay and gradient balance, and weights before a normalization may shrink without
    harm: therefore half of the norm and a loss that did not fall are asked for as well.
    """

    pull = Param(1.0, "decay against gradient: above 1 the weights go towards zero and not down the loss")
    balance = Param(0.5, "of them: in the first hundreds of steps usual decay is lost in the gradient's noise")
    most = Param(
        0.5, "of the decayed weights or matrices, and of the steps: not a single layer that has nothing to learn"
    )
    shrunk = Param(0.5, "of the first norm: no healthy start of a training halves all its matrices")
    learnt = Param(0.5, "of the first loss: who halves it has learnt, whatever the norms do")
    samples = Param(16, "enough steps to tell a trend of the norms from noise")

    def __call__(self, run: Run) -> Iterator[Finding]:
        stepping = [o for o in run.optimizers if o.steps]
        decaying = [(o, d) for o in stepping if (d := list(self._decayed(run, o)))]
        if not decaying:
            raise NotApplicable("no optimizer that stepped has weight decay")
        for optimizer, decayed in decaying:
            matrices = [d for d in decayed if d.info.role in _WEIGHTS]
            erased = list(self._erased(run, optimizer, matrices)) or list(self._proven(run, optimizer, matrices))
            yield from erased or self._advice(optimizer, decayed)

    def in_balance(self, run: Run) -> bool:
        """In most decayed weights of an optimizer decay and gradient are in balance, or the decay is one that AdamW is
        given: a trial without decay tells.
        """
        return any(self._is_suspicious(o, matrices, pull) for o, matrices, pull in self._pulls(run))

    def outweighs(self, run: Run) -> bool:
        """In most decayed weights of an optimizer decay and gradient are in balance."""
        return any(pull is not None and pull > self.balance.value for _, _, pull in self._pulls(run))

    def _pulls(self, run: Run) -> Iterator[tuple[OptimizerInfo, list[_Decayed], float | None]]:
        for optimizer in (o for o in run.optimizers if o.steps):
            matrices = [d for d in self._decayed(run, optimizer) if d.info.role in _WEIGHTS]
            yield optimizer, matrices, self._usual_pull(run, matrices)

    def _is_suspicious(self, optimizer: OptimizerInfo, matrices: list[_Decayed], pull: float | None) -> bool:
        return pull is not None and (pull > self.balance.value or _is_meant_for_adamw(optimizer, matrices))

    def _usual_pull(self, run: Run, matrices: list[_Decayed]) -> float | None:
        """That on the median weight: the rows of a table of which a step sees few are most of many networks."""
        if not matrices or not {WEIGHT_NORM.name, GRAD_NORM.name} <= run.frames.keys():
            return None
        weights, gradients = run.table(WEIGHT_NORM, 2), run.table(GRAD_NORM, 2)
        if len(weights) < self.samples.value:
            return None
        pulls = [(p, m.info.numel) for m in matrices if (p := self._pull(m, weights, gradients)) is not None]
        half, seen = sum(n for _, n in pulls) / 2, 0
        for pull, numel in sorted(pulls):
            seen += numel
            if seen >= half:
                return pull
        return None

    def _proven(self, run: Run, optimizer: OptimizerInfo, matrices: list[_Decayed]) -> Iterator[Finding]:
        """Decay and gradient are in balance, the loss falls, and evaluations are far better without decay."""
        tried = (e for e in run.experiments if (e.question, e.patch, e.status) == ("P13", WITHOUT, "confirmed"))
        proof, pull = next(tried, None), self._usual_pull(run, matrices)
        if proof is None or proof.before is None or proof.after is None or pull is None:
            return
        if not self._is_suspicious(optimizer, matrices, pull):
            return
        decay = max(m.decay for m in matrices)
        if pull > self.balance.value:
            times = f"{pull:.2g}" if pull < _MANY else f"over {_MANY}"
            told = f"Weight decay {decay:g} of {optimizer.type} is {times} times as large as the gradient."
        else:
            told = f"{optimizer.type} adds its weight decay of {decay:g} to the gradient and rescales it with that."
        yield Finding(
            f"{told} Without it the {proof.measure} after {proof.steps} steps is {proof.after:.3g}, and not "
            f"{proof.before:.3g}.",
            location=_line(optimizer, matrices),
            evidence={"weight_decay": decay, "pull": pull, "before": proof.before, "after": proof.after},
            parameters=tuple(m.info.index for m in matrices),
            fix=_fix(optimizer, matrices),
        )

    def _decayed(self, run: Run, optimizer: OptimizerInfo) -> Iterator[_Decayed]:
        known = {p.index: p for p in run.parameters}
        indices = iter(optimizer.parameters)
        for group in optimizer.groups:
            decay = group.get("weight_decay") or 0.0
            coupled = optimizer.type not in DECOUPLED and not group.get("decoupled_weight_decay")
            for _, index in zip(range(int(group.get("parameters", 0))), indices):
                if isinstance(decay, int | float) and decay > 0 and index in known and known[index].requires_grad:
                    yield _Decayed(known[index], float(decay), coupled)

    def _erased(self, run: Run, optimizer: OptimizerInfo, matrices: list[_Decayed]) -> Iterator[Finding]:
        """Most matrices follow the decay and not the gradient."""
        if not matrices:
            return
        weights, gradients = run.table(WEIGHT_NORM, 2), run.table(GRAD_NORM, 2)
        losses = run.series(LOSS, 2).values
        if len(weights) < self.samples.value:
            raise NotEnoughEvidence(f"{len(weights)} of {self.samples.value:.0f} measured steps")
        pulls, shrinking = [], []
        for matrix in matrices:
            pull, shrunk = self._pull(matrix, weights, gradients), self._shrunk(matrix, weights)
            if pull is not None and shrunk is not None:
                pulls.append(pull)
                shrinking.append(shrunk)
        losing = [p > self.pull.value and s < self.shrunk.value for p, s in zip(pulls, shrinking)]
        if not losing or sum(losing) <= self.most.value * len(losing):
            return
        first, last = float(np.mean(losses[:3])), float(np.mean(losses[-max(3, len(losses) // 4) :]))
        if not (np.isfinite(last) and first > 0 and last > self.learnt.value * first):
            return
        decay = max(m.decay for m in matrices)
        yield Finding(
            f"Weight decay {decay:g} of {optimizer.type} outweighs the gradient {median(pulls):.2g} times: the "
            f"norms of {sum(losing)} of {len(losing)} matrices fell to {median(shrinking):.0%} of their first, "
            f"and the loss only from {first:.3g} to {last:.3g}.",
            location=_line(optimizer, matrices),
            evidence={"weight_decay": decay, "pull": median(pulls), "norm": median(shrinking)},
            parameters=tuple(m.info.index for m in matrices),
            fix=_fix(optimizer, matrices),
        )

    @staticmethod
    def _pull(matrix: _Decayed, weights: Table, gradients: Table) -> float | None:
        """Decay against gradient, median over the steps. Decoupled decay is compared at the first step with one of
        Adam's, whose size is about 1: later the two always come into balance.
        """
        norms, index = weights.column(matrix.info.index), matrix.info.index
        if len(norms) < 2:
            return None
        if not matrix.coupled:
            return float(norms.values[0]) * matrix.decay / math.sqrt(max(1, matrix.info.numel))
        slopes = gradients.column(index)
        both, at_norm, at_slope = np.intersect1d(norms.steps, slopes.steps, return_indices=True)
        if len(both) < 2:
            return None
        slope: Floats = np.maximum(slopes.values[at_slope], 1e-30)
        return median(matrix.decay * norms.values[at_norm] / slope)

    @staticmethod
    def _shrunk(matrix: _Decayed, weights: Table) -> float | None:
        norms = weights.column(matrix.info.index).values
        return float(norms[-1] / norms[0]) if len(norms) > 1 and norms[0] > 0 else None

    @staticmethod
    def _advice(optimizer: OptimizerInfo, decayed: list[_Decayed]) -> Iterator[Finding]:
        inside = [d for d in decayed if d.coupled]
        scalars = [d for d in decayed if d.info.role == "scalar"]
        if inside and optimizer.type in RESCALING:
            yield Finding(
                f"{optimizer.type} divides its weight decay of {inside[0].decay:g} by the size of the gradients: "
                "weights with large gradients are hardly decayed.",
                location=optimizer.location,
                evidence={"weight_decay": inside[0].decay},
                severity="info",
                fix="Use AdamW, whose decay is not scaled; its usual value is 0.01.",
            )
        elif scalars:
            yield Finding(
                f"Weight decay pulls single numbers towards zero: {', '.join(d.info.name for d in scalars[:3])}.",
                location=optimizer.location,
                evidence={"parameters": [d.info.name for d in scalars[:8]]},
                severity="info",
                parameters=tuple(d.info.index for d in scalars),
                fix="Put temperatures, scales and thresholds into a parameter group with weight_decay=0.",
            )


def _is_meant_for_adamw(optimizer: OptimizerInfo, matrices: list[_Decayed]) -> bool:
    """Of a size that is usual where the decay does not go through the gradient."""
    return optimizer.type == "Adam" and all(m.coupled and _USUAL[0] <= m.decay <= _USUAL[1] for m in matrices)


def _line(optimizer: OptimizerInfo, matrices: list[_Decayed]) -> Location | None:
    """That of the optimizer where another kind was meant; else that of the number."""
    other = _is_meant_for_adamw(optimizer, matrices)
    return (None if other else optimizer.decay_location) or optimizer.location


def _fix(optimizer: OptimizerInfo, matrices: list[_Decayed]) -> str:
    least = f"{max(m.decay for m in matrices) / 100:.1g}"
    if not _is_meant_for_adamw(optimizer, matrices):
        return f"Use a weight_decay of {least} or less."
    return f"Use AdamW, whose decay does not go through the gradient, or a weight_decay of {least} or less."
