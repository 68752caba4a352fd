"""Averages of weights beside a model: copies of its parameters that no optimizer holds and that follow it.

An update ``slow += w * (fast - slow)`` is known by its numbers: between two steps all elements of the copy went the
same share of the way to the weights. So it does not matter how it is written.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.averages import WeightAverage
from flightcheck.recording.provenance import averages as source
from flightcheck.recording.records import Location

_MOST_COPIES: Final = 20_000
_BEGINNING: Final = 16
"""Rounds in which copies are looked for: averages are begun before the first step, or soon after."""
_MOST_FOLLOWED: Final = 16
_SAMPLE: Final = 64
"""Elements of one matrix that are compared at each step."""
_AGREE: Final = 0.02
"""Of the way of an element: so much it may differ from the others beside rounding; a training step differs by all."""
_COARSE: Final = (torch.bfloat16, torch.float16)
_OPERATIONS: Final = {"clone", "to", "zeros_like", "bfloat16", "half"}


@dataclass
class _Copy:
    """A copy of a parameter: the representative of all that one line copied."""

    address: int
    """Of the parameter's memory, which lives as long as it has not expired."""
    memory: StorageWeakRef
    slow: weakref.ref[torch.Tensor]
    line: Location | None
    zeros: bool = False
    dtype: torch.dtype = torch.float32
    fast: weakref.ref[torch.Tensor] | None = None
    before: torch.Tensor | None = None
    rounds: int = 0
    updates: int = 0
    other: int = 0
    """Changes that are no such update: a copy, a load."""
    left: float = 1.0
    """Share of the values with which it began."""
    weights: list[float] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    """Rounds of the updates."""
    stalled: list[float] = field(default_factory=list)
    moved: bool = False
    """The parameter is no longer what the copy is."""
    used: set[int] = field(default_factory=set)
    """Rounds in which its model was called."""
    asked: bool = False
    """In 16 bits: an operation that updates it was seen since the last look."""


