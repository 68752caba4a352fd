"""Batch normalizations whose running statistics are those of the newest batch: how much do these differ by chance?"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from flightcheck.recording.states import NEWEST_BATCH

_KEPT: Final = 16
"""Batches whose statistics are kept, per layer."""
_FEWEST: Final = 5
_MOST_LAYERS: Final = 32


@dataclass
class Newest:
    """The running statistics of one layer after the newest of its training calls that were seen."""

    momentum: float
    means: deque[torch.Tensor] = field(default_factory=lambda: deque(maxlen=_KEPT))
    variances: deque[torch.Tensor] = field(default_factory=lambda: deque(maxlen=_KEPT))
    off: float | None = None


class NewestBatches:
    """Follows the layers whose momentum leaves nothing but the newest batch in their running statistics."""

    def __init__(self) -> None:
        self._layers: dict[int, Newest | None] = {}
        """By index of the module; None where the momentum was once another one."""

    def trained(self, index: int, module: _BatchNorm) -> None:
        """A training call is over."""
        momentum, mean, variance = module.momentum, module.running_mean, module.running_var
        if momentum is None or mean is None or variance is None or not float(momentum) >= NEWEST_BATCH:
            if index in self._layers:
                self._layers[index] = None
            return
        if index not in self._layers and len(self._layers) < _MOST_LAYERS:
            self._layers[index] = Newest(float(momentum))
        known = self._layers.get(index)
        if known is not None:
            known.means.append(mean.detach().float().clone())
            known.variances.append(variance.detach().float().clone())

    def evaluated(self, index: int, module: _BatchNorm) -> None:
        """An evaluation with its running statistics begins: how far are they from the mean of the batches?"""
        known, mean = self._layers.get(index), module.running_mean
        if known is None or mean is None or len(known.means) < _FEWEST:
            return
        average = torch.stack(list(known.means)).mean(0)
        known.off = float(((mean.detach().float() - average).abs() / _deviation(known)).median())

    def facts(self, index: int) -> dict[str, Any]:
        """What is known of a layer, as fields of its record."""
        known = self._layers.get(index)
        if known is None:
            return {}
        return {"newest_weight": known.momentum, "noise": _noise(known), "off": known.off}


def _deviation(known: Newest) -> torch.Tensor:
    return torch.stack(list(known.variances)).mean(0).clamp_min(1e-12).sqrt()


def _noise(known: Newest) -> float | None:
    """Standard deviation of the running mean from batch to batch, in those of the values; median over channels.

    Second differences: what changes steadily because the weights do is no noise.
    """
    if len(known.means) < _FEWEST:
        return None
    m = torch.stack(list(known.means))
    second = (m[2:] - 2 * m[1:-1] + m[:-2]).square().mean(0).div(6.0).sqrt()
    return float((second / _deviation(known)).median())
