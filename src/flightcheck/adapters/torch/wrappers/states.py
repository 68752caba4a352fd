"""``state_dict()`` of models, and copies of their parameters."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def state_dicts(o: TorchObserver) -> None:
    """``state_dict`` of a model: it asks its children in turn, of which nothing is told."""
    told = o.watch.guarded(o.checkpoints.state_taken)
    depth = 0

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def state_dict(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            if depth or torch.compiler.is_compiling() or not o.watch.mine():
                return original(self, *args, **kwargs)
            depth += 1
            try:
                result = original(self, *args, **kwargs)
            finally:
                depth -= 1
            told(self, result)
            return result

        return state_dict

    o.patches.replace(nn.Module, "state_dict", make)


def copies(o: TorchObserver) -> None:
    """``copy.deepcopy`` of a model copies its parameters one by one."""
    told = o.watch.guarded(o.checkpoints.averages.copied)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __deepcopy__(self: nn.Parameter, memo: Any) -> Any:  # noqa: N807
            result = original(self, memo)
            told(self, result)
            return result

        return __deepcopy__

    o.patches.replace(nn.Parameter, "__deepcopy__", make)
