"""Batch normalizations: how many values they normalize over, and how old their running statistics are.

The running statistics start at mean 0 and variance 1, and every batch replaces the share `momentum` of them. So the
statistics themselves tell what the batches were: no input needs to be looked at.
"""

from __future__ import annotations

import statistics
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from flightcheck.adapters.torch.batchnorm_noise import NewestBatches
from flightcheck.adapters.torch.batchnorm_uses import RepeatedUses
from flightcheck.adapters.torch.discovery import Discovery, Root
from flightcheck.adapters.torch.identity import ByIdentity
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.states import BatchStatistics

_MOST_CALLS: Final = 256
_MOST_EVALUATIONS: Final = 64
_MOST_MODULES: Final = 64
_USUAL_EPSILON: Final = 1e-3
"""The largest in common use (that of Keras)."""


@dataclass
class Frozen:
    """A batch normalization that was called in training in eval mode."""

    initial: bool
    line: Location | None
    calls: int = 0


class BatchNorms:
    """What the batch normalizations of all models were given."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._values: dict[int, list[int]] = {}
        self._examples: dict[int, list[int]] = {}
        self._evaluated: dict[int, BatchStatistics] = {}
        self._refs: dict[int, weakref.ref[nn.Module]] = {}
        self._evaluations = 0
        self._frozen: dict[int, Frozen] = {}
        self._newest = NewestBatches()
        self.uses = RepeatedUses()
        self._eval_lines = ByIdentity[Location]()

    def normalized(self, index: int, module: nn.Module, output: torch.Tensor) -> None:
        """A module was called in training, in a round that is measured."""
        if isinstance(module, nn.GroupNorm) and output.dim() > 1 and len(output):
            self.discovery.describe(index, group_values=output[0].numel() // module.num_groups)
        if not isinstance(module, _BatchNorm) or output.dim() < 2:
            return
        if not module.training:
            self._fixed(index, module)
            return
        self._newest.trained(index, module)
        self.uses.called(index, module, self.watch.step)
        seen = self._values.setdefault(index, [])
        self._refs.setdefault(index, weakref.ref(module))
        if len(seen) < _MOST_CALLS and output.shape[1]:
            seen.append(output.numel() // output.shape[1])
            self._examples.setdefault(index, []).append(len(output))

    def mode(self, module: _BatchNorm, training: bool, line: Callable[[], Location | None]) -> None:
        """``train()`` or ``eval()`` reached a batch normalization, of its own or through its model."""
        if not self.watch.learning:
            return
        self._eval_lines.pop(module)
        at = line() if not training else None
        if at is not None:
            self._eval_lines[module] = at

    def _fixed(self, index: int, module: _BatchNorm) -> None:
        """A training call in eval mode: the statistics are used, and not changed."""
        if module.running_var is None or module.running_mean is None:
            return
        known = self._frozen.get(index)
        if known is None:
            count = module.num_batches_tracked
            initial = count is not None and module not in self.discovery.loaded and not int(count)
            initial = initial and not bool(module.running_mean.any()) and bool((module.running_var == 1).all())
            known = self._frozen[index] = Frozen(initial, self._eval_lines.get(module))
        known.calls += 1

    def evaluated(self, root: Root) -> None:
        """An evaluation of a model begins: what are its running statistics worth?"""
        module = root.module()
        if module is None or not root.batchnorms or self._evaluations >= _MOST_EVALUATIONS:
            return
        self._evaluations += 1
        if any(m in self.discovery.loaded for m in module.modules()):
            return  # the statistics began elsewhere
        for norm in root.batchnorms[:_MOST_MODULES]:
            index = self.discovery.module_index(norm)
            if index is None or norm.training or not isinstance(norm, _BatchNorm):
                continue
            record = _worth(index, norm, self.watch.step)
            if record is not None:
                self._evaluated[index] = record
                self._newest.evaluated(index, norm)

    def save(self) -> None:
        """Write the records."""
        for index in self._values.keys() | self._evaluated.keys() | self._frozen.keys():
            known = self._evaluated.get(index) or BatchStatistics(index)
            seen = self._values.get(index, [])
            module = self._refs[index]() if index in self._refs else None
            frozen = self._frozen.get(index)
            record = BatchStatistics(
                **{
                    **vars(known),
                    **self._newest.facts(index),
                    **self.uses.facts(index),
                    "values": float(statistics.median(seen)) if seen else None,
                    "calls": len(seen),
                    "examples": float(statistics.median(self._examples[index])) if seen else None,
                    "below_epsilon": _below_epsilon(module),
                    "fewest": min(seen, default=None),
                    "most": max(seen, default=None),
                    "synchronized": isinstance(module, nn.SyncBatchNorm),
                    "fixed_calls": frozen.calls if frozen else 0,
                    "initial": frozen is not None and frozen.initial,
                    "mode_location": frozen.line if frozen else None,
                }
            )
            self.watch.writer.put(record, index)


def _worth(index: int, norm: _BatchNorm, step: int) -> BatchStatistics | None:
    """How far the running statistics are from those of the batches that made them."""
    mean, variance, count = norm.running_mean, norm.running_var, norm.num_batches_tracked
    if mean is None or variance is None or count is None:
        return None
    tracked, momentum = int(count), norm.momentum
    left = 0.0 if momentum is None and tracked else (1 - float(momentum or 0.0)) ** tracked
    ratio = shift = None
    if 0 <= left < 1:
        inside = ((variance.detach().double() - left) / (1 - left)).clamp_min(1e-12)
        ratio = float((variance.double() / inside).median())
        shift = float((mean.detach().double().abs() * left / (1 - left) / inside.sqrt()).median())
    return BatchStatistics(
        index, momentum=momentum, tracked=tracked, step=step, left=left, variance_ratio=ratio, mean_shift=shift
    )


def _below_epsilon(norm: nn.Module | None) -> float | None:
    """The share of channels that vary less than an epsilon of unusual size."""
    variance = getattr(norm, "running_var", None)
    if not isinstance(norm, _BatchNorm) or norm.eps <= _USUAL_EPSILON or variance is None:
        return None
    return float((variance.detach() < norm.eps).float().mean())
