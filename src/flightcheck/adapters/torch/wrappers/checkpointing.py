"""Reentrant activation checkpointing: the forward pass runs without a graph, and again inside the backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import CheckpointFunction

from flightcheck.adapters.torch.watch import hands_off

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def checkpointing(o: TorchObserver) -> None:
    """The first of the two passes is the training's, though no gradients are recorded in it; the second one is none
    of its own. The other kind of checkpointing needs nothing: its first pass has a graph.
    """
    watch = o.watch

    def make(original: Any) -> Any:
        def apply(*args: Any, **kwargs: Any) -> Any:
            # Where no input has a gradient, this is a pass without one, and what it computes is cut off.
            trains = torch.is_grad_enabled() and any(isinstance(a, torch.Tensor) and a.requires_grad for a in args)
            if not trains or watch.checkpointed or torch.compiler.is_compiling() or not watch.mine() or hands_off():
                return original(*args, **kwargs)
            resume = o.operations.suspend()  # what it would read from the graph is not there
            watch.checkpointed = True
            try:
                return original(*args, **kwargs)
            finally:
                watch.checkpointed = False
                if resume:
                    o.operations.resume()

        return apply

    o.patches.replace(CheckpointFunction, "apply", make)
