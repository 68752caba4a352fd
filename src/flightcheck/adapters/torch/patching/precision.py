"""Patches of precision: no mixed precision, float32 copies of the weights."""

from __future__ import annotations

import functools
from typing import Any, Final

import torch
from torch.optim import Optimizer

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch

_FEW_BITS: Final = (torch.bfloat16, torch.float16)


def precision(b: Boundaries, patch: Patch) -> None:
    """``precision:float32`` or ``precision:master``."""
    if patch.value == "master":
        _master(b, patch)
    else:
        _without_autocast(b, patch)


def _without_autocast(b: Boundaries, patch: Patch) -> None:
    """Automatic mixed precision does nothing, and no loss is scaled."""

    def off(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            b.acted(patch)
            original(self, *args, **{**kwargs, "enabled": False})

        return __init__

    b.observer.patches.replace(torch.autocast, "__init__", off)
    b.observer.patches.replace(torch.amp.grad_scaler.GradScaler, "__init__", off)


def _master(b: Boundaries, patch: Patch) -> None:
    """Each step is made on float32 copies that are kept; the model computes with what they round to."""
    copies: dict[int, torch.Tensor] = {}
    short: dict[int, list[tuple[torch.Tensor, torch.dtype, torch.Tensor | None]]] = {}

    def before(optimizer: Optimizer) -> None:
        taken = short[id(optimizer)] = []
        for p in (p for g in optimizer.param_groups for p in g["params"]):
            if p.dtype not in _FEW_BITS:
                continue
            known = copies.get(id(p))
            if known is None or not torch.equal(known.to(p.dtype), p.detach()):  # the script wrote something else
                known = p.detach().float()
            taken.append((p, p.dtype, p.grad))
            gradient, p.grad = p.grad, None
            p.data = known
            p.grad = None if gradient is None else gradient.float()
            b.acted(patch)

    def after(optimizer: Optimizer) -> None:
        for p, dtype, gradient in short.pop(id(optimizer), []):
            copies[id(p)] = p.detach().clone()
            p.grad = None
            p.data = p.detach().to(dtype)
            p.grad = gradient

    b.around_step(before, after)
