"""A patch of one dropout: that of a module, of a recurrent layer between its layers, or of a call of a function."""

from __future__ import annotations

import functools
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.adapters.torch.handmade_dropouts import PRODUCTS
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch

FUNCTIONS: Final = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
_IN_EVALUATIONS: Final = "eval"


def dropout(b: Boundaries, patch: Patch) -> None:
    """``dropout:model.drop=0.1``: the module of this path drops with another probability; ``dropout:train.py:31=0.1``:
    the function that is called at this line does. ``dropout:train.py:31=eval``: in evaluations the product at this line
    is one with the mean of its mask.
    """
    place, _, wanted = patch.value.rpartition("=")
    name, _, line = place.rpartition(":")
    if wanted == _IN_EVALUATIONS:
        _with_mean_mask(b, patch, place)
    elif name and line.isdigit():
        _at_line(b, patch, place, float(wanted))
    else:
        _of_module(b, patch, place, float(wanted))


def _of_module(b: Boundaries, patch: Patch, path: str, wanted: float) -> None:
    discovery = b.observer.discovery

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        option = option_of(module)
        if not option or not module.training:
            return call(*given[0], **given[1])
        index = discovery.module_index(module)
        if index is None or discovery.modules[index].path != path:
            return call(*given[0], **given[1])
        b.acted(patch)
        return with_option(module, option, wanted, call, given)

    b.at_module(around)


def option_of(module: nn.Module) -> str:
    """The attribute that holds the probability; empty for modules that drop nothing."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return "p"
    return "dropout" if isinstance(module, nn.RNNBase) else ""


def with_option(module: nn.Module, option: str, value: float, call: Any, given: Arguments) -> Any:
    """The call of a module with another probability, its own put back afterwards."""
    before = getattr(module, option)
    setattr(module, option, value)
    try:
        return call(*given[0], **given[1])
    finally:
        setattr(module, option, before)


def _at_line(b: Boundaries, patch: Patch, place: str, wanted: float) -> None:
    def make(original: Any) -> Any:
        @functools.wraps(original)
        def dropped(input: Any, p: float = 0.5, *args: Any, **kwargs: Any) -> Any:
            if not b.observer.watch.mine() or not b.is_at(place):
                return original(input, p, *args, **kwargs)
            b.acted(patch)
            return original(input, wanted, *args, **kwargs)

        return dropped

    for name in FUNCTIONS:
        b.observer.patches.replace(F, name, make)


def _with_mean_mask(b: Boundaries, patch: Patch, place: str) -> None:
    """The mask is drawn all the same: the training goes on as its control does."""

    def mean_of(t: Any) -> Any:
        values = torch.unique(t) if isinstance(t, torch.Tensor) and t.dim() else None
        two = values is not None and len(values) == 2 and not bool(values[0])
        return t.float().mean().to(t.dtype if t.is_floating_point() else torch.float32) if two else t

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        models = b.observer.operations.modules
        written_as_functions = not b.observer.discovery.roots
        mode = models[0].training if models else not written_as_functions  # a teacher, too, may be meant to drop
        trains = torch.is_grad_enabled() or mode
        if trains or name not in PRODUCTS or not b.is_at(place):
            return function(*args, **kwargs)
        with b.unwatched():
            means = tuple(map(mean_of, args))
        if all(one is other for one, other in zip(means, args)) or not isinstance(args[0], torch.Tensor):
            return function(*args, **kwargs)
        b.acted(patch)
        one, other = means[:2]
        return one * other

    b.at_operations(operation)
