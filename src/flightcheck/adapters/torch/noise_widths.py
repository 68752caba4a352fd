"""Noise whose width is the exponential of a ReLU: ``torch.exp(0.5 * F.relu(logvar)) * torch.randn_like(mu)``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.remembered import Remembered
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.noise_widths import NoiseWidth
from flightcheck.recording.records import Location

EXPONENTIALS: Final = {"exp", "exp_"}
DRAWS: Final = {"randn", "randn_like", "normal", "normal_"}
_PRODUCTS: Final = {"mul", "__mul__", "__rmul__", "multiply", "addcmul"}
_SUMS: Final = {"add", "__add__", "__radd__", "sub", "__sub__", "__rsub__", "rsub", "sum", "mean"}
_SCALED: Final = ("MulBackward", "DivBackward")
_RELU: Final = "ReluBackward0"
_MOST_SCALES: Final = 3
_MOST_LINES: Final = 8


class NoiseWidths:
    """Told of the operations of the learning pass, with gradients."""

    def __init__(self, watch: Watch, lines: Mapping[Any, Location]) -> None:
        self.watch = watch
        self.following = False
        """A width that cannot be small is there: products are to be told."""
        self._lines = lines
        self._noise = Remembered()
        self._widths = Remembered()
        self._made: Any = None
        """The ReLU behind the newest width, this round."""
        self._line: Location | None = None
        """Where noise was multiplied with it."""
        self._found: dict[Location, NoiseWidth] = {}

    def look(self, name: str, args: Any, result: Any) -> None:
        """One of `EXPONENTIALS` and `DRAWS`, or any operation while `following`."""
        if name in DRAWS:
            self._noise.add(result)
        elif name in EXPONENTIALS and args and (relu := _relu_behind(args[0])) is not None:
            given = args[0].detach()
            if given.numel() and self.watch.reads(given) and float(given.min()) >= 0:  # of a negative factor it is <= 0
                self.following, self._made = True, relu
                self._widths.add(result)
        elif name in _PRODUCTS and self.following:
            given = [a for a in args if isinstance(a, torch.Tensor)]
            if any(a in self._widths for a in given) and any(a in self._noise for a in given):
                self._note()
        elif name in _SUMS and self.following and self._line is not None and any(map(self._is_relu, args)):
            self._found[self._line] = dataclasses.replace(self._found[self._line], in_loss=True)

    def _note(self) -> None:
        line = self.watch.lines.here()
        if line is not None and (line in self._found or len(self._found) < _MOST_LINES):
            self._line = line
            known = self._found.get(line) or NoiseWidth(line, self._lines.get(self._made), 0)
            self._found[line] = dataclasses.replace(known, calls=known.calls + 1)

    def _is_relu(self, given: Any) -> bool:
        return isinstance(given, torch.Tensor) and behind_views(given.grad_fn) is self._made

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        self._noise.clear()
        self._widths.clear()
        self.following, self._made, self._line = False, None, None

    def save(self) -> None:
        """Write the lines."""
        for i, found in enumerate(self._found.values()):
            self.watch.writer.put(found, i)


def _relu_behind(given: Any) -> Any:
    """The ReLU that made this, perhaps times a number."""
    node = behind_views(given.grad_fn) if isinstance(given, torch.Tensor) and given.grad_fn is not None else None
    for _ in range(_MOST_SCALES):
        if node is None or not node.name().startswith(_SCALED):
            break
        inputs = [n for n, _ in node.next_functions if n is not None]
        node = behind_views(inputs[0]) if len(inputs) == 1 else None
    return node if node is not None and node.name() == _RELU else None
