"""Patches of the script's text: one statement is written anew before the file is compiled.

For what no boundary of PyTorch sees: orders and statistics that NumPy or scikit-learn computed.
"""

from __future__ import annotations

import builtins
import copy
import importlib.machinery
import math
import operator
import random
import tokenize
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from flightcheck import launch
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.adapters.torch.tallies import SUMS, truth_values
from flightcheck.patch import Patch
from flightcheck.recording.rewriting import rewritten
from flightcheck.recording.separating import HELPER
from flightcheck.recording.shares import line_of_counts

_ORDERS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def source(b: Boundaries, patch: Patch) -> None:
    """``source:transform:train.py:31``: see `flightcheck.recording.rewriting` for the rules.

    Raises:
        ValueError: the value is none of this form.
    """
    rule, name, line = [*patch.value.split(":"), "", ""][:3]
    if not line.isdigit():
        raise ValueError(f"source: a value such as transform:train.py:31 wanted, but got {patch.value!r}")
    helper = getattr(builtins, HELPER, None) or Helper()
    setattr(builtins, HELPER, helper)
    b.observer.patches.add(_Gone())
    if (counts := line_of_counts(rule)) is not None:
        _follow_counts(b, helper.counts, name, counts)
    if rule == "double":
        b.at_root(_single)

    def changed(data: bytes, file: str) -> bytes:
        if Path(file).name != name:
            return data
        try:
            encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
            text = data.decode(encoding)
            new = rewritten(text, rule, int(line))
        except (SyntaxError, UnicodeDecodeError):
            return data
        if new == text:
            return data
        b.acted(patch)
        return new.encode(encoding)

    def compiled(original: Any) -> Any:
        def get_code(self: Any, fullname: str) -> Any:
            if Path(self.path).name != name:
                return original(self, fullname)
            return self.source_to_code(changed(self.get_data(self.path), self.path), self.path)

        return get_code

    b.observer.patches.replace(importlib.machinery.SourceFileLoader, "get_code", compiled)
    b.observer.patches.replace(launch, "read", lambda original: lambda file: changed(original(file), file))


def _single(call: Any, module: torch.nn.Module, given: Arguments) -> Any:
    """A model of single precision is given single precision."""
    weights = next(module.parameters()).dtype

    def cast(t: torch.Tensor) -> torch.Tensor:
        return t.to(weights) if t.dtype is torch.float64 and weights is not torch.float64 else t

    args, kwargs = map_tensors(given, cast)
    return call(*args, **kwargs)


def _follow_counts(b: Boundaries, counts: Counts, file: str, line: int) -> None:
    """Tell the helper of the truth values that a line adds up."""

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        result = function(*args, **kwargs)
        counted = name in SUMS and len(args) == 1 and isinstance(args[0], torch.Tensor) and not torch.is_grad_enabled()
        if counted and b.is_at(f"{file}:{line}") and truth_values(args[0]):
            counts.add(line, int(args[0].sum()), args[0].numel())
        return result

    b.at_operations(operation)


class Counts:
    """What was added up by line, since it was last divided."""

    def __init__(self) -> None:
        self._true: dict[int, int] = {}
        self._counted: dict[int, int] = {}

    def add(self, line: int, true: int, counted: int) -> None:
        """So many of so many."""
        self._true[line] = self._true.get(line, 0) + true
        self._counted[line] = self._counted.get(line, 0) + counted

    def true(self, line: int, given: Any) -> Any:
        """How many were true, as a number of the kind of that given; that itself if nothing is known."""
        if line not in self._counted:
            return given
        true = self._true[line]
        return torch.as_tensor(true, dtype=given.dtype) if isinstance(given, torch.Tensor) else true

    def counted(self, line: int, given: Any) -> Any:
        """Out of how many; the count begins anew."""
        self._true.pop(line, None)
        return self._counted.pop(line, given)


