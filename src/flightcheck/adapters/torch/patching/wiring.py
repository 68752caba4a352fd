"""Patches of how modules are wired: which one is called, and what is added to its output."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def call_instead(b: Boundaries, patch: Patch) -> None:
    """``call-instead:model.mu>model.logvar``: every second call of the first module is one of the second."""
    first, _, second = (part.strip() for part in patch.value.partition(">"))
    calls: list[int] = [0]
    inside: list[nn.Module] = []

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        calls[0] = 0
        inside.append(module)
        try:
            return call(*given[0], **given[1])
        finally:
            inside.pop()

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        if not inside or module is not _at(inside[-1], first):
            return call(*given[0], **given[1])
        calls[0] += 1
        other = _at(inside[-1], second) if calls[0] % 2 == 0 else None
        if other is None:
            return call(*given[0], **given[1])
        b.acted(patch)
        return other(*given[0], **given[1])

    b.at_module(around)
    b.at_root(root)


def _at(root: nn.Module, path: str) -> nn.Module | None:
    """The module at a path whose first word names the root."""
    found: nn.Module | None = root
    for name in path.split(".")[1:]:
        found = found._modules.get(name) if found is not None else None
    return found if found is not root else None


def residual(b: Boundaries, patch: Patch) -> None:
    """``residual:Block``: to the output of each module of this class its input is added, where both have one shape."""

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        taken = given[0][0] if given[0] else None
        if type(module).__name__ != patch.value or not isinstance(taken, torch.Tensor):
            return result
        if not isinstance(result, torch.Tensor) or result.shape != taken.shape or not taken.is_floating_point():
            return result
        b.acted(patch)
        return result + taken

    b.at_module(around)
