"""Quantiles of weights, gradients and outputs, at a few of the rounds that are measured in full anyway."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.distributions import QUANTILES, Floats, packed
from flightcheck.recording.signals import Signal

_SAMPLE: Final = 1024
"""Values of a tensor that are looked at, evenly chosen, or up to twice as many: a quantile is known to 1.6 %."""
_ROWS: Final = 32
"""Of a tensor that does not lie in one piece, so many rows are looked at."""
_LAYERS: Final = 128
"""Layers of a run; a page has no room for more."""
_GROWTH: Final = 1.25
"""Distance of two looks, as a factor of the step: fifty looks at a million steps, and most changes come early."""


class Distributions:
    """Collects the quantiles of a round; whoever holds it says which tensors there are, and when the round is over."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._next = 0.0
        self._on = True
        self._found: dict[Signal, dict[int, Floats]] = {}
        self._layers: dict[Signal, set[int]] = {}

    def off(self) -> None:
        """Look no more: in trials nobody sees it."""
        self._on = False

    def due(self) -> bool:
        """The round is measured in full anyway, and the last look lies far enough back."""
        return self._on and self._watch.sampled and self._watch.step >= self._next

    def look(self, signal: Signal, tensors: Sequence[tuple[int, torch.Tensor]]) -> None:
        """Take the quantiles of some layers' values; of a layer that was looked at in this round the first look counts.

        Args:
            signal: of scope ``spread``.
            tensors: with the index under which each is recorded.
        """
        try:
            self._look(signal, tensors)
        except Exception as e:  # tensors of a kind that cannot be read: what else is measured goes on
            self._on = False
            self._watch.note_error("distributions", e)

    def _look(self, signal: Signal, tensors: Sequence[tuple[int, torch.Tensor]]) -> None:
        found = self._found.setdefault(signal, {})
        layers = self._layers.setdefault(signal, set())
        new = [(i, t) for i, t in tensors if i not in found and (i in layers or len(layers) < _LAYERS)]
        samples = [(i, _sample(t)) for i, t in new if is_plain_tensor(t) and t.is_floating_point() and t.numel() > 1]
        if not samples:
            return
        if not self._watch.reads(samples[0][1]):
            return
        # One copy for all of them: each would make a graphics card wait.
        values = torch.cat([s for _, s in samples]).cpu().numpy()
        start = 0
        for index, sample in samples:
            here = np.sort(values[start : start + len(sample)])
            start += len(sample)
            found[index] = here[np.linspace(0, len(here) - 1, QUANTILES).round().astype(np.intp)]
            layers.add(index)

    def write(self) -> None:
        """Write what was found in this round, and wait until the next look is due."""
        if not any(self._found.values()):
            return
        for signal, found in self._found.items():
            if found:
                self._watch.writer.frame(signal, self._watch.step, packed(found))
        self._found.clear()
        self._next = max(self._watch.step + 1, self._watch.step * _GROWTH)


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    """Evenly chosen values, as float32."""
    values = tensor.detach()
    if not values.is_contiguous() and values.dim() > 1:
        values = values[:: values.shape[0] // _ROWS + 1]
    flat = values.reshape(-1)
    step = flat.numel() // _SAMPLE
    if step > 1:
        row = max(1, flat.numel() // values.shape[0])
        while math.gcd(step, row) > 1:  # else it would meet the same columns in every row
            step += 1
        flat = flat[::step]
    return flat.float()
