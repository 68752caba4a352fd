"""A patch of a model's last layer: as many outputs as there are classes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import REGRESSION, arguments_of
from flightcheck.patch import Patch


class _Head:
    """The last layer with its single output, and the one that stands beside it."""

    def __init__(self) -> None:
        self.made_by: dict[Any, nn.Linear] = {}
        """Graph node → layer of one output, in the first call of the model."""
        self.own: nn.Linear | None = None
        self.ours: nn.Linear | None = None
        self.logits: torch.Tensor | None = None
        self.held = False

    def found(self, own: nn.Linear, classes: int) -> None:
        """Build the other layer; random numbers come from a generator of its own."""
        self.own = own
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch.initial_seed() % 2**31 + 43)
            self.ours = nn.Linear(own.in_features, classes).to(own.weight.device, own.weight.dtype)


def classes(b: Boundaries, patch: Patch) -> None:
    """``head:10``: a layer with ten outputs beside the last one with its single output, and a cross-entropy of them.

    From the second training call on. The error compares the class that is chosen, as a number, as it does without it.
    """
    count, head = int(patch.value), _Head()

    def module(call: Any, own: nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        if not isinstance(own, nn.Linear) or own.out_features != 1 or not isinstance(result, torch.Tensor):
            return result
        if head.ours is None:
            head.made_by[result.grad_fn] = own
        elif own is head.own and torch.is_grad_enabled():
            with b.unwatched():
                head.logits = head.ours(given[0][0] if given[0] else given[1]["input"])
        return result

    def root(call: Any, model: nn.Module, given: Arguments) -> Any:
        head.logits = None
        result = call(*given[0], **given[1])
        output = first_tensor(result)
        if head.ours is None and output is not None and output.grad_fn is not None:
            own = head.made_by.get(behind_views(output.grad_fn))
            head.made_by.clear()
            if own is not None:
                with b.unwatched():
                    head.found(own, count)
        return result

    def loss(call: Any, name: str, given: Arguments) -> Any:
        _, target, _ = arguments_of(given)
        logits, head.logits = head.logits, None
        fits = logits is not None and isinstance(target, torch.Tensor) and target.numel() * count == logits.numel()
        if name not in REGRESSION or logits is None or not fits:
            return call(*given[0], **given[1])
        b.acted(patch)
        rows, ids = logits.reshape(-1, count), target.detach().reshape(-1).long()
        chosen = rows.argmax(1).to(rows.dtype) + 0 * rows.sum(1)  # part of the graph, as a prediction is
        b.loss_swapped("mse_loss", chosen, ids.to(rows.dtype))
        with b.unwatched():
            return F.cross_entropy(rows, ids)

    def before(optimizer: Optimizer) -> None:
        holds = head.own is not None and any(p is head.own.weight for g in optimizer.param_groups for p in g["params"])
        if holds and head.ours is not None and not head.held:
            head.held = True
            optimizer.add_param_group({"params": list(head.ours.parameters())})

    b.at_module(module)
    b.at_root(root)
    b.at_loss(loss)
    b.around_step(before)
