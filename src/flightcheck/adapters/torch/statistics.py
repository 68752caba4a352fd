"""Norms of gradients, weights and updates, and the exact facts about each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch

from flightcheck.adapters.torch.batches import digest_of
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.signals import GRAD_NORM, GRAD_NORM_TOTAL, NOT_THERE, UPDATE_NORM, WEIGHT_NORM

_WHOLE: Final = 1_000_000
"""Elements up to which the update of a parameter is measured on all of it; larger ones on a fixed sample."""
_SAMPLE: Final = 65_536
_ROWS: Final = 256
_FEW_COLUMNS: Final = 4
_COLUMNS: Final = 1024


class Statistics:
    """What the gradients, weights and updates of a round were."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._rows: dict[str, dict[int, float]] = {"grad": {}, "weight": {}, "update": {}}
        self._before: dict[int, torch.Tensor] = {}
        self._looked: set[int] = set()
        self._at_address: dict[tuple[int, torch.Size], int] = {}

    def gradients(self, held: Held) -> tuple[int, float]:
        """Record the gradient norms of an optimizer's parameters, before it steps.

        Returns:
            How many gradients are there and not all zero (-1 where this round is not measured), and their total L2
            norm (NaN or inf as they are).
        """
        if not (self.watch.norms or self.watch.sampled or self.watch.learning):
            return -1, 0.0
        indices = held.distinct
        parameters = [self.discovery.parameter_refs[i]() for i in indices]
        gradients = [p.grad if p is not None else None for p in parameters]
        held.looks += 1
        held.lively.update(
            i for i, p, g in zip(indices, parameters, gradients) if g is not None or p is None or not p.requires_grad
        )
        if not (self.watch.norms or self.watch.sampled):
            return -1, 0.0
        norms = iter(norms_of([g for g in gradients if g is not None]))
        row, counts = self._rows["grad"], self.discovery.counts
        nonzero, squares = 0, 0.0
        for index, gradient in zip(indices, gradients):
            count = counts[index]
            count.gradient_checks += 1
            if gradient is None:
                row[index] = NOT_THERE
                continue
            row[index] = norm = next(norms)
            count.gradients_seen += 1
            if norm != 0.0:
                nonzero += 1
                count.gradients_nonzero += 1
                squares += norm * norm
        return nonzero, math.sqrt(squares) if squares >= 0 else squares

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
            if parameter.is_floating_point() and parameter.layout is torch.strided:
                self._rows["weight"][index] = norms_of([parameter.detach()])[0]
            self._rows["grad"][index] = norm
            counts = self.discovery.counts[index]
            counts.gradient_checks += 1
            counts.gradients_seen += there
            counts.gradients_nonzero += there and norm != 0.0

    def snapshot(self, held: Held) -> None:
        """Keep the values of an optimizer's parameters for the moment of its step, on sampled rounds."""
        parameters = [(i, p) for i in held.distinct if (p := self.discovery.parameter_refs[i]()) is not None]
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
            self.discovery.counts[index].update_checks += 1
            self.discovery.counts[index].updates_nonzero += norm != 0.0
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
            info = self.discovery.parameters[index]
            written = self.discovery.writes.get(parameter)
            low, high = (float(v) for v in torch.aminmax(values)) if values.numel() else (0.0, 0.0)
            self.discovery.update_parameter(
                index,
                constant=low == high,
                zero=low == high == 0.0,
                duplicate_rows=duplicate_rows(values),
                write_location=None if written == info.location else written,
                first_values=digest_of(values) if values.dim() == 2 and low != high and values.itemsize > 1 else "",
                shares_memory_with=self._same_memory(index, values),
            )

    def _same_memory(self, index: int, values: torch.Tensor) -> int:
        """Another living parameter with the same memory, -1 if there is none."""
        if not values.numel():
            return -1
        place = (values.data_ptr(), values.shape)
        other = self._at_address.get(place, index)
        if other != index and self.discovery.parameter_refs[other]() is not None:
            return other
        self._at_address[place] = index
        return -1

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


@torch.no_grad()
def norms_of(tensors: Sequence[torch.Tensor]) -> list[float]:
    """L2 norms; sparse gradients by their values; one transfer per device."""
    if not tensors:
        return []
    if all(t.layout is torch.strided and t.is_cpu and t.is_floating_point() for t in tensors):
        return [float(v) for v in torch._foreach_norm(list(tensors))]
    return [
        float((t._values() if t.layout is torch.sparse_coo else t if t.is_complex() else t.float()).norm())
        for t in tensors
    ]


def duplicate_rows(values: torch.Tensor) -> float:
    """Share of output units (rows) that equal another one. At most 256 rows and 1024 columns are compared."""
    if values.dim() < 2 or values.shape[0] < 2:
        return 0.0
    rows = values.flatten(1)[:_ROWS, :_COLUMNS]
    if rows.dtype in (torch.float16, torch.bfloat16):
        if rows.shape[1] < _FEW_COLUMNS:
            return 0.0  # so few bits are equal by chance
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