class Helper:
    """What rewritten statements call."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._states: list[tuple[Any, Any]] = []
        self._orders: dict[int, Any] = {}
        self._last: dict[int, int] = {}
        self._rounds: dict[int, tuple[int, int]] = {}
        self._generator = np.random.default_rng(torch.initial_seed() % 2**31 + 43)

    def order(self, *given: Any) -> None:
        """An order is about to be drawn, by one of these objects or by a global generator: remember its state."""
        self._states = [(o, s) for o in (random, np.random, torch, *given) if (s := _state(o)) is not None]

    def same_order(self, *given: Any) -> None:
        """The order that is about to be drawn is to be the one before."""
        for owner, state in self._states:
            _set_state(owner, state)

    def carried(self, line: int, count: Any) -> Any:
        """The count of a loop, and all rounds of the same loop before it; anything but a whole number as it is."""
        if not isinstance(count, int):
            return count
        before, last = self._rounds.get(line, (0, -1))
        if count < last:
            before += last + 1
        self._rounds[line] = (before, count)
        return before + count

    @staticmethod
    def others(mask: Any) -> Any:
        """What a mask of truth values, or of zeros and ones, leaves; outside of training the mask itself."""
        if not torch.is_grad_enabled() or not isinstance(mask, (torch.Tensor, np.ndarray)):
            return mask
        return ~mask if mask.dtype in (torch.bool, np.bool_) else 1 - mask

    @staticmethod
    def deepcopy(state: Any) -> Any:
        """A state that goes on training no more."""
        return copy.deepcopy(state)

    @staticmethod
    def apart(value: Any) -> Any:
        """An array, tensor or list with memory of its own; anything else as it is."""
        return copy.deepcopy(value) if isinstance(value, (np.ndarray, torch.Tensor, list)) else value

    @staticmethod
    def turned(one: Any, other: Any, order: str) -> Any:
        """A comparison by this order; with infinity, from which a search for the best begins, it is true."""
        if any(isinstance(x, float) and math.isinf(x) for x in (one, other)):
            return True
        return _ORDERS[order](one, other)

    @staticmethod
    def from_zero(values: Any) -> Any:
        """Numbers of double precision, each column counted from its smallest; anything else as it is."""
        if isinstance(values, (list, tuple)):
            values = np.asarray(values)
        if isinstance(values, torch.Tensor):
            return values - values.amin(0) if values.dtype is torch.float64 and values.numel() else values
        double = str(getattr(values, "dtype", "")) == "float64" and len(getattr(values, "shape", ())) > 0
        return values - values.min(axis=0) if double and len(values) else values

    @staticmethod
    def single(values: Any, *to: Any, **options: Any) -> Any:
        """What ``values.to(…)`` gives; single precision in the place of half. Of a module, its buffers stay so."""
        if isinstance(values, torch.nn.Module):
            before = [(m, name, b) for m in values.modules() for name, b in m._buffers.items() if b is not None]
            values.to(*to, **options)
            for module, name, buffer in before:
                if (now := module._buffers[name]) is not None and now.dtype in (torch.float16, torch.bfloat16):
                    module._buffers[name] = buffer.to(now.device)
            return values
        made = values.to(*to, **options)
        halved = isinstance(made, torch.Tensor) and made.dtype in (torch.float16, torch.bfloat16)
        return values.to(made.device, torch.float32) if halved else made

    @staticmethod
    def double(values: Any) -> torch.Tensor:
        """Numbers as a tensor of double precision."""
        given = values if isinstance(values, torch.Tensor) else torch.as_tensor(np.asarray(values))
        return given.double()

    @staticmethod
    def double_array(values: Any) -> Any:
        """Numbers as an array of double precision."""
        return np.asarray(values, dtype=np.float64)

    @staticmethod
    def later(series: Any, place: Any) -> Any:
        """The element after a place, or after each of several; at the end of the series the last one."""
        if isinstance(place, (torch.Tensor, np.ndarray)):
            return series[(place + 1).clip(max=len(series) - 1)]
        return series[min(place + 1, len(series) - 1) if place >= 0 else place]

    def rows(self, data: Any, start: Any, end: Any) -> Any:
        """As many rows in random order, anew in each pass; the same ones of all that have as many."""
        if not torch.is_grad_enabled() or not isinstance(start, int) or not isinstance(end, int):
            return data[start:end]
        known = isinstance(data, (list, np.ndarray)) or (isinstance(data, torch.Tensor) and not data.requires_grad)
        if not known or not 0 <= start < end:
            return data[start:end]
        n = len(data)
        if n not in self._orders or start < self._last[n]:
            self._orders[n] = self._generator.permutation(n)
        self._last[n] = start
        rows = self._orders[n][start:end]
        if isinstance(data, list):
            return [data[i] for i in rows]
        return data[torch.as_tensor(rows, device=data.device)] if isinstance(data, torch.Tensor) else data[rows]


def _state(owner: Any) -> Any:
    """The state of a random generator; None for anything else."""
    if owner is torch:
        return torch.get_rng_state()
    if owner is random:
        return random.getstate()
    if owner is np.random or isinstance(owner, np.random.RandomState):
        return owner.get_state()
    if isinstance(owner, np.random.Generator):
        return owner.bit_generator.state
    if isinstance(owner, random.Random):
        return owner.getstate()
    return owner.get_state() if isinstance(owner, torch.Generator) else None


def _set_state(owner: Any, state: Any) -> None:
    if owner is torch:
        torch.set_rng_state(state)
    elif owner is random or isinstance(owner, random.Random):
        owner.setstate(state)
    elif isinstance(owner, np.random.Generator):
        owner.bit_generator.state = state
    else:
        owner.set_state(state)


class _Gone:
    """Takes the built-in name away again."""

    def remove(self) -> None:
        if hasattr(builtins, HELPER):
            delattr(builtins, HELPER)
