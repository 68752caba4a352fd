"""Norms of gradients, weights and updates, and the exact facts about each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.signals import GRAD_NORM, GRAD_NORM_TOTAL, NOT_THERE, UPDATE_NORM, WEIGHT_NORM

_WHOLE: Final = 1_000_000
"""Elements up to which the update of a parameter is measured on all of it; larger ones on a fixed sample."""
_SAMPLE: Final = 65_536
_ROWS: Final = 256
_COLUMNS: Final = 1024


class Statistics:
    """What the gradients, weights and updates of a round were."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._rows: dict[str, dict[int, float]] = {"grad": {}, "weight": {}, "update": {}}
        self._before: dict[int, torch.Tensor] = {}
        self._looked: set[int] = set()
        self.changed: set[int] = set()
        """Parameters whose record changed since the last save."""

    def gradients(self, held: Held) -> tuple[int, float]:
        """Record the gradient norms of an optimizer's parameters, before it steps.

        Returns:
            How many gradients are there and not all zero, and their total L2 norm (NaN or inf as they are).
        """
        present: list[tuple[int, torch.Tensor]] = []
        for index in dict.fromkeys(held.indices):
            parameter = self.discovery.parameter_refs[index]()
            if parameter is None:
                continue
            if parameter.grad is None:
                self._rows["grad"][index] = NOT_THERE
                self._count(index, False, False)
                continue
            present.append((index, parameter.grad))
        norms = norms_of([g for _, g in present])
        nonzero = 0
        for (index, _), norm in zip(present, norms):
            self._rows["grad"][index] = norm
            self._count(index, True, norm != 0.0)
            nonzero += norm != 0.0
        total = math.sqrt(sum(n * n for n in norms)) if norms else 0.0
        return nonzero, total

    def foreign_gradients(self, indices: Sequence[int]) -> None:
        """Record the gradients of parameters that no optimizer holds, after a backward."""
        for index in indices:
            if self.discovery.parameters[index].optimizers:
                continue
            parameter = self.discovery.parameter_refs[index]()
            if parameter is None:
                continue
            there = parameter.grad is not None
            norm = norms_of([parameter.grad])[0] if parameter.grad is not None else NOT_THERE
            self._rows["grad"][index] = norm
            self._count(index, there, there and norm != 0.0)

    def _count(self, index: int, there: bool, nonzero: bool) -> None:
        p = self.discovery.parameters[index]
        self.discovery.update_parameter(
            index,
            gradient_checks=p.gradient_checks + 1,
            gradients_seen=p.gradients_seen + there,
            gradients_nonzero=p.gradients_nonzero + nonzero,
        )

    def snapshot(self, held: Held) -> None:
        """Keep the values of an optimizer's parameters for the moment of its step, on sampled rounds."""
        parameters = [(i, p) for i in dict.fromkeys(held.indices) if (p := self.discovery.parameter_refs[i]()) is not None]
        usable = [(i, p) for i, p in parameters if p.is_floating_point() and p.layout is torch.strided and p.numel()]
        self._before = {i: _sampled(p.detach()).clone() for i, p in usable}
        for (index, _), norm in zip(usable, norms_of([p.detach() for _, p in usable])):
            self._rows["weight"][index] = norm

    def updates(self) -> None:
        """Compare with the snapshot: how far did the step move each parameter?"""
        indices, moves = [], []
        for index, before in self._before.items():
            parameter = self.discovery.parameter_refs[index]()
            if parameter is None:
                continue
            after = _sampled(parameter.detach())
            if after.shape == before.shape:
                indices.append(index)
                moves.append(after - before)
        scale = [math.sqrt(self.discovery.parameters[i].numel / max(1, m.numel())) for i, m in zip(indices, moves)]
        for index, norm, factor in zip(indices, norms_of(moves), scale):
            self._rows["update"][index] = norm * factor
            p = self.discovery.parameters[index]
            self.discovery.update_parameter(
                index, update_checks=p.update_checks + 1, updates_nonzero=p.updates_nonzero + (norm != 0.0)
            )
        self._before = {}

    def write(self, total: float | None) -> None:
        """Write the round's rows."""
        width = len(self.discovery.parameters)
        for signal, key in ((GRAD_NORM, "grad"), (WEIGHT_NORM, "weight"), (UPDATE_NORM, "update")):
            values = self._rows[key]
            if values:
                self.watch.writer.frame(signal, self.watch.step, [values.get(i, NOT_THERE) for i in range(width)])
                values.clear()
        if total is not None:
            self.watch.writer.frame(GRAD_NORM_TOTAL, self.watch.step, [total])

    def first_look(self, indices: Sequence[int]) -> None:
        """Before a parameter's first update: are units equal, is it constant, where was it overwritten?"""
        for index in indices:
            if index in self._looked:
                continue
            parameter = self.discovery.parameter_refs[index]()
            if parameter is None or not parameter.is_floating_point() or parameter.layout is not torch.strided:
                continue
            self._looked.add(index)
            values = parameter.detach()
            low, high = (float(v) for v in torch.aminmax(values)) if values.numel() else (0.0, 0.0)
            self.discovery.update_parameter(
                index,
                constant=low == high,
                zero=low == high == 0.0,
                duplicate_rows=duplicate_rows(values),
                write_location=self.discovery.writes.get(parameter.data_ptr()),
            )

    def first_gradient(self, indices: Sequence[int]) -> None:
        """The first gradient that is not zero: are the gradients of units equal?"""
        for index in indices:
            info = self.discovery.parameters[index]
            parameter = self.discovery.parameter_refs[index]()
            if info.gradient_duplicate_rows is not None or info.role != "matrix" or parameter is None:
                continue
            gradient = parameter.grad
            if gradient is None or gradient.layout is not torch.strided or not bool(torch.count_nonzero(gradient)):
                continue
            self.discovery.update_parameter(index, gradient_duplicate_rows=duplicate_rows(gradient.detach()))


def norms_of(tensors: Sequence[torch.Tensor]) -> list[float]:
    """L2 norms; sparse gradients by their values; one transfer per device."""
    dense = [(i, t) for i, t in enumerate(tensors) if t.layout is torch.strided and t.is_floating_point()]
    norms = [0.0] * len(tensors)
    if dense:
        values = torch._foreach_norm([t.detach() for _, t in dense])
        numbers = [float(v) for v in values] if dense[0][1].is_cpu else torch.stack(list(values)).tolist()
        for (i, _), number in zip(dense, numbers):
            norms[i] = number
    for i, t in enumerate(tensors):
        if t.layout is torch.sparse_coo:
            norms[i] = float(t._values().norm())
    return norms


def duplicate_rows(values: torch.Tensor) -> float:
    """Share of output units (rows) that equal another one. At most 256 rows and 1024 columns are compared."""
    if values.dim() < 2 or values.shape[0] < 2:
        return 0.0
    rows = values.flatten(1)[:_ROWS, :_COLUMNS]
    if rows.dtype in (torch.float16, torch.bfloat16):
        rows = rows.float()
    _, counts = torch.unique(rows.cpu(), dim=0, return_counts=True)
    return float(counts[counts > 1].sum()) / rows.shape[0]


def _sampled(values: torch.Tensor) -> torch.Tensor:
    """All of a small tensor, else a fixed even sample (a stride prime to powers of two, against aliasing)."""
    if values.numel() <= _WHOLE or not values.is_contiguous():
        return values
    flat = values.view(-1)
    stride = (flat.numel() // _SAMPLE) | 1
    return flat[::stride]
