"""Batch normalizations that are called several times in one pass of a model, or in several passes of one training step:
do all calls see the same values?

Statistics of one call are told by the running ones before and after it: no input needs to be looked at.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.nn.modules.batchnorm import _BatchNorm

_KEPT: Final = 16
"""Passes whose statistics are kept, per place in the pass."""
_FEWEST: Final = 4
_MOST_LAYERS: Final = 32
_MOST_PLACES: Final = 16


@dataclass
class _Place:
    """The statistics of the newest calls at one place of the pass: the first call of the layer, the second …"""

    means: deque[torch.Tensor] = field(default_factory=lambda: deque(maxlen=_KEPT))
    variances: deque[torch.Tensor] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Of a call."""
        self.means.append(mean)
        self.variances.append(variance.clamp_min(0))


@dataclass
class _Layer:
    """One batch normalization."""

    batches: int
    """Batches in its running statistics after the latest call that was seen …"""
    mean: torch.Tensor
    variance: torch.Tensor
    calls: int = 0
    """Calls in the pass that runs."""
    most: int = 0
    places: dict[int, _Place] = field(default_factory=dict)
    step: int = -1
    in_step: int = 0
    """Calls in that training step."""
    of_step: dict[int, _Place] = field(default_factory=dict)
    """The same for the first call in a step, the second …"""


class RepeatedUses:
    """Follows layers through the passes of their models."""

    def __init__(self) -> None:
        self._layers: dict[int, _Layer] = {}

    def called(self, index: int, module: _BatchNorm, step: int) -> None:
        """A training call is over, in this step."""
        mean, variance, count, momentum = (
            module.running_mean, module.running_var, module.num_batches_tracked, module.momentum
        )  # fmt: skip
        if mean is None or variance is None or count is None or not momentum:
            return
        if not count.is_cpu:  # reading it would make a graphics card wait
            return
        known, batches = self._layers.get(index), int(count)
        if known is None:
            if len(self._layers) < _MOST_LAYERS:
                self._layers[index] = _Layer(
                    batches, mean.detach().clone(), variance.detach().clone(), 1, 1, step=step, in_step=1
                )
            return
        known.calls += 1
        known.in_step = known.in_step + 1 if step == known.step else 1
        known.step = step
        known.most = max(known.most, known.calls)
        if batches == known.batches + 1:
            of_batch = _of_batch(mean, known.mean, momentum), _of_batch(variance, known.variance, momentum)
            if known.most > 1 and known.calls <= _MOST_PLACES:
                known.places.setdefault(known.calls, _Place()).add(*of_batch)
            if known.in_step <= _MOST_PLACES:
                known.of_step.setdefault(known.in_step, _Place()).add(*of_batch)
        known.batches, known.mean, known.variance = batches, mean.detach().clone(), variance.detach().clone()

    def pass_over(self) -> None:
        """The outermost call of a model returned."""
        for layer in self._layers.values():
            layer.calls = 0

    def facts(self, index: int) -> dict[str, Any]:
        """What is known of a layer that was called several times in a pass or a step, as fields of its record."""
        layer = self._layers.get(index)
        if layer is None or (layer.most < 2 and len(layer.of_step) < 2):
            return {}
        of_step = layer.most < 2
        places = [p for p in (layer.of_step if of_step else layer.places).values() if len(p.means) >= _FEWEST]
        facts: dict[str, Any] = {"passes": len(places)} if of_step else {"uses": layer.most}
        if len(places) > 1:
            means = torch.stack([torch.stack(list(p.means)).mean(0) for p in places])
            variances = torch.stack([torch.stack(list(p.variances)).mean(0) for p in places])
            whole = variances.mean(0) + means.var(0, correction=0)  # of what an evaluation normalizes by
            # For each use, what evaluations make of values that training normalized to mean 0 and variance 1.
            shift = ((means - means.mean(0)).abs() / whole.clamp_min(1e-12).sqrt()).median(1).values
            scale = (variances / variances.mean(0).clamp_min(1e-12)).clamp_min(1e-6).log().abs().median(1).values
            facts |= {"use_shift": float(shift.max()), "use_ratio": float(scale.max().exp())}
        return facts


def _of_batch(after: torch.Tensor, before: torch.Tensor, momentum: float) -> torch.Tensor:
    """The statistic of the batch that moved a running one from `before` to `after`."""
    return (after.detach() - (1 - momentum) * before) / momentum
