"""The patch of hooks that pile up: of equal ones on a tensor or module the newest stays alone."""

from __future__ import annotations

import functools
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.piled_hooks import key_of
from flightcheck.patch import Patch

_OF_MODULES: Final = {
    "register_forward_hook": "_forward_hooks", "register_forward_pre_hook": "_forward_pre_hooks",
    "register_full_backward_hook": "_backward_hooks", "register_backward_hook": "_backward_hooks",
}  # fmt: skip


def once(b: Boundaries, patch: Patch) -> None:
    """``hooks:once``: registering a hook takes equal ones away, which the same owner has already.

    Raises:
        ValueError: the value is another one.
    """
    if patch.value != "once":
        raise ValueError(f"hooks: once wanted, but got {patch.value!r}")

    def make(attribute: str) -> Any:
        def wrapped(original: Any) -> Any:
            @functools.wraps(original)
            def register(self: Any, hook: Any, *args: Any, **kwargs: Any) -> Any:
                hooks, key = getattr(self, attribute, None) or {}, key_of(hook)
                equal = [i for i, h in hooks.items() if key is not None and key_of(h) == key]
                for i in equal if b.observer.watch.mine() else ():
                    del hooks[i]
                    b.acted(patch)
                return original(self, hook, *args, **kwargs)

            return register

        return wrapped

    b.observer.patches.replace(torch.Tensor, "register_hook", make("_backward_hooks"))
    for name, attribute in _OF_MODULES.items():
        b.observer.patches.replace(nn.Module, name, make(attribute))
