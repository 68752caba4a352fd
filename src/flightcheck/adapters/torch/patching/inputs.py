"""Patches of single inputs of a model: NaN and infinity filled, scaled by a factor, evaluations as the training."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.patch import Patch

_FEWEST: Final = 16
"""Values of a feature from which its mean and spread can be told in an evaluation."""
_APART: Final = 0.5
"""Mean distance of the features, in standard deviations, below which two samples are on one scale …"""
_RATIO: Final = 1.5
"""… if their spreads differ by less than this factor."""
_LEFT: Final = 0.25
"""Share of the variance that one factor for all features may leave unexplained: classes differ in the mix."""


def finite(b: Boundaries, patch: Patch) -> None:
    """``inputs:finite``: NaN and infinity in the inputs of a model are the mean of their feature in the batch."""

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        acted: list[bool] = []

        def fill(t: torch.Tensor) -> torch.Tensor:
            filled = without_gaps(t)
            acted.extend([True] if filled is not t else [])
            return filled

        args, kwargs = map_tensors(given, fill)
        if acted:
            b.acted(patch)
        return call(*args, **kwargs)

    b.at_root(root)


def without_gaps(t: torch.Tensor) -> torch.Tensor:
    """The tensor itself if it is finite, or a mask to be added (0 and -inf), which is infinite on purpose."""
    if not is_plain_tensor(t) or t.requires_grad or not t.is_floating_point() or not t.numel():
        return t
    there = torch.isfinite(t)
    if bool(there.all()):
        return t
    known = torch.where(there, t, 0.0)
    if not bool(known.any()) and bool((t[~there] == -torch.inf).all()):
        return t
    if t.dim() < 2:
        return torch.where(there, t, known.sum() / there.sum().clamp_min(1))
    keep = 1 if t.dim() >= 4 else t.dim() - 1
    over = [d for d in range(t.dim()) if d != keep]
    mean = known.sum(over, keepdim=True) / there.sum(over, keepdim=True).clamp_min(1)
    return torch.where(there, t, mean)


def scaled(b: Boundaries, patch: Patch) -> None:
    """``inputs:x255``: the numbers that a model is given are multiplied by a factor."""
    factor = float(patch.value[1:])

    def scale(t: torch.Tensor) -> torch.Tensor:
        return t * factor if t.is_floating_point() and not t.requires_grad else t

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        b.acted(patch)
        args, kwargs = map_tensors(given, scale)
        return call(*args, **kwargs)

    b.at_root(root)


def turned(b: Boundaries, patch: Patch) -> None:
    """``inputs:turned``: in evaluations the three channels of images stand in the other order."""

    def turn(t: torch.Tensor) -> torch.Tensor:
        return t.flip(1) if t.dim() == 4 and t.shape[1] == 3 and t.is_floating_point() else t

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        if torch.is_grad_enabled():
            return call(*given[0], **given[1])
        b.acted(patch)
        args, kwargs = map_tensors(given, turn)
        return call(*args, **kwargs)

    b.at_root(root)


def begun(b: Boundaries, patch: Patch) -> None:
    """``inputs:begin=0,1``: in evaluations sequences that all begin with the one token begin with the other."""
    old, new = (int(n) for n in patch.value.partition("=")[2].split(","))

    def begin(t: torch.Tensor) -> torch.Tensor:
        if t.dtype not in (torch.int32, torch.int64) or t.dim() not in (1, 2) or len(t) < 2 or not t.numel():
            return t
        if not bool(((t if t.dim() == 1 else t[:, 0]) == old).all()):
            return t
        b.acted(patch)
        changed = t.clone()
        if t.dim() == 1:
            changed[:] = new
        else:
            changed[:, 0] = new
        return changed

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        if torch.is_grad_enabled():
            return call(*given[0], **given[1])
        args, kwargs = map_tensors(given, begin)
        return call(*args, **kwargs)

    b.at_root(root)


class _Moments:
    """Mean and standard deviation per feature, over all batches so far."""

    def __init__(self, features: int) -> None:
        self.count = 0
        self._sum = torch.zeros(features, dtype=torch.double)
        self._squares = torch.zeros(features, dtype=torch.double)

    def add(self, x: torch.Tensor) -> None:
        """`x` has shape ``(values, features)``."""
        self.count += len(x)
        self._sum += x.sum(0).cpu()
        self._squares += x.square().sum(0).cpu()

    @property
    def mean(self) -> torch.Tensor:
        return self._sum / max(self.count, 1)

    @property
    def std(self) -> torch.Tensor:
        return (self._squares / max(self.count, 1) - self.mean.square()).clamp_min(0).sqrt()

    @property
    def spread(self) -> float:
        """Standard deviation of all values of all features together."""
        return float((self.std.square().mean() + self.mean.var(correction=0)).sqrt())

    def like(self, other: _Moments) -> bool:
        """On the same scale, as far as two samples tell."""
        size = torch.maximum(self.std, other.std).clamp_min(1e-12)
        apart = float(((self.mean - other.mean).abs() / size).clamp_max(10).mean())
        ratio = max(self.spread, 1e-12) / max(other.spread, 1e-12)
        return apart < _APART and 1 / _RATIO < ratio < _RATIO


def as_training(b: Boundaries, patch: Patch) -> None:
    """``inputs:as-training``: in evaluations the inputs have the mean and the spread that they had in training steps.

    By one factor and offset for all features where that explains the difference, else by one per feature. Batches that
    are on the scale of the training already, such as the training examples themselves, stay as they are.
    """
    trained: dict[Any, _Moments] = {}
    evaluated: dict[Any, _Moments] = {}

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        counter = iter(range(10**6))
        acted: list[bool] = []

        def change(t: torch.Tensor) -> torch.Tensor:
            place = next(counter)
            if not is_plain_tensor(t) or not t.is_floating_point() or t.requires_grad or t.dim() < 2 or not t.numel():
                return t
            keep = 1 if t.dim() >= 4 else t.dim() - 1
            key, columns = (id(module), place, t.shape[keep]), t.detach().movedim(keep, -1).flatten(0, -2).double()
            if torch.is_grad_enabled():
                trained.setdefault(key, _Moments(t.shape[keep])).add(columns)
                return t
            here = _Moments(t.shape[keep])
            here.add(columns)
            if key not in trained or here.like(trained[key]):
                return t
            seen = evaluated.setdefault(key, _Moments(t.shape[keep]))
            seen.add(columns)
            if seen.count < _FEWEST:
                return t
            acted.append(True)
            factor, offset = _affine(seen, trained[key])
            return (t.movedim(keep, -1) * factor.to(t) + offset.to(t)).movedim(-1, keep)

        with b.unwatched():
            args, kwargs = map_tensors(given, change)
        if acted:
            b.acted(patch)
        return call(*args, **kwargs)

    b.at_root(root)


def _affine(one: _Moments, other: _Moments) -> tuple[torch.Tensor, torch.Tensor]:
    """Factor and offset per feature that bring values as in `one` to the scale of `other`."""
    whole = other.spread / max(one.spread, 1e-12)
    shift = other.mean.mean() - whole * one.mean.mean()
    left = (other.mean - whole * one.mean - shift).square().mean() / other.std.square().mean().clamp_min(1e-12)
    if float(left) < _LEFT:
        return torch.full_like(one.mean, whole), torch.full_like(one.mean, float(shift))
    # A feature that stands still in the evaluation is moved and not stretched.
    moves = one.std > 1e-3 * one.spread
    factor = torch.where(moves, other.std / one.std.clamp_min(1e-12), 1.0)
    return factor, other.mean - factor * one.mean