class Averages:
    """Copies of parameters, and how those that are kept follow their models."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._copies: dict[Location | None, list[_Copy]] = {}
        self._count = 0
        self.followed: list[_Copy] = []
        """They are looked at before every step."""
        self._optimizers: set[int] = set()
        self._scaled: tuple[int, float] = (0, 0.0)
        """Memory and factor of the latest ``mul_``."""
        self._shared: dict[Location, int] = {}

    # -- copies -------------------------------------------------------------------------------------------------

    def copied(self, fast: torch.Tensor, slow: Any) -> None:
        """A parameter was copied."""
        if self.watch.step > _BEGINNING or self._count >= _MOST_COPIES or not isinstance(slow, torch.Tensor):
            return
        if fast.dim() < 2 or not fast.is_floating_point() or not is_plain_tensor(slow) or slow.shape != fast.shape:
            return
        self._count += 1
        line = self.watch.lines.here()
        zeros = slow is not fast and bool(slow.is_cpu) and not slow.count_nonzero()
        memory = StorageWeakRef(fast.untyped_storage())  # type: ignore[no-untyped-call]
        copy = _Copy(fast.data_ptr(), memory, weakref.ref(slow), line, zeros, slow.dtype)
        self._copies.setdefault(line, []).append(copy)

    def looked(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation of the script, before its first step and in the first rounds."""
        if name in _OPERATIONS and isinstance(result, torch.Tensor):
            given = args[0] if args else None
            if isinstance(given, torch.Tensor) and not _same_memory(given, result) and not result.requires_grad:
                self.copied(given, result)
        if name in ("lerp_", "add_", "copy_") and args and isinstance(args[0], torch.Tensor):
            for copy in self.followed:
                slow = copy.slow()
                copy.asked |= slow is not None and _same_memory(slow, args[0])
        if name == "mul_" and len(args) > 1 and isinstance(args[1], float) and isinstance(args[0], torch.Tensor):
            self._scaled = (_address(args[0]), args[1])
        elif name == "lerp_" or (name == "add_" and self._completes(args, kwargs)):
            self._shares(*args[:2])

    def _completes(self, args: Any, kwargs: Any) -> bool:
        """``slow.mul_(d).add_(fast, alpha=1 - d)``: a decay of the weights by hand does not add up to one."""
        alpha = kwargs.get("alpha")
        address, factor = self._scaled
        return (
            isinstance(alpha, float) and abs(alpha + factor - 1.0) < 1e-6 and len(args) > 1
            and isinstance(args[0], torch.Tensor) and _address(args[0]) == address
        )  # fmt: skip

    def loaded(self, module: nn.Module, state: Any) -> None:
        """A module was given the weights of another one."""
        if self.watch.step > _BEGINNING or not isinstance(state, Mapping):
            return
        for name, parameter in module.named_parameters():
            given = state.get(name)
            if isinstance(given, torch.Tensor) and not _same_memory(given, parameter):
                self.copied(given, parameter)

    def _shares(self, slow: Any = None, fast: Any = None) -> None:
        """``slow.lerp_(fast, w)`` where both are one memory: what is averaged are the weights themselves."""
        if not (isinstance(slow, torch.Tensor) and isinstance(fast, torch.Tensor)) or slow is fast:
            return
        if slow.dim() < 2 or slow.shape != fast.shape or not _same_memory(slow, fast) or self.watch.step == 0:
            return
        line = self.watch.lines.here()
        trained = any(p is not None and _same_memory(p, fast) for p in (r() for r in self.discovery.parameter_refs))
        if line is not None and trained:
            self._shared[line] = self._shared.get(line, 0) + 1

    def called(self, module: nn.Module) -> None:
        """A model is called: are its weights copies of others?"""
        for copy in self.followed:
            slow = copy.slow()
            if slow is not None and any(p is slow for p in module.parameters()):
                copy.used.add(self.watch.step)

    # -- steps --------------------------------------------------------------------------------------------------

    def before_step(self, held: Held) -> None:
        """An optimizer is about to step: what did the copies do since its last one?"""
        if held.info.index not in self._optimizers:
            self._optimizers.add(held.info.index)
            self.followed += self._chosen(held)[: _MOST_FOLLOWED - len(self.followed)]
        if self.watch.step > _BEGINNING:
            self._copies.clear()
        if not self.followed:
            return
        for copy in self.followed:
            fast, slow = copy.fast() if copy.fast is not None else None, copy.slow()
            if fast is None or slow is None or not (slow.is_cpu or (self.watch.sampled and self.watch.may_wait)):
                continue
            if self.discovery.parameter_index(fast) in held.indices:
                self._follow(copy, fast, slow)

    def _chosen(self, held: Held) -> list[_Copy]:
        """The copies that live, one for each line: of parameters that this optimizer trains, held by none."""
        optimizer = held.optimizer()
        trained = [p for g in optimizer.param_groups for p in g["params"]] if optimizer is not None else []
        by_address = {_address(p): p for p in trained if p.requires_grad}
        own = {id(p) for p in trained}
        followed = {id(c.slow()) for c in self.followed}
        chosen = []
        for copies in self._copies.values():
            living = []
            for copy in copies:
                there, slow = by_address.get(copy.address), copy.slow()
                gone = copy.memory.expired()  # type: ignore[no-untyped-call]
                if slow is not None and there is not None and not gone and id(slow) not in own | followed:
                    copy.fast = weakref.ref(there)
                    living.append(copy)
            if living:
                chosen.append(max(living, key=lambda c: t.numel() if (t := c.slow()) is not None else 0))
        return chosen

    def _follow(self, copy: _Copy, fast: torch.Tensor, slow: torch.Tensor) -> None:
        now, there = _sample(slow), _sample(fast)
        before, copy.before = copy.before, now
        copy.rounds += 1
        if before is None:
            return
        copy.moved |= not torch.equal(there, now)
        asked, copy.asked = copy.asked, False
        if torch.equal(before, now) and not (asked and copy.dtype in _COARSE):
            return
        way = there - before
        far = way.abs() > 1e-4 * way.abs().max().clamp_min(1e-12)
        if copy.dtype in _COARSE:
            copy.updates += 1
            copy.at.append(self.watch.step)
            if asked and bool(far.any()):
                copy.stalled.append(float((before == now)[far].double().mean()))
            return
        went = now - before
        weight = float((went @ way) / (way @ way)) if bool(far.any()) else 0.0
        rounding = 2.0**-22 * now.abs()
        if 0 < weight <= 1.0 + 1e-6 and bool(
            ((went - weight * way).abs() <= _AGREE * weight * way.abs() + rounding).all()
        ):
            copy.updates += 1
            copy.left *= max(0.0, 1.0 - weight)
            copy.weights.append(weight)
            copy.at.append(self.watch.step)
            if weight > 1.0 - 1e-4:  # it begins anew
                copy.left = 1.0
        else:
            copy.other += 1

    # -- the end ------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write what became of the copies."""
        files = self.discovery.files()
        rebound = next(filter(None, map(source.rebound_average, sorted(files))), None)
        unused = next(filter(None, map(source.unused_update, sorted(files))), None)
        idle = rebound or unused
        lines = [at for file in sorted(files) for at in source.updates(file)]
        line = lines[0] if len(lines) == 1 else None
        place = self.watch.lines.of(*line) if line is not None else None
        call = source.update_call(*line) if line is not None else None
        for index, copy in enumerate(self.followed):
            if not copy.moved:
                continue
            still = not (copy.updates or copy.other) and 2 * len(copy.used) > copy.rounds
            own = idle or (self._unused_copying(copy, files) if still else None)
            gaps = sorted(b - a for a, b in zip(copy.at, copy.at[1:]))
            record = WeightAverage(
                index=index,
                location=copy.line,
                zeros=copy.zeros,
                dtype=str(copy.dtype).removeprefix("torch."),
                rounds=copy.rounds,
                updates=copy.updates,
                other_changes=copy.other,
                left=copy.left,
                weights=copy.weights[-8:],
                gap=float(gaps[len(gaps) // 2]) if gaps else None,
                first_update=copy.at[0] if copy.at else -1,
                last_update=copy.at[-1] if copy.at else -1,
                stalled=sum(copy.stalled) / len(copy.stalled) if copy.stalled else None,
                used="" if not copy.used else "training" if 2 * len(copy.used) > copy.rounds else "evaluation",
                update_location=place,
                update_call=self.watch.lines.of(*call) if call is not None else None,
                idle_update=self.watch.lines.of(*own) if own is not None else None,
                rebound=rebound is not None,
                follows_nowhere=still and own is None and self._follows_nowhere(copy),
                unreached=self._unreached(copy) if still and own is None else None,
            )
            self.watch.writer.put(record, index)
        for i, (where, count) in enumerate(self._shared.items()):
            shared = WeightAverage(index=_MOST_FOLLOWED + i, location=where, updates=count, shares_memory=True)
            self.watch.writer.put(shared, shared.index)

    @staticmethod
    def _follows_nowhere(copy: _Copy) -> bool:
        line = copy.line
        named = line is not None and re.search("target|tgt", line.code, re.IGNORECASE)
        return bool(named) and line is not None and source.follows_nowhere(line.file, line.code)

    def _unreached(self, copy: _Copy) -> Location | None:
        found = source.unreached_copying(copy.line.file, copy.line.code) if copy.line is not None else None
        return self.watch.lines.of(*found) if found is not None else None

    def _unused_copying(self, copy: _Copy, files: set[str]) -> tuple[str, int] | None:
        """Of a model that is called in the training steps: what would bring it up to date, and is never called."""
        made = copy.line.code if copy.line is not None else ""
        return next(filter(None, (source.unused_copying(file, made, files) for file in sorted(files))), None)


def _same_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    return _address(one) == _address(other) != 0


def _address(tensor: torch.Tensor) -> int:
    return tensor.data_ptr() if is_plain_tensor(tensor) else 0


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // _SAMPLE)][:_SAMPLE].double().clone()
