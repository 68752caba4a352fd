"""Norms of gradients, weights and updates, and the exact facts about each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.arrivals import Arrivals, begin, lies_on_card
from flightcheck.adapters.torch.batches import digest_of
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.distributions import Distributions
from flightcheck.adapters.torch.native.library import TALLIES, load
from flightcheck.adapters.torch.native.measures import ABSENT, Look, Measures
from flightcheck.adapters.torch.native.on_device import Copies, Launched, OnDevice
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.shards import at_hand
from flightcheck.adapters.torch.watch import Watch, recorded
from flightcheck.recording.signals import (
    GRAD_NORM,
    GRAD_NORM_TOTAL,
    GRADIENT_SPREAD,
    NOT_THERE,
    UPDATE_NORM,
    WEIGHT_NORM,
    WEIGHT_SPREAD,
)

_KEPT_ROUNDS: Final = 16
"""Rounds whose updates can still be completed: an optimizer's next look may come some rounds after its step."""
_ROWS: Final = 256
_FEW_COLUMNS: Final = 4
_COLUMNS: Final = 1024
_SPREAD_ROLES: Final = ("matrix", "embedding")

Row = npt.NDArray[Any]


class _Series:
    """The rows of a signal that are not written yet: one for each round, with a number for each parameter."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.changed: set[int] = set()

    def set(self, step: int, place: Sequence[int] | slice, norms: Row, width: int) -> None:
        """Put numbers into the row of a round."""
        row = self.rows.get(step)
        if row is None or len(row) < width:
            wider = np.full(width, NOT_THERE, dtype=np.float32)
            if row is not None:
                wider[: len(row)] = row
            row = self.rows[step] = wider
        row[place] = norms
        self.changed.add(step)


@dataclass
class _Steps:
    """The parameters of an optimizer, and what was counted of them since the records were last written."""

    indices: list[int]
    place: list[int] | slice
    """The same, or the slice that they are: quicker to index with."""
    look: Look
    gradient_looks: int = 0
    copied: bool = False
    """The weights were copied before the step that is being made."""
    step: int = -1
    versions: list[int | None] = field(default_factory=list)
    """The round of its last step and the versions of the parameters after it, where the next look is to compare."""
    on_device: OnDevice | None = None
    """Where the parameters lie on a graphics card."""
    held: Held | None = None


class Statistics:
    """What the gradients, weights and updates of a round were."""

    def __init__(self, watch: Watch, discovery: Discovery, arrivals: Arrivals | None = None) -> None:
        self.watch = watch
        self.discovery = discovery
        self.arrivals = arrivals or Arrivals()
        kernel, self.without_kernel = load()
        self.measures = Measures(kernel)
        self.spreads = Distributions(watch)
        self._series = {GRAD_NORM: _Series(), WEIGHT_NORM: _Series(), UPDATE_NORM: _Series()}
        self._steps: dict[int, _Steps] = {}
        self._copies: dict[torch.device, Copies] = {}
        self._looked: set[int] = set()
        self._at_address: dict[tuple[int, torch.Size], int] = {}

    # -- steps --------------------------------------------------------------------------------------------------

    def before_step(self, held: Held) -> tuple[int, float]:
        """Record gradients and weights of an optimizer's parameters, and what its last step did to them.

        Returns:
            How many gradients are there and not all zero (-1 where this round is not measured), and their total L2
            norm (NaN or inf as they are).
        """
        watch, steps = self.watch, self._of(held)
        gradients, weights = watch.norms or watch.sampled, watch.weights or watch.sampled
        last, steps.step = steps.step, -1
        if not (gradients or weights or watch.learning):
            return -1, 0.0
        indices = steps.indices
        parameters = [self.discovery.parameter_refs[i]() for i in indices]
        held.looks += 1
        unseen = [k for k, i in enumerate(indices) if i not in held.lively]
        for k in unseen:
            parameter = parameters[k]
            if parameter is None or parameter.grad is not None or not parameter.requires_grad:
                held.lively.add(indices[k])
        if not (gradients or weights):
            return -1, 0.0
        if self.spreads.due():
            self._spread(indices, parameters)
        return self._look(steps, parameters, last, gradients=gradients, weights=weights)

    def at_rest(self, held: Held) -> tuple[int, float]:
        """The same numbers in a round of which nothing else is noted; `after_step` is to follow."""
        steps = self._of(held)
        last, steps.step = steps.step, -1
        parameters = [self.discovery.parameter_refs[i]() for i in steps.indices]
        return self._look(steps, parameters, last, gradients=True, weights=self.watch.weights)

    def _look(
        self, steps: _Steps, parameters: Sequence[torch.Tensor | None], last: int, *, gradients: bool, weights: bool
    ) -> tuple[int, float]:
        """Measure; `last` is the round whose step moved the weights from their copies, -1 if there is none."""
        watch = self.watch
        compared: list[bool] = []
        if last >= 0 and weights:
            now = _versions(parameters)
            compared = [v is not None and v == new for v, new in zip(steps.versions, now)]
        steps.copied = weights
        if _lie_on_card(parameters):
            return self._look_on_card(steps, parameters, compared, gradients=gradients, weights=weights, last=last)
        look = self.measures.look(
            steps.look, steps.indices, parameters, gradients=gradients, weights=weights, compared=compared
        )
        width = len(self.discovery.parameters)
        if weights:
            self._series[WEIGHT_NORM].set(watch.step, steps.place, look.norms[1], width)
            if compared:
                self._series[UPDATE_NORM].set(last, steps.place, look.norms[2], width)
        if not gradients:
            return -1, 0.0
        steps.gradient_looks += 1
        self._series[GRAD_NORM].set(watch.step, steps.place, look.norms[0], width)
        return int(look.totals[0]), math.sqrt(look.totals[1])

    def _spread(self, indices: Sequence[int], parameters: Sequence[torch.Tensor | None]) -> None:
        """How the weights of layers and their gradients are spread: of matrices, vectors say little."""
        infos = self.discovery.parameters
        there = [(i, p) for i, p in zip(indices, parameters) if p is not None and infos[i].role in _SPREAD_ROLES]
        self.spreads.look(WEIGHT_SPREAD, there)
        self.spreads.look(GRADIENT_SPREAD, [(i, p.grad) for i, p in there if p.grad is not None])

    def after_step(self, held: Held) -> None:
        """How far did the step move each parameter? Where every step is watched, the next one tells: its look at the
        weights is then the only one.
        """
        steps = self._of(held)
        if not steps.copied:
            return
        steps.copied = False
        parameters = [self.discovery.parameter_refs[i]() for i in steps.indices]
        if self.watch.every_step and not self.watch.sampled and self.measures.one_pass:
            steps.step, steps.versions = self.watch.step, _versions(parameters)
            return
        all_of_them = [True] * len(parameters)
        if _lie_on_card(parameters):
            step = self.watch.step
            self._look_on_card(steps, parameters, all_of_them, gradients=False, weights=True, last=step, copy=False)
            return
        look = self.measures.look(
            steps.look, steps.indices, parameters, gradients=False, weights=True, compared=all_of_them, copy=False
        )
        self._series[UPDATE_NORM].set(self.watch.step, steps.place, look.norms[2], len(self.discovery.parameters))

    # -- on a graphics card -------------------------------------------------------------------------------------

    def _look_on_card(
        self, steps: _Steps, parameters: Sequence[torch.Tensor | None], compared: Sequence[bool],
        *, gradients: bool, weights: bool, last: int, copy: bool = True,
    ) -> tuple[int, float]:  # fmt: skip
        """Launch a look; what it finds is written when it has arrived, at once only in a round that may wait. `last` is
        the round whose step moved the weights from their copies.
        """
        if recorded():
            return -1, 0.0
        if steps.on_device is None:
            steps.on_device = self._on_device(next(p.device for p in parameters if p is not None))
        self.measures.one_pass = steps.on_device.triton
        began = begin(next(p.device for p in parameters if p is not None))
        launched = steps.on_device.look(
            steps.indices, parameters, gradients=gradients, weights=weights, compared=compared, copy=copy
        )
        if launched is None:
            return (0, 0.0) if gradients else (-1, 0.0)
        rounds = (self.watch.step if gradients else -1, self.watch.step if weights and copy else -1, last)
        if self.watch.may_wait:
            return self._arrived(steps, launched, rounds, launched.packed.cpu().numpy())
        take = partial(self._arrived_late, steps, launched, rounds)
        self.arrivals.send(launched.packed, take, began, self.watch.level)
        return -1, 0.0

    def _on_device(self, device: torch.device) -> OnDevice:
        """For another optimizer; what is kept of weights and optimizers that are gone is given up."""
        copies = self._copies.setdefault(device, Copies())
        copies.drop(i for i, ref in enumerate(self.discovery.parameter_refs) if ref() is None)
        for other in self._steps.values():
            if other.held is not None and other.held.optimizer() is None:
                other.on_device = None
        return OnDevice(copies=copies)

    def _arrived(
        self, steps: _Steps, launched: Launched, rounds: tuple[int, int, int], values: Row
    ) -> tuple[int, float]:
        """Note what a look found of the gradients, weights and updates of these rounds (-1: it was not asked): how many
        gradients are not zero, and their total norm.
        """
        squares = launched.squares(values)
        there = squares != ABSENT
        norms = np.where(there, np.sqrt(np.maximum(squares, 0.0)), NOT_THERE).astype(np.float32)
        moves = there & (squares != 0.0)
        steps.look.tallies += np.stack([there[0], moves[0], there[2], moves[2]])
        for row, signal, step in zip(range(3), (GRAD_NORM, WEIGHT_NORM, UPDATE_NORM), rounds):
            if step >= 0 and (there[row].any() or signal is not UPDATE_NORM):
                self._series[signal].set(step, steps.place, norms[row], len(self.discovery.parameters))
        if rounds[0] < 0:
            return -1, 0.0
        steps.gradient_looks += 1
        return int(moves[0].sum()), math.sqrt(float(squares[0][there[0]].sum()))

    def _arrived_late(self, steps: _Steps, launched: Launched, rounds: tuple[int, int, int], values: Row) -> None:
        _, norm = self._arrived(steps, launched, rounds, values)
        if rounds[0] >= 0:
            self.watch.writer.frame(GRAD_NORM_TOTAL, rounds[0], [norm])
            if not math.isfinite(norm):
                self.arrivals.alarm()

    def _of(self, held: Held) -> _Steps:
        known = self._steps.get(held.info.index)
        if known is None or known.indices is not held.distinct:
            if known is not None:
                self._settle(known)
            indices = held.distinct
            first = indices[0] if indices else 0
            whole = indices == list(range(first, first + len(indices)))
            place = slice(first, first + len(indices)) if whole else indices
            known = _Steps(indices, place, Look(len(indices)), held=held)
            self._steps[held.info.index] = known
        return known

    def foreign_gradients(self, indices: Sequence[int]) -> None:
        """Record the gradients of parameters that no optimizer holds, after a backward."""
        foreign = [i for i in indices if not self.discovery.parameters[i].optimizers]
        parameters = [self.discovery.parameter_refs[i]() for i in foreign]
        there = [(i, p) for i, p in zip(foreign, parameters) if p is not None]
        if not there:
            return
        if not self.watch.reads(there[0][1]):
            return
        foreign = [i for i, _ in there]
        look = self.measures.look(
            Look(len(foreign)), foreign, [p for _, p in there], gradients=True, weights=True, copy=False
        )
        for row, signal in enumerate((GRAD_NORM, WEIGHT_NORM)):
            self._series[signal].set(self.watch.step, foreign, look.norms[row], len(self.discovery.parameters))
        for index, (seen, nonzero) in zip(foreign, look.tallies[:2].T.tolist()):
            counts = self.discovery.counts[index]
            counts.gradient_checks += 1
            counts.gradients_seen += seen
            counts.gradients_nonzero += nonzero

    def write(self, total: float | None) -> None:
        """Write the round's rows, and those of rounds before it that were completed only now."""
        step = self.watch.step
        for signal, series in self._series.items():
            for changed in series.changed:
                self.watch.writer.frame(signal, changed, series.rows[changed])
            series.changed.clear()
            for old in [s for s in series.rows if s < step - _KEPT_ROUNDS]:
                del series.rows[old]
        self.spreads.write()
        if total is not None:
            self.watch.writer.frame(GRAD_NORM_TOTAL, step, [total])

    def settle(self) -> None:
        """Put what was counted into the parameters' records."""
        for steps in self._steps.values():
            self._settle(steps)

    def _settle(self, steps: _Steps) -> None:
        for index, counted in zip(steps.indices, steps.look.tallies.T.tolist()):
            counts = self.discovery.counts[index]
            counts.gradient_checks += steps.gradient_looks
            for name, number in zip(TALLIES, counted):
                setattr(counts, name, getattr(counts, name) + number)
        steps.look.tallies[:] = 0
        steps.gradient_looks = 0

    # -- first looks --------------------------------------------------------------------------------------------

    def first_look(self, indices: Sequence[int]) -> None:
        """Before a parameter's first update: are units equal, is it constant, where was it overwritten?"""
        for index in indices:
            if index in self._looked:
                continue
            parameter = self.discovery.parameter_refs[index]()
            if parameter is None or not parameter.is_floating_point() or parameter.layout is not torch.strided:
                continue
            self._looked.add(index)
            if (part := at_hand(parameter)) is None:
                continue
            values = part.detach()
            info = self.discovery.parameters[index]
            written = self.discovery.writes.get(parameter)
            low, high = (float(v) for v in torch.aminmax(values)) if values.numel() else (0.0, 0.0)
            self.discovery.update_parameter(
                index,
                constant=low == high,
                zero=low == high == 0.0,
                one_sign=low > 0.0 or high < 0.0,
                duplicate_rows=duplicate_rows(values),
                write_location=None if written == info.location else written,
                drawn=self.discovery.drawn.get(parameter) is not None,
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
            gradient = at_hand(parameter.grad)
            if gradient is None or gradient.layout is not torch.strided or not bool(torch.count_nonzero(gradient)):
                continue
            self.discovery.update_parameter(index, gradient_duplicate_rows=duplicate_rows(gradient.detach()))


def _lie_on_card(parameters: Sequence[torch.Tensor | None]) -> bool:
    """All of them lie on one graphics card."""
    for first in parameters:
        if first is not None:
            return lies_on_card(first) and all(p is None or p.device == first.device for p in parameters)
    return False


def _versions(parameters: Sequence[torch.Tensor | None]) -> list[int | None]:
    """Numbers that count what is written into each; None where nobody counts."""
    try:
        return [p._version if p is not None else None for p in parameters]
    except RuntimeError:  # made in inference mode
        return [None] * len(parameters)


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
