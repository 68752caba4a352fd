"""Weights stored in 16 bits: which elements were asked to move, and never did?

Compared with the values of the first look, over many steps: stochastic rounding loses single steps, and not these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.states import StoredUpdate

_FEW_BITS: Final = (torch.bfloat16, torch.float16)
_SAMPLE: Final = 16_384
_MOST_PARAMETERS: Final = 64
_CORRECTIONS: Final = re.compile("compens|kahan|shift|master|residual|fp32|float32")


@dataclass
class _Sample:
    first: torch.Tensor
    moved: torch.Tensor
    asked: torch.Tensor
    """Sum of the absolute gradients of each element."""
    first_step: int
    last_step: int
    dtype: str
    elements: int
    cast_location: Location | None = None
    looks: int = 0
    master: bool = False
    """The optimizer keeps the value in more bits, as the last look found it: at the end the objects may be gone."""


class StoredUpdates:
    """Samples of the elements of 16-bit matrices."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._samples: dict[int, _Sample] = {}
        self._casts: dict[int, Location] = {}

    def cast(self, module: nn.Module, location: Location | None) -> None:
        """A module was converted: these of its parameters have few bits since this line."""
        for parameter in module.parameters():
            if location is not None and parameter.dtype in _FEW_BITS:
                self._casts[id(parameter)] = location

    def before_step(self, held: Held) -> None:
        """An optimizer is about to step, in a round that is measured."""
        for index in held.distinct:
            parameter = self.discovery.parameter_refs[index]()
            if parameter is None or parameter.dtype not in _FEW_BITS or parameter.dim() < 2:
                continue
            if type(parameter.detach()) is not torch.Tensor:
                continue  # spread over ranks, or packed: its elements cannot be picked
            gradient = parameter.grad
            if gradient is None or gradient.layout is not torch.strided or gradient.shape != parameter.shape:
                continue
            if index not in self._samples and len(self._samples) >= _MOST_PARAMETERS:
                continue
            self._look(index, held, parameter, _sample(gradient))

    def _look(self, index: int, held: Held, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        known, values = self._samples.get(index), _sample(parameter)
        if known is None or known.first.shape != values.shape or known.first.dtype != values.dtype:
            known = self._samples[index] = _Sample(
                values.clone(), torch.zeros_like(values, dtype=torch.bool),
                torch.zeros_like(values, dtype=torch.float32), held.steps, held.steps,
                str(parameter.dtype).removeprefix("torch."), parameter.numel(), self._casts.get(id(parameter)),
            )  # fmt: skip
        known.master = _corrected(held.optimizer(), parameter)
        known.moved |= values != known.first
        known.asked += torch.nan_to_num(gradient.float().abs(), posinf=0.0)
        known.looks += 1
        known.last_step = held.steps

    def save(self) -> None:
        """Write the records."""
        for index, sample in self._samples.items():
            asked = float(sample.asked.sum())
            record = StoredUpdate(
                parameter=index,
                dtype=sample.dtype,
                looks=sample.looks,
                steps=sample.last_step - sample.first_step + 1,
                lost=float(sample.asked[~sample.moved].sum()) / asked if asked else 0.0,
                elements=sample.elements,
                master=sample.master,
                cast_location=sample.cast_location,
            )
            self.watch.writer.put(record, index)


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // _SAMPLE) | 1][: 2 * _SAMPLE]


def _corrected(optimizer: Optimizer | None, parameter: torch.Tensor) -> bool:
    """The optimizer keeps a copy of the parameter in more bits, or what was lost by rounding."""
    if optimizer is None:
        return False
    state: dict[Any, Any] = optimizer.state.get(parameter, {})
    for key, value in state.items():
        if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
            continue
        if _CORRECTIONS.search(str(key).lower()):
            return True
        if value.dtype is torch.float32 and torch.equal(_sample(value).to(parameter.dtype), _sample(parameter)):
            return True
    return False
