"""Comparisons by which a script counts what its model got right."""

from __future__ import annotations

import weakref
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.records import Location
from flightcheck.recording.surroundings import Comparison

COMPARISONS: Final = {
    "eq": "==", "__eq__": "==", "ne": "!=", "__ne__": "!=", "gt": ">", "__gt__": ">", "greater": ">", "ge": ">=",
    "__ge__": ">=", "greater_equal": ">=", "lt": "<", "__lt__": "<", "less": "<", "le": "<=", "__le__": "<=",
    "round": "round",
}  # fmt: skip
"""Rounding is one, too: of a probability with a half."""
_MOST_LINES: Final = 64
_MOST_CALLS: Final = 8
"""Calls of a line whose ranges are looked at."""


class Metrics:
    """Comparisons of tensors, by line: only those of the model's output with a number, and of two tensors."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._output: weakref.ref[torch.Tensor] | None = None
        """What the model returned last."""
        self._found: dict[tuple[str, Location | None], Comparison] = {}

    def returned(self, output: torch.Tensor) -> None:
        """The outermost module returned."""
        self._output = weakref.ref(output) if _readable(output) else None

    def is_error(self, args: Any) -> bool:
        """One of two tensors of a size is what the model returned last, or a view of it, and the other is not."""
        if len(args) < 2 or not (_readable(args[0]) and _readable(args[1])) or args[0].numel() != args[1].numel():
            return False
        return self._is_output(args[0]) != self._is_output(args[1])

    def _is_output(self, tensor: torch.Tensor) -> bool:
        output = self._output() if self._output is not None else None  # alive, so its address is not another's
        if output is None or not tensor.numel():
            return False
        return (tensor.data_ptr(), tensor.numel()) == (output.data_ptr(), output.numel())

    def compared(self, name: str, args: Any, line: Location | None) -> None:
        """A comparison was computed at the user's line."""
        if name == "round":
            args = (args[0], 0.5) if len(args) == 1 else ()  # to so many decimals: for a print
        if len(args) < 2 or not _readable(args[0]):
            return
        key = (COMPARISONS[name], line)
        known = self._found.get(key)
        if (known is None and len(self._found) >= _MOST_LINES) or (known is not None and known.calls >= _MOST_CALLS):
            return
        left, right = args[0].detach(), args[1]
        if isinstance(right, torch.Tensor):
            if not _readable(right) or left.shape == right.shape or right.numel() < 2:
                return
            self._tensors(key, known, left, right.detach())
        elif isinstance(right, float) and self._is_output(left):
            self._threshold(key, known, left, right)

    def _tensors(self, key: Any, known: Comparison | None, left: torch.Tensor, right: torch.Tensor) -> None:
        same = left.data_ptr() == right.data_ptr()
        self._found[key] = Comparison(
            operation=key[0], location=key[1], step=known.step if known else self.watch.step,
            calls=known.calls + 1 if known else 1, left_shape=list(left.shape), right_shape=list(right.shape),
            same_data=same or (known is not None and known.same_data), counting=_counts_up(left) or _counts_up(right),
        )  # fmt: skip

    def _threshold(self, key: Any, known: Comparison | None, output: torch.Tensor, threshold: float) -> None:
        low, high = (float(v) for v in torch.aminmax(output.float()))
        if known is not None:
            low, high = min(low, known.minimum or 0.0), max(high, known.maximum or 0.0)
        self._found[key] = Comparison(
            operation=key[0], location=key[1], step=known.step if known else self.watch.step,
            calls=known.calls + 1 if known else 1, left_shape=list(output.shape), threshold=threshold, minimum=low,
            maximum=high,
        )  # fmt: skip

    def save(self) -> None:
        """Write the records."""
        for i, comparison in enumerate(self._found.values()):
            self.watch.writer.put(comparison, i)


def _readable(value: Any) -> bool:
    """A tensor of PyTorch's own class, with an address: subclasses may have none."""
    return type(value) is torch.Tensor and is_plain_tensor(value)


def _counts_up(tensor: torch.Tensor) -> bool:
    """The tensor is 0, 1, 2 …: class numbers against labels make a table on purpose."""
    flat = tensor.reshape(-1)
    return bool((flat == torch.arange(flat.numel(), device=flat.device)).all())
