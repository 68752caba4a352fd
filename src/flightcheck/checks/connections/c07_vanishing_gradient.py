"""C07: the gradient shrinks from layer to layer until the first ones do not learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks import depth
from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import ACTIVATION_RMS, ACTIVATION_SPREAD, GRAD_NORM, UPDATE_NORM, WEIGHT_NORM

SWAPPED: Final = "swap-activation:relu"
_STACKED: Final = 3
"""Saturating activations: of two the gradient is still large."""


@check(
    "C07",
    "vanishing-gradient",
    severity="warn",
    evidence="H",
    needs=(GRAD_NORM, WEIGHT_NORM),
    fix="Use ReLU-like activations with He's initialization, residual connections or normalization.",
    patch="insert-norm:layer | reinit:kaiming",
)
class VanishingGradient(Check):
    """The gradient falls by decades towards the first layers, and the model does not learn.

    ## What it checks
    ‖gradient‖/‖weight‖ of the matrices in the order of their calls, median over the sampled steps. Fires if it falls by
    3 decades towards the input (2.5 where sigmoid or tanh layers are stacked) steadily with depth, and the model does
    not learn: the loss stays, or the output is the same for every example, or the first layers hardly change. Where it
    falls less, or there are fewer layers, and the loss stays: three or more saturating activations are exchanged for
    ReLU in a trial; it fires if that learns five times as much, and 5 % of the start at least.
    ## Why it matters
    The layers near the input keep their random weights, however long the training.
    ## How to fix
    Replace sigmoid and tanh between layers by ReLU or GELU; He initialization; residual connections; normalization.
    ## Source
    Glorot and Bengio 2010; the relative measure, because absolute gradients follow the scale of the loss.
    ## Known false alarms
    None known while the model learns: then it stays silent. Recurrent networks are not judged over time.
    """

    layers = Param(4, "a fall over fewer layers is no trend")
    decades = Param(3.0, "healthy networks keep the relative gradient within 2 decades over their depth")
    stacked_decades = Param(2.5, "sigmoid multiplies by at most 1/4 per layer; 0.15 with the default initialization")
    order = Param(0.8, "rank correlation with depth: a steady fall, not one odd layer")
    update = Param(1e-7, "a relative change below float32 resolution")
    improved = Param(0.02, "a loss that falls by more than 2 % is learning")
    spread = Param(1e-2, "output that differs by less than 1 % between examples says nothing about them")
    first = Param(3, "measured steps in which weights have hardly moved")
    samples = Param(5, "median over several sampled steps")

    def __call__(self, run: Run) -> Iterator[Finding]:
        judged, told, doubt = False, False, ""
        for stack in depth.stacks(run):
            chosen = [layer for layer in stack.layers if not layer.symmetric]
            if len(chosen) < self.layers.value:
                continue
            judged = True
            strength = depth.relative_gradients(run, chosen, int(self.samples.value))
            there = np.isfinite(strength) & (strength > 0)
            if there.sum() < self.layers.value:
                doubt = "gradients of too few layers were measured"
                continue
            kept = [layer for layer, ok in zip(chosen, there) if ok]
            values = np.log10(strength[there])
            third = max(1, len(values) // 3)
            fall = _fall(values)
            stacked = Counter(
                a for m in run.modules if m.root in stack.roots and m.order >= 0 and (a := depth.activation_of(run, m))
            )
            activation = stacked.most_common(1)[0][0] if stacked.total() >= max(3, len(chosen) // 2) else ""
            limit = self.stacked_decades.value if activation else self.decades.value
            if fall < limit or _rank_correlation(values) < self.order.value or self._learns(run, kept):
                continue
            inside = [m for m in run.modules if m.root in stack.roots]
            saturating = [m for m in inside if m.order >= 0 and depth.activation_of(run, m)]
            # One activation may serve several layers: its own line says more than that of the layers.
            saturating = [m for m in inside if m.type == activation] or saturating
            first = min(saturating, key=lambda m: m.order) if activation else kept[0].module
            yield Finding(
                f"The relative gradient falls by {fall:.1f} decades from the last to the first of {len(kept)} layers "
                f"(limit {limit:g})" + (f" through {activation} layers" if activation else "") + ", and the model does "
                "not learn.",
                location=first.location,
                module=depth.common_path(layer.module.path for layer in kept),
                evidence={
                    "decades": fall,
                    "activation": activation,
                    "layers": len(kept),
                    "from_start": self._fall_at_start(run, kept) >= limit,
                },
                # Weights that suited the one may be too small for the other, deep down: then both are tried together.
                patch="swap-activation:relu | swap-activation:relu+reinit:kaiming" if activation else "",
                fix=f"Replace {activation} between the layers by ReLU or GELU." if activation else "",
                parameters=tuple(layer.matrix.index for layer in kept[:third]),
            )
            told = True
        if not told and (proven := _proven(run)) is not None:
            yield proven
            return
        if doubt and not told:
            raise NotEnoughEvidence(doubt)
        if not judged:
            raise NotApplicable(f"no model with {self.layers.value:.0f} linear or convolutional layers")

    def _fall_at_start(self, run: Run, chosen: list[depth.Layer]) -> float:
        """The fall while the weights are still nearly those of the start: no decay has made it."""
        few = int(self.first.value)
        strength = depth.relative_gradients(run, chosen, few, first=few)
        return _fall(np.log10(strength)) if np.isfinite(strength).all() and (strength > 0).all() else 0.0

    def _learns(self, run: Run, chosen: list[depth.Layer]) -> bool:
        rms, spread = run.table(ACTIVATION_RMS), run.table(ACTIVATION_SPREAD)
        last = chosen[-1].module.index
        if depth.at_row(spread, -1, last) < self.spread.value * depth.at_row(rms, -1, last):
            return False
        update, weight = run.table(UPDATE_NORM), run.table(WEIGHT_NORM)
        first = chosen[0].matrix.index
        ratios = [
            depth.at_row(update, row, first) / (depth.at_row(weight, row, first) or 1.0)
            for row in range(-5, 0)
            if len(update) >= 5
        ]
        if ratios and float(np.nanmax([*ratios, 0.0])) < self.update.value and np.isfinite(ratios).any():
            return False
        return depth.improvement(run) >= self.improved.value


def _fall(values: depth.Floats) -> float:
    """Decades from the largest of the last third of the layers to the smallest of the first."""
    third = max(1, len(values) // 3)
    return float(values[-third:].max() - values[:third].min())


def stacked_activation(run: Run) -> list[ModuleInfo]:
    """Layers with saturating activations behind most of them, where nothing was learnt in the watched steps: a trial
    with others would show whether they are to blame.
    """
    for root in depth.trained_roots(run):
        flat = [m for m in run.modules if m.root == root and m.order >= 0 and depth.activation_of(run, m)]
        layers = depth.layers(run, root)
        if len(flat) >= max(_STACKED, (len(layers) + 1) // 2) and not _falls(run):
            return sorted(flat, key=lambda m: m.order)
    return []


def _falls(run: Run) -> bool:
    try:
        return depth.improvement(run) >= VanishingGradient.improved.value
    except NotEnoughEvidence:
        return True


def _proven(run: Run) -> Finding | None:
    """A trial with ReLU in their place learns, and the training as it is does not."""
    tried = (e for e in run.experiments if e.question == "C07" and e.patch == SWAPPED and e.status == "confirmed")
    e, flat = next(tried, None), stacked_activation(run)
    if e is None or not flat or e.before is None or e.after is None or e.start is None:
        return None
    activation = Counter(depth.activation_of(run, m) for m in flat).most_common(1)[0][0]
    return Finding(
        f"Through {len(flat)} {activation} layers nothing is learnt: in {e.steps} steps the {e.metric} goes from "
        f"{e.start:.3g} to {e.before:.3g}, and with ReLU in their place to {e.after:.3g}, in each of {e.seeds} seeds.",
        location=flat[0].location,
        module=depth.common_path(m.path for m in flat),
        evidence={"activation": activation, "layers": len(flat), "before": e.before, "after": e.after},
        patch=SWAPPED,
        fix=f"Replace {activation} between the layers by ReLU or GELU.",
    )


def _rank_correlation(values: depth.Floats) -> float:
    """Spearman's correlation of the values with their position."""
    return float(np.corrcoef(np.argsort(np.argsort(values)), np.arange(len(values)))[0, 1])
