"""Patch of recurrent layers that start from zeros at each step of a sequence."""

from __future__ import annotations

from typing import Any, Final

import torch

from flightcheck.adapters.torch.fresh_states import LAYERS, is_fresh, is_one_step
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.state_cuts import CELLS
from flightcheck.patch import Patch

_STATE_AT: Final = 1


def carry(b: Boundaries, patch: Patch) -> None:
    """``carry-state:train.py:31``: what is called there with zeros goes on with the state of the call before.

    A sequence ends where a model was called, or a backward is over.
    """
    last: dict[int, Any] = {}

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        concerned = name in CELLS or (name in LAYERS and len(args) > _STATE_AT and is_one_step(args))
        if not concerned or not b.is_at(patch.value):
            return function(*args, **kwargs)
        key = id(args[3] if name in CELLS else args[2][1])
        before = last.get(key)
        if before is not None and is_fresh(args[_STATE_AT]) and _alike(before, args[_STATE_AT]):
            b.acted(patch)
            args = (args[0], before, *args[2:])
        result = function(*args, **kwargs)
        last[key] = _state(name, result)
        return result

    def root(call: Any, module: torch.nn.Module, given: Arguments) -> Any:
        if any(True for _ in module.children()):  # a cell by itself is one step
            last.clear()
        return call(*given[0], **given[1])

    b.at_operations(operation)
    b.at_root(root)
    b.after_backward(last.clear)


def _state(name: str, result: Any) -> Any:
    """What a call hands on to the next one, in the form in which it is given."""
    if name in CELLS:
        return result
    return result[1:] if name == "lstm" else result[1]


def _alike(one: Any, other: Any) -> bool:
    ones, others = ([s] if isinstance(s, torch.Tensor) else list(s) for s in (one, other))
    return [t.shape for t in ones] == [t.shape for t in others]
