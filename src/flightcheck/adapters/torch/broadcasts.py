"""Elementwise operations between tensors of different shapes whose result is larger than both."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Broadcast, Location

ELEMENTWISE: Final = {
    "sub", "rsub", "__sub__", "__rsub__", "mul", "__mul__", "__rmul__", "multiply", "subtract", "add", "__add__",
    "div", "__truediv__", "true_divide", "sub_", "mul_", "square", "pow", "dist", "where",
}  # fmt: skip


class Broadcasts:
    """Looks at elementwise operations in the learning pass."""

    def __init__(self, watch: Watch, modules: list[Any]) -> None:
        self.watch = watch
        self.modules = modules
        """Modules being called, outermost first."""
        self._known: dict[tuple[str, Location | None], Broadcast] = {}

    def look(self, name: str, left: Any, right: Any, result: torch.Tensor, line: Location | None) -> None:
        """One operation of `ELEMENTWISE`."""
        if not (isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor)) or left.shape == right.shape:
            return
        if result.numel() <= max(left.numel(), right.numel()):
            return
        key = (name, line)
        known = self._known.get(key)
        if known is not None:
            self._known[key] = dataclasses.replace(known, count=known.count + 1)
            return
        around = self.watch.lines.stack(2)
        self._known[key] = Broadcast(
            operation=name,
            location=line,
            step=self.watch.step,
            left_shape=list(left.shape),
            right_shape=list(right.shape),
            result_shape=list(result.shape),
            left_from_model=left.requires_grad,
            right_from_model=right.requires_grad,
            in_module=any(any(True for _ in m.parameters()) for m in self.modules),
            caller=around[1] if len(around) > 1 else None,
        )

    def save(self) -> None:
        """Write what was seen."""
        for i, broadcast in enumerate(self._known.values()):
            self.watch.writer.put(broadcast, i)
