"""Through which module does the future get in, and at which line of the user's code?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from flightcheck.adapters.torch.batches import first_tensor, tensors_in
from flightcheck.recording.records import Location

_ATTENDS: Final = {"softmax", "scaled_dot_product_attention"}
"""Operations before which, or in which, a mask belongs."""
_NOISE: Final = 1e-7

Here = Callable[[], Location | None]


class _Trace(TorchFunctionMode):
    """What went into and came out of the modules of a model, in the order in which they finished."""

    def __init__(
        self, model: nn.Module, early: Callable[[torch.Tensor | None], torch.Tensor | None], here: Here
    ) -> None:
        super().__init__()
        self.calls: list[tuple[nn.Module, torch.Tensor | None, torch.Tensor | None, Location | None]] = []
        self.attending: dict[int, Location | None] = {}
        """Innermost module, by identity → the line at which it attends."""
        self._early, self._here = early, here
        self._stack: list[tuple[nn.Module, torch.Tensor | None]] = []
        self._handles: list[Any] = []
        for module in model.modules():
            self._handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._leave))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = next((t for _, t in tensors_in(args, kwargs)), None)
        self._stack.append((module, self._early(given)))

    def _leave(self, module: nn.Module, args: Any, result: Any) -> None:
        _, given = self._stack.pop()
        self.calls.append((module, given, self._early(first_tensor(result)), self._here()))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _ATTENDS and self._stack:
            self.attending.setdefault(id(self._stack[-1][0]), self._here())
        return func(*args, **(kwargs or {}))


def leak_place(
    model: nn.Module, outputs: Callable[[bool], Any], shape: tuple[int, int], at: int, here: Here
) -> Location | None:
    """The line at which outputs before position `at` come to depend on tokens behind it.

    Args:
        model: whose modules are looked at; hooks are put on it and taken off again.
        outputs: calls the model, with the tokens behind `at` as they were (False) or replaced (True).
        shape: batch and length of the tokens; modules whose outputs have other first dimensions are passed over.
        at: the first position that was replaced.
        here: tells the innermost line of the user's code.

    Returns:
        Of the innermost module with a clean input and a moved output: the line at which it attends if its class is the
        user's, else the line that calls it. None if there is no such module.
    """

    def early(t: torch.Tensor | None) -> torch.Tensor | None:
        if t is None or t.dim() < 2:
            return None
        if tuple(t.shape[:2]) == shape:
            return t[:, :at]
        return t[:at] if tuple(t.shape[:2]) == shape[::-1] else None

    traces = []
    for replaced in (False, True):
        trace = _Trace(model, early, here)
        try:
            with trace:
                outputs(replaced)
        finally:
            trace.remove()
        traces.append(trace)
    before, after = traces
    if [id(c[0]) for c in before.calls] != [id(c[0]) for c in after.calls]:
        return None
    for (module, given, made, line), (_, given_after, made_after, _) in zip(before.calls, after.calls, strict=True):
        if _same(given, given_after) and made is not None and not _same(made, made_after):
            library = type(module).__module__.partition(".")[0] == "torch"
            return line if library else before.attending.get(id(module)) or line
    return None


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    if one is None or other is None or one.shape != other.shape:
        return one is other
    scale = max(float(one.abs().max()), 1e-30) if one.numel() else 1.0
    return not one.numel() or float((one.double() - other.double()).abs().max()) <= _NOISE * scale
