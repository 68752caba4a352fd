"""A patch of models that stand still: target networks that nothing brings up to date."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def follow(b: Boundaries, patch: Patch) -> None:
    """``follow:25``: a model that no optimizer holds gets the weights of the trained one once in so many steps.

    Both are called from outside, and have parameters of the same names and shapes; one that another patch or the script
    itself changed since the last time is left alone.

    Raises:
        ValueError: the value is no number of steps.
    """
    if not patch.value.isdigit() or not int(patch.value):
        raise ValueError(f"follow: a number of steps such as 25 wanted, but got {patch.value!r}")
    every, steps = int(patch.value), [0]
    called: dict[int, weakref.ref[nn.Module]] = {}
    held: set[int] = set()
    known: dict[int, torch.Tensor] = {}
    """A copy of the first parameter of each model that stands still."""

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        called.setdefault(id(module), weakref.ref(module))
        return call(*given[0], **given[1])

    def after(optimizer: Optimizer) -> None:
        held.update(id(p) for g in optimizer.param_groups for p in g["params"])
        steps[0] += 1
        if steps[0] % every:
            return
        models = [m for r in called.values() if (m := r()) is not None]
        trained = [m for m in models if any(id(p) in held for p in m.parameters())]
        with b.unwatched(), torch.no_grad():
            for still in (m for m in models if not any(id(p) in held for p in m.parameters())):
                pattern = [m for m in trained if _shapes(m) == _shapes(still)]
                first = next(still.parameters())
                if len(pattern) != 1 or not torch.equal(known.setdefault(id(still), first.clone()), first):
                    continue
                still.load_state_dict(pattern[0].state_dict())
                known[id(still)] = first.clone()
                b.acted(patch)

    b.at_root(around)
    b.around_step(after=after)


def _shapes(model: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(n, p.shape) for n, p in model.named_parameters()]
