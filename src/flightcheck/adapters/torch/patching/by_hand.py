"""A patch of updates that a script makes without an optimizer: a factor on the gradient is one on the learning rate."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.optim import Optimizer

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch


def scaled(b: Boundaries, patch: Patch, factor: float) -> None:
    """What each backward of a loss adds to the gradients, times a factor; nothing where there is an optimizer."""

    def alone() -> bool:
        built = any(isinstance(o, Optimizer) for o in b.observer.discovery.built)
        return not built and not b.observer.optimizers.held and b.observer.watch.mine()

    def backward(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: torch.Tensor, gradient: Any = None, *args: Any, **kwargs: Any) -> Any:
            if gradient is None and self.numel() == 1 and alone():
                b.acted(patch)
                gradient = torch.full_like(self.detach(), factor)
            return original(self, gradient, *args, **kwargs)

        return run

    def grad(original: Any) -> Any:
        @functools.wraps(original)
        def run(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not alone() or kwargs.get("create_graph") or not isinstance(result, tuple):
                return result
            b.acted(patch)
            return tuple(g * factor if isinstance(g, torch.Tensor) else g for g in result)

        return run

    b.observer.patches.replace(torch.Tensor, "backward", backward)
    b.observer.patches.replace(torch.autograd, "grad", grad)
