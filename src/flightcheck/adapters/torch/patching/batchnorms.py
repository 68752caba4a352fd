"""Patches of batch normalizations: another momentum, and statistics of their own for each place in a pass or a step."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch
from flightcheck.recording.states import NEWEST_BATCH


def batchnorm(b: Boundaries, patch: Patch) -> None:
    """``batchnorm:momentum=0.1``, ``batchnorm:eps=1e-5``, ``batchnorm:each``, ``nearest`` or ``running``."""
    by_name = {"momentum": _momentum, "eps": _epsilon, "each": _each, "nearest": _nearest, "running": _running}
    by_name[patch.value.partition("=")[0]](b, patch)


def _epsilon(b: Boundaries, patch: Patch) -> None:
    """Another epsilon in all calls, where the script's is larger."""
    wanted = float(patch.value.partition("=")[2])

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        if not isinstance(module, _BatchNorm) or module.eps <= wanted:
            return call(*given[0], **given[1])
        b.acted(patch)
        before, module.eps = module.eps, wanted
        try:
            return call(*given[0], **given[1])
        finally:
            module.eps = before

    b.at_module(around)


def _running(b: Boundaries, patch: Patch) -> None:
    """Training calls update the running statistics and normalize with them, as evaluations do."""

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        if not isinstance(module, _BatchNorm) or not module.training or module.running_mean is None:
            return call(*given[0], **given[1])
        b.acted(patch)
        with torch.no_grad(), b.unwatched():
            call(*given[0], **given[1])
        module.training = False
        try:
            return call(*given[0], **given[1])
        finally:
            module.training = True

    b.at_module(around)


def _momentum(b: Boundaries, patch: Patch) -> None:
    """Another momentum in training calls, where the script's leaves only the last batch, or keeps the initial
    statistics for longer than this one does.
    """
    wanted = float(patch.value.partition("=")[2] or 0.1)

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        if not isinstance(module, _BatchNorm) or not module.training:
            return call(*given[0], **given[1])
        before = module.momentum or 0.0  # None: an average over all batches, which starts with none
        if not (before >= NEWEST_BATCH or 0.0 < before < wanted):
            return call(*given[0], **given[1])
        b.acted(patch)
        module.momentum = wanted
        try:
            return call(*given[0], **given[1])
        finally:
            module.momentum = before

    b.at_module(around)


def _each(b: Boundaries, patch: Patch) -> None:
    """A layer that is called several times in a pass of its model has running statistics for each place.

    Weights stay shared, and training steps are what they were: only evaluations see these statistics.
    """
    calls: weakref.WeakKeyDictionary[nn.Module, int] = weakref.WeakKeyDictionary()
    own: weakref.WeakKeyDictionary[nn.Module, dict[int, tuple[torch.Tensor, torch.Tensor]]]
    own = weakref.WeakKeyDictionary()

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        if not isinstance(module, _BatchNorm) or module.running_mean is None or module.running_var is None:
            return call(*given[0], **given[1])
        place = calls[module] = calls.get(module, 0) + 1
        if place == 1:
            return call(*given[0], **given[1])
        b.acted(patch)
        first = (torch.zeros_like(module.running_mean), torch.ones_like(module.running_var))
        mine = own.setdefault(module, {}).setdefault(place, first)
        shared = (module.running_mean, module.running_var)
        module.running_mean, module.running_var = mine
        try:
            return call(*given[0], **given[1])
        finally:
            module.running_mean, module.running_var = shared

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        calls.clear()
        return call(*given[0], **given[1])

    b.at_module(around)
    b.at_root(root)


def _nearest(b: Boundaries, patch: Patch) -> None:
    """A layer has running statistics for each pass of a training step: the first, the second … Evaluations use those
    that are nearest to their own batch.

    Weights stay shared, and training steps are what they were: only evaluations see these statistics.
    """
    calls: weakref.WeakKeyDictionary[nn.Module, tuple[int, int]] = weakref.WeakKeyDictionary()
    own: weakref.WeakKeyDictionary[nn.Module, dict[int, tuple[torch.Tensor, torch.Tensor]]]
    own = weakref.WeakKeyDictionary()

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        mean, variance = getattr(module, "running_mean", None), getattr(module, "running_var", None)
        values = given[0][0] if given[0] else None
        if not isinstance(module, _BatchNorm) or mean is None or variance is None or not module.momentum:
            return call(*given[0], **given[1])
        if not torch.is_tensor(values):
            return call(*given[0], **given[1])
        mine = own.setdefault(module, {})
        mine[1] = mean, variance  # the first pass keeps the layer's own
        if module.training:
            step, place = calls.get(module, (-1, 0))
            place = place + 1 if step == b.observer.watch.step else 1
            calls[module] = b.observer.watch.step, place
            chosen = mine.setdefault(place, (torch.zeros_like(mean), torch.ones_like(variance)))
        elif len(mine) > 1:
            with b.unwatched():
                chosen = min(mine.values(), key=lambda s: _distance(values.detach(), *s))
            b.acted(patch)
        else:
            return call(*given[0], **given[1])
        module.running_mean, module.running_var = chosen
        try:
            return call(*given[0], **given[1])
        finally:
            module.running_mean, module.running_var = mean, variance

    b.at_module(around)


def _distance(values: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> float:
    """How unlikely the mean and the variance of a batch are, summed over the channels."""
    flat = values.transpose(0, 1).flatten(1).to(mean.dtype)
    own, spread = flat.mean(1), flat.var(1, correction=0)
    known = variance.clamp_min(1e-6)
    off = (own - mean).square() / known
    return float((off + (spread.clamp_min(1e-6) / known).log().square()).sum())
