"""Patches of accumulated gradients: their mean in the place of their sum."""

from __future__ import annotations

import functools
from typing import Any

import torch

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch


def accumulate(b: Boundaries, patch: Patch) -> None:
    """``accumulate:x0.25``: what every backward adds to the gradients is multiplied by a factor.

    At backward and not before the step, so that clipping in between sees the gradients of the mean. The loss keeps its
    value.
    """
    if not patch.value.startswith("x") or not float(patch.value[1:]) > 0:
        raise ValueError(f"accumulate: a factor wanted, as in x0.25, but got {patch.value!r}")
    factor = float(patch.value[1:])

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def backward(self: torch.Tensor, gradient: Any = None, *args: Any, **kwargs: Any) -> Any:
            if b.observer.watch.mine() and gradient is None and self.numel() == 1:
                b.acted(patch)
                gradient = torch.full_like(self.detach(), factor)
            return original(self, gradient, *args, **kwargs)

        return backward

    b.observer.patches.replace(torch.Tensor, "backward", make)
