"""The patch of a model in training that is given the weights of the one which was to follow it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def turned(b: Boundaries, patch: Patch) -> None:
    """``load:turned``: where a model that was trained would get the weights of a called one that no optimizer holds,
    that one gets the weights of the trained one.
    """
    called: dict[int, nn.Module] = {}
    held: set[int] = set()

    def loader(original: Any) -> Any:
        @functools.wraps(original)
        def load_state_dict(self: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
            source = _source(state_dict) if b.observer.watch.mine() and _is_trained(self) else None
            if source is None or source is self or _is_trained(source):
                return original(self, state_dict, *args, **kwargs)
            b.acted(patch)
            with b.unwatched():
                return original(source, self.state_dict(), *args, **kwargs)

        return load_state_dict

    def _is_trained(model: nn.Module) -> bool:
        return any(id(p) in held for p in model.parameters())

    def _source(state: Any) -> nn.Module | None:
        if not isinstance(state, Mapping):
            return None
        memory = {t.data_ptr() for t in state.values() if isinstance(t, torch.Tensor) and t.numel()}
        return next((m for m in called.values() if memory.issuperset(p.data_ptr() for p in m.parameters())), None)

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        if any(True for _ in module.parameters()):
            called[id(module)] = module
        return call(*given[0], **given[1])

    def after(optimizer: Optimizer) -> None:
        held.update(id(p) for g in optimizer.param_groups for p in g["params"])

    b.observer.patches.replace(nn.Module, "load_state_dict", loader)
    b.at_root(root)
    b.around_step(after=after)
