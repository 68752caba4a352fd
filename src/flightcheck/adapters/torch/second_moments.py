"""How large are the gradients by which an optimizer divides, beside the epsilon that it adds to them?"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy.typing as npt
import torch
from torch.optim import Optimizer

from flightcheck.adapters.torch.arrivals import Arrivals
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.states import SecondMoments

_FIRST: Final = 10
"""Steps of the optimizer before the first look; the next are at 20, 40, 80 …"""
_SAMPLE: Final = 16_384
_MOST_PARAMETERS: Final = 64
_STATES: Final = ("max_exp_avg_sq", "exp_avg_sq", "square_avg")
"""Names of the mean squared gradient: AMSGrad's, Adam's, RMSprop's."""
_DOMINATES: Final = 10.0


class MomentLooks:
    """Looks at the state of Adam and its kin."""

    def __init__(self, watch: Watch, discovery: Discovery, arrivals: Arrivals) -> None:
        self.watch = watch
        self.arrivals = arrivals
        self.discovery = discovery
        self._told: dict[int, SecondMoments] = {}
        self._next: dict[int, int] = {}

    def after_step(self, held: Held) -> None:
        """An optimizer stepped, in a round that is measured."""
        optimizer = held.optimizer()
        if optimizer is None or held.steps < self._next.get(held.info.index, _FIRST):
            return
        self._next[held.info.index] = 2 * held.steps
        for group in optimizer.param_groups:
            epsilon = group.get("eps")
            if isinstance(epsilon, (int, float)) and epsilon > 0:
                for parameter in group["params"]:
                    self._look(held, optimizer, parameter, group)

    def _look(self, held: Held, optimizer: Optimizer, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        index = self.discovery.parameter_index(parameter)
        if index is None or parameter.dim() < 2 or (index not in self._told and len(self._told) >= _MOST_PARAMETERS):
            return
        state: dict[str, Any] = optimizer.state.get(parameter, {})
        squares = next((state[n] for n in _STATES if isinstance(state.get(n), torch.Tensor)), None)
        if type(squares) is not torch.Tensor or squares.shape != parameter.shape:
            return
        flat = squares.detach().reshape(-1)
        flat = flat[:: max(1, flat.numel() // _SAMPLE) | 1][: 2 * _SAMPLE].float()
        count, betas = state.get("step"), group.get("betas")
        if betas is not None and count is not None:
            steps = float(count) if not isinstance(count, torch.Tensor) or count.is_cpu else held.steps
            flat = flat / (1 - float(betas[1]) ** steps)
        epsilon = float(group["eps"])
        used = flat > 0  # rows of an embedding may never be
        counts = torch.stack([used.sum(), (used & (flat.sqrt() < _DOMINATES * epsilon)).sum()])
        known = self._told.setdefault(index, SecondMoments(index, held.info.index, epsilon, elements=parameter.numel()))
        take = partial(_note, known, held.steps)
        if self.watch.reads(counts):
            take(counts.cpu().numpy())
        else:
            self.arrivals.send(counts, take)

    def save(self) -> None:
        """Write the records."""
        for index, record in self._told.items():
            if record.steps:
                self.watch.writer.put(record, index)


def _note(known: SecondMoments, steps: int, counts: npt.NDArray[Any]) -> None:
    """Of so many elements that are used, epsilon dominates so many."""
    used, dominated = counts.tolist()
    if used:
        known.dominated.append(round(dominated / used, 4))
        known.steps.append(steps)
