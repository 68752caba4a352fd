"""``Variable(tensor, requires_grad=True)``: an old form whose result has no history, which no function mode sees."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Variable

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def variables(o: TorchObserver) -> None:
    """Constructions of `Variable`."""
    cut = o.watch.guarded(o.operations.cuts.made_anew)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __call__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
            result = original(cls, *args, **kwargs)
            given = args[0] if args else kwargs.get("data")
            if o.operations.everything and isinstance(given, torch.Tensor) and not torch.compiler.is_compiling():
                cut(given, result)
            return result

        return __call__

    o.patches.replace(type(Variable), "__call__", make)
