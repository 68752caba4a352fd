"""What every layer answers to one example, as small pictures; and which examples excite its units most."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from flightcheck.frozen import frozen
from flightcheck.views.batch import Batch, tensors_of
from flightcheck.views.calls import called, output_of, plain
from flightcheck.views.layers import Layer, Structure

Cells: TypeAlias = NDArray[np.float32]
"""Small pictures side by side, shape (cells, height, width)."""

_POSITIONS_LAST: Final = (
    nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.InstanceNorm1d, nn.GroupNorm, nn.MaxPool1d, nn.AvgPool1d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d,
)  # fmt: skip
"""Modules whose outputs of three axes are (examples, channels, positions); of all others the channels are last."""
NOTHING: Final = np.float32(-np.finfo(np.float32).max)
"""Stands where a picture has no value; NaN and infinity are values."""
MOST_UNITS: Final = 4096
"""Units of a layer whose largest answers are kept, and features that are embedded."""


@frozen
class Size:
    """How much of an output is kept: at most so many channels, each at most so high and wide."""

    channels: int
    side: int


def small(layers: int) -> Size:
    """In the graph, at every snapshot: the smaller, the more layers there are."""
    return Size(16, 24) if layers <= 24 else Size(9, 16) if layers <= 80 else Size(4, 12)


LARGE: Final = Size(64, 64)
"""Feature maps, at the last snapshot."""


class Answers:
    """Told the output of every layer in one call of the model; keeps what is shown and nothing else."""

    def __init__(self, structure: Structure, example: int, size: Size) -> None:
        self.pictures: dict[str, Cells] = {}
        """Of each called module, for the chosen example."""
        self._layers = {x.path: x for x in structure.layers}
        self._size = size
        self._example = example
        self._examples = structure.batch.size

    def look(self, path: str, module: nn.Module, args: Any, out: Any) -> None:
        """See `flightcheck.views.calls.Look`."""
        layer, first = self._layers.get(path), output_of(out)
        if layer is None or first is None or path in self.pictures:
            return
        one = of_example(first.detach(), layer.axis, self._examples, self._example)
        if one is not None:
            self.pictures[path] = cells(one, self._size, last=isinstance(module, _POSITIONS_LAST))


def of_example(output: torch.Tensor, axis: int, examples: int, example: int) -> torch.Tensor | None:
    """The part of an output that belongs to one example.

    Args:
        output: any shape; its `axis` counts the examples, or examples times positions.
        axis: -1 where no axis counts them.
        examples: of the batch.
        example: counted from 0.

    Returns:
        The output without that axis, or with the example's positions in it; None where there is no such part.
    """
    if axis < 0 or axis >= output.dim() or output.shape[axis] < examples:
        return None
    each = output.shape[axis] // examples
    part = output.narrow(axis, example * each, each)
    return part.squeeze(axis) if each == 1 else part.movedim(axis, 0)


def cells(values: torch.Tensor, size: Size, last: bool = False) -> Cells:
    """One example's output as small pictures.

    Args:
        values: shape (units,), (positions, units) or with `last` (units, positions), (channels, height, width), or
            (channels, depth, height, width), of which the middle of the depth is drawn.
        size: of what is kept; larger pictures are averaged block by block, further channels left out.
        last: positions are the last axis.

    Returns:
        Units as one picture, read like a text and filled up with `NOTHING`; positions from left to right and units
        from top to bottom; channels as one picture each.
    """
    x = values
    while x.dim() > 4:
        x = x[0]
    if x.dim() == 4:
        x = x[:, x.shape[1] // 2]
    if x.dim() == 3:
        x = x[: size.channels]
        return np.stack([smaller(c.float().cpu().numpy(), size.side) for c in x]).astype(np.float32)
    if x.dim() == 2:
        flat = x if last else x.T
        return smaller(flat.float().cpu().numpy(), 2 * size.side)[None].astype(np.float32)
    return in_rows(x.reshape(-1)[: 8 * size.side**2].float().cpu().numpy(), 2 * size.side)[None]


def in_rows(x: NDArray[Any], widest: int) -> NDArray[np.float32]:
    """A vector as lines of at most so many values; the last is filled up with `NOTHING`."""
    side = math.isqrt(len(x))
    if len(x) <= widest // 2:
        columns = max(1, len(x))
    else:  # a square where it fills one: it may be a picture
        columns = min(widest, side if side * side == len(x) else math.ceil(math.sqrt(2 * len(x))))
    rows = -(-len(x) // columns)
    made = np.full(rows * columns, NOTHING, np.float32)
    made[: len(x)] = x
    return made.reshape(rows, columns)


def smaller(x: NDArray[Any], most: int) -> NDArray[Any]:
    """A picture of at most `most` × `most`: the mean of each block of a larger one."""
    for axis in (0, 1):
        n = x.shape[axis]
        if n > most:
            edges = np.linspace(0, n, most + 1).astype(int)[:-1]
            counts = np.diff([*edges, n])
            summed = np.add.reduceat(x.astype(np.float64), edges, axis)
            x = summed / (counts[:, None] if axis == 0 else counts)
    return x


@frozen
class TopExamples:
    """Which examples excite the units of a layer most."""

    path: str
    units: NDArray[np.int64]
    """Shape (units,): those that differ most between examples."""
    examples: NDArray[np.int64]
    """Shape (units, 5): for each unit its examples, the strongest first."""
    values: NDArray[np.float32]
    """Shape (units, 5): the largest answer of the unit to the example, over all positions."""


_SHOWN_UNITS: Final = 6
_SHOWN_EXAMPLES: Final = 5
_MOST_LAYERS: Final = 8


class Maxima:
    """Told the output of every layer; keeps the largest answer of each unit to each example."""

    def __init__(self, structure: Structure, model: nn.Module) -> None:
        self._examples = structure.batch.size
        modules = dict(model.named_modules())
        with_weights = [x for x in structure.leaves() if x.axis >= 0 and _weighted(modules[x.path])]
        if len(with_weights) > _MOST_LAYERS:  # spread over the whole depth
            chosen = np.linspace(0, len(with_weights) - 1, _MOST_LAYERS).round().astype(int)
            with_weights = [with_weights[i] for i in chosen]
        self._layers: dict[str, Layer] = {x.path: x for x in with_weights}
        self.found: dict[str, NDArray[np.float32]] = {}
        """Layer → shape (examples, units)."""

    def look(self, path: str, module: nn.Module, args: Any, out: Any) -> None:
        """See `flightcheck.views.calls.Look`."""
        layer, first = self._layers.get(path), output_of(out)
        if layer is None or first is None or path in self.found:
            return
        x = first.detach().movedim(layer.axis, 0)
        x = x.reshape(self._examples, -1, *x.shape[1:]) if x.shape[0] != self._examples else x
        units = 1 if x.dim() >= 4 or isinstance(module, _POSITIONS_LAST) else x.dim() - 1
        x = x.movedim(units, 1)[:, :MOST_UNITS]
        self.found[path] = x.reshape(x.shape[0], x.shape[1], -1).amax(2).float().cpu().numpy()

    def top(self) -> list[TopExamples]:
        """The strongest examples of some units of each layer; none where there are fewer than two examples."""
        told = []
        for path, values in self.found.items():
            if values.shape[0] < 2:
                continue
            finite = np.where(np.isfinite(values), values, -np.inf)
            spread = np.std(np.where(np.isfinite(values), values, 0), 0)
            units = np.sort(np.argsort(-spread, kind="stable")[:_SHOWN_UNITS])
            best = np.argsort(-finite[:, units], 0, kind="stable")[:_SHOWN_EXAMPLES]
            told.append(TopExamples(path, units, best.T, np.take_along_axis(values[:, units], best, 0).T))
        return told


def _weighted(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(module, nn.RNNBase) or (isinstance(weight, torch.Tensor) and weight.dim() >= 2)


class Features:
    """Told what reaches the last layer with weights: the features that the network made."""

    def __init__(self, structure: Structure, model: nn.Module) -> None:
        modules = dict(model.named_modules())
        last = [x for x in structure.leaves() if _weighted(modules[x.path])]
        self.path = last[-1].path if last else ""
        """Of the last layer."""
        self._batch = structure.batch
        self.found: NDArray[np.float32] | None = None
        """Shape (examples, features): positions averaged; of very many features every second, third, …"""

    def before(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        """See `flightcheck.views.calls.Arrival`."""
        if path != self.path or self.found is not None or not self.path:
            return
        x = next((t for t in tensors_of([args, kwargs]) if plain(t)), None)
        n = self._batch.size
        if x is None or not x.is_floating_point():
            return
        axis = next((i for i, size in enumerate(x.shape) if size == n), 0)
        if x.dim() < 2 or x.shape[axis] % n:
            return
        x = x.detach().movedim(axis, 0)
        x = x.reshape(n, -1, *x.shape[1:]) if x.shape[0] != n else x
        channels_last = x.dim() == 3 and not isinstance(module, _POSITIONS_LAST)
        x = x.mean(1) if channels_last else x.reshape(n, x.shape[1], -1).mean(2)
        self.found = x[:, :: -(-x.shape[1] // MOST_UNITS)].float().cpu().numpy()


def answers_to(model: nn.Module, batch: Batch, *looks: Any, before: Any = None) -> Any:
    """Call the model once with several lookers; returns its output."""

    def look(path: str, module: nn.Module, args: Any, out: Any) -> None:
        for one in looks:
            one(path, module, args, out)

    return called(model, batch, look, before)
