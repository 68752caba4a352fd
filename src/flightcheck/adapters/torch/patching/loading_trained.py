"""The patch of models that are evaluated in the place of the trained one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def trained(b: Boundaries, patch: Patch) -> None:
    """``load:trained``: a model that is called without gradients, and whose parameters no optimizer holds, has the
    weights of the model of its class that was trained last.
    """
    _given(b, patch, lambda module, pattern: module.load_state_dict(pattern.state_dict()))


def buffers(b: Boundaries, patch: Patch) -> None:
    """``load:buffers``: the same with its buffers alone, as the running statistics of a BatchNorm: its weights are an
    average on purpose.
    """

    def copied(module: nn.Module, pattern: nn.Module) -> None:
        theirs = dict(pattern.named_buffers())
        for name, buffer in module.named_buffers():
            buffer.copy_(theirs[name])

    _given(b, patch, copied)


def _given(b: Boundaries, patch: Patch, give: Callable[[nn.Module, nn.Module], Any]) -> None:
    """``give(module, pattern)`` for each evaluated model that no optimizer holds, and the trained one like it."""
    called: list[nn.Module] = []  # held: a script may drop a model that was trained
    held: set[int] = set()

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        if torch.is_grad_enabled() and not any(m is module for m in called):
            called.append(module)
        if not torch.is_grad_enabled() and not any(id(p) in held for p in module.parameters()):
            with b.unwatched(), torch.no_grad():
                pattern = next((m for m in reversed(called) if _is_trained(m, held) and _alike(m, module)), None)
                if pattern is not None:
                    give(module, pattern)
                    b.acted(patch)
        return call(*given[0], **given[1])

    def after(optimizer: Optimizer) -> None:
        held.update(id(p) for g in optimizer.param_groups for p in g["params"])

    b.at_root(root)
    b.around_step(after=after)


def _is_trained(model: nn.Module, held: set[int]) -> bool:
    return any(id(p) in held for p in model.parameters())


def _alike(one: nn.Module, other: nn.Module) -> bool:
    if type(one) is not type(other):
        return False
    mine, theirs = ({n: t.shape for n, t in m.state_dict().items()} for m in (one, other))
    return mine == theirs
