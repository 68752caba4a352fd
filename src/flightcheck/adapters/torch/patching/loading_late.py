"""The patch of states that were loaded too early, into the wrong model, or into a dictionary only."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.identity import ByIdentity
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch

_MOST_STATES: Final = 512

State = tuple[weakref.ref[nn.Module], type[nn.Module], dict[str, Any]]


def late(b: Boundaries, patch: Patch) -> None:
    """``load:late``: when a model is called for the first time, it is given what was loaded into it, or into another
    model of its class, before; and what was written into a dictionary that its ``state_dict()`` returned.
    """
    given: list[State] = []
    returned: list[State] = []
    called = ByIdentity[bool]()

    def loader(original: Any) -> Any:
        @functools.wraps(original)
        def load_state_dict(self: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, state_dict, *args, **kwargs)
            if b.observer.watch.mine() and isinstance(state_dict, Mapping) and len(given) < _MOST_STATES:
                values = {k: v.clone() for k, v in state_dict.items() if isinstance(v, torch.Tensor)}
                given.append((weakref.ref(self), type(self), values))
            return result

        return load_state_dict

    def taker(original: Any) -> Any:
        @functools.wraps(original)
        def state_dict(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            outermost = "destination" not in kwargs and not args
            if b.observer.watch.mine() and outermost and self not in called and len(returned) < _MOST_STATES:
                returned.append((weakref.ref(self), type(self), result))
            return result

        return state_dict

    def root(call: Any, module: nn.Module, arguments: Arguments) -> Any:
        if module not in called:
            called[module] = True
            with b.unwatched(), torch.no_grad():
                if any([_filled(module, given, of_class=True), _filled(module, returned, of_class=False)]):
                    b.acted(patch)
        return call(*arguments[0], **arguments[1])

    b.observer.patches.replace(nn.Module, "load_state_dict", loader)
    b.observer.patches.replace(nn.Module, "state_dict", taker)
    b.at_root(root)


def _filled(module: nn.Module, states: list[State], of_class: bool) -> bool:
    """The values of the states stand in the model, or in a part of it; False if nothing was changed by that."""
    inside = list(module.modules())
    changed = False
    for ref, kind, values in states:
        source = ref()
        there = [m for m in inside if m is source] or [m for m in inside if of_class and type(m) is kind]
        for part in there:
            own = dict([*part.named_parameters(), *part.named_buffers()])
            for name, value in values.items():
                tensor = own.get(name)
                if tensor is not None and tensor.shape == value.shape and not torch.equal(tensor, value.to(tensor)):
                    tensor.copy_(value)
                    changed = True
    return changed
