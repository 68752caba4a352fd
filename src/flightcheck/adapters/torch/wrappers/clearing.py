"""``zero_grad``, of optimizers and of modules."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def clearing(o: TorchObserver, original: Any) -> Any:
    """The replacement of a ``zero_grad``."""

    def tell(owner: Any) -> None:
        line = o.lines.here() if o.protocol.close else None
        if isinstance(owner, Optimizer):
            o.protocol.zero_grad(owner, None, line)
        else:
            o.protocol.zero_grad(None, owner, line)

    told = o.watch.guarded(tell)

    @functools.wraps(original)
    def zero_grad(self: Any, *args: Any, **kwargs: Any) -> None:
        if not (o.watch.resting or torch.compiler.is_compiling()):
            told(self)
        original(self, *args, **kwargs)

    return zero_grad
