"""Sums over the ranks of a distributed training that the script itself asks for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def collectives(o: TorchObserver) -> None:
    """``all_reduce``; put in only where several processes train together."""
    if o.replicas.ranks < 2 or not torch.distributed.is_available():
        return

    def tell(tensor: Any, group: Any) -> None:
        o.replicas.all_reduced(tensor, group is None or group is torch.distributed.group.WORLD)

    told = o.watch.guarded(tell)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def all_reduce(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not torch.compiler.is_compiling():
                tensor = args[0] if args else kwargs.get("tensor")
                told(tensor, args[2] if len(args) > 2 else kwargs.get("group"))
            return result

        return all_reduce

    o.patches.replace(torch.distributed, "all_reduce", make)
