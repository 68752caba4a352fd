"""Training that goes on from a file: what the file held, and what of it the objects that train were given."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.optim import Optimizer, lr_scheduler

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.identity import ByIdentity
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.tensor_prints import Print, print_of
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording import provenance
from flightcheck.recording.records import Location
from flightcheck.recording.states import Resumption

_MOST_READS: Final = 4
_MOST_RECORDS: Final = 16
_ROUNDS: Final = 3
"""After so many rounds no other optimizer of the same training makes its first step."""
_COUNTERS: Final = (
    "epoch", "epochs", "start_epoch", "last_epoch", "epoch_idx", "step", "steps", "global_step", "iteration",
    "iterations", "iter", "iter_num", "n_iter", "it",
)  # fmt: skip
_MOVES: Final = {
    "last_epoch", "_step_count", "_last_lr", "best", "num_bad_epochs", "cooldown_counter", "T_cur", "T_i", "verbose",
    "_get_lr_called_within_step", "_is_initial", "_initial_step", "lr_lambdas",
}  # fmt: skip
"""What a schedule changes as it goes, or what tells nothing of it (functions are not saved)."""


@dataclass
class _Read:
    """One file: the values of its tensors, and the other states in it."""

    location: Location | None
    prints: set[Print]
    counter: tuple[str, int] | None
    optimizers: list[Mapping[str, Any]] = field(default_factory=list)
    schedulers: list[Mapping[str, Any]] = field(default_factory=list)
    scalers: list[Mapping[str, Any]] = field(default_factory=list)
    stack: list[tuple[str, int]] = field(default_factory=list)


class Resumptions:
    """Files with weights that were read, and the first steps of training that come from them."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._reads: list[_Read] = []
        self._asked: set[int] = set()
        self._until = -1
        self._number = 0
        self._given = ByIdentity[int]()
        """Optimizers that were given a state, and how many files had been read by then."""
        self._scalers = ByIdentity[bool]()
        self._records = 0

    def read(self, value: Any, location: Location | None, prints: set[Print]) -> None:
        """`value` came from a file; `prints` are those of its tensors."""
        if not prints or not isinstance(value, Mapping) or self._records >= _MOST_RECORDS:
            return
        parts = list(_states(value))
        counts = ((k, value[k]) for k in _COUNTERS if type(value.get(k)) is int and value[k] > 0)
        self._number += 1
        self._reads.append(
            _Read(
                location,
                prints,
                next(counts, None),
                [_numbers(p) for p in parts if "param_groups" in p],
                [_numbers(p) for p in parts if "last_epoch" in p and "param_groups" not in p],
                [_numbers(p) for p in parts if "growth_factor" in p],
                self._stack(),
            )
        )
        del self._reads[:-_MOST_READS]
        self._asked.clear()
        self._until = -1

    def given(self, optimizer: Optimizer) -> None:
        """``optimizer.load_state_dict`` was called."""
        self._given[optimizer] = self._number

    def scales(self, scaler: Any) -> None:
        """A loss is scaled by this object."""
        if self._reads and scaler.is_enabled():
            self._scalers[scaler] = True

    def stepping(self, held: Held) -> None:
        """An optimizer is about to step: is it the first step after a file was read that holds its parameters?"""
        if not self._reads or held.info.index in self._asked:
            if 0 <= self._until < self.watch.step:
                self._reads.clear()
            return
        self._until = self.watch.step + _ROUNDS if self._until < 0 else self._until
        self._asked.add(held.info.index)
        optimizer = held.optimizer()
        trained = [p for g in optimizer.param_groups for p in g["params"] if p.requires_grad] if optimizer else []
        mine = [print_of(p) for p in trained]
        if optimizer is None or not any(len(shape) > 1 for shape, _ in mine):
            return
        sources = [r for r in self._reads if all(p in r.prints for p in mine)]
        if sources:
            self._write(held, optimizer, sources)

    def _write(self, held: Held, optimizer: Optimizer, sources: list[_Read]) -> None:
        read = sources[-1]
        count, loop = next(((r.counter, at) for r in sources if (at := self._loop(r))), (read.counter, None))
        saved = [s for s in read.optimizers if s["count"] == held.size]
        rates = [s["rate"] for s in saved]
        first = optimizer.param_groups[0]
        record = Resumption(
            index=self._records,
            optimizer=held.info.index,
            location=read.location,
            step=self.watch.step,
            counter=count[0] if count else "",
            count=count[1] if count else 0,
            loop_location=loop,
            optimizer_saved=bool(saved) if saved or not read.optimizers else None,
            optimizer_given=(self._given.get(optimizer) or 0) > self._number - len(self._reads),
            optimizer_fresh=not held.steps and not len(optimizer.state),
            constructed_rate=_number(optimizer.defaults.get("lr")),
            rate=_number(first.get("lr")),
            saved_rate=_number(rates[0]) if rates else None,
            initial_rate=_number(saved[0]["initial"]) if saved else None,
            schedulers_saved=len(read.schedulers),
            **self._schedule(optimizer, read),
            **self._scaling(read),
        )
        self.watch.writer.put(record, record.index)
        self._records += 1

    def _loop(self, read: _Read) -> Location | None:
        if read.counter is None:
            return None
        where = provenance.continued_loop(read.stack, read.counter[0], self._stack())
        return self.watch.lines.of(*where) if where is not None else None

    def _schedule(self, optimizer: Optimizer, read: _Read) -> dict[str, Any]:
        """The only schedule of the optimizer, against the only one in the file."""
        schedulers = [s for s in self.discovery.built if isinstance(s, lr_scheduler.LRScheduler)]
        schedulers = [s for s in schedulers if s.optimizer is optimizer]
        found: dict[str, Any] = {"schedulers": len(schedulers)}
        if len(schedulers) != 1:
            return found
        scheduler = schedulers[0]
        built = self.discovery.built.get(scheduler)
        found |= {"scheduler": type(scheduler).__name__, "scheduler_epoch": scheduler.last_epoch}
        found["scheduler_location"] = built.location if built else None
        if len(read.schedulers) == 1:
            (saved,) = read.schedulers
            now = vars(scheduler)
            steady = {k: v for k, v in saved.items() if k not in _MOVES}
            found["saved_epoch"] = saved["last_epoch"]
            found["same_schedule"] = all(k in now and _same(v, now[k]) for k, v in steady.items())
            last = saved.get("_last_lr")
            found["saved_schedule_rate"] = _number(last[0]) if isinstance(last, list) and last else None
        return found

    def _scaling(self, read: _Read) -> dict[str, Any]:
        scalers = list(self._scalers)
        if len(scalers) != 1 or len(read.scalers) != 1:
            return {}
        (scaler,), (saved,) = scalers, read.scalers
        scale = scaler._scale
        if scale is not None and not scale.is_cpu:
            return {}
        now = float(scale) if scale is not None else float(scaler._init_scale)
        fresh = not scaler._init_growth_tracker and now == float(scaler._init_scale)
        return {"saved_scale": _number(saved.get("scale")), "scale": now, "scaler_fresh": fresh}

    def _stack(self) -> list[tuple[str, int]]:
        """The user's lines on the stack, inner ones first."""
        found = []
        frame = sys._getframe(1)
        while frame is not None:
            if self.watch.lines.is_user(frame.f_code.co_filename):
                found.append((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back  # type: ignore[assignment]
        return found


def _states(value: Mapping[Any, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The states of optimizers, schedulers and scalers in something read from a file, up to two levels deep."""
    for inner in list(value.values())[:64]:
        if not isinstance(inner, Mapping):
            continue
        if "param_groups" in inner or "growth_factor" in inner or type(inner.get("last_epoch")) is int:
            yield inner
        elif depth < 1:
            yield from _states(inner, depth + 1)


def _numbers(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is kept of a state: no tensors."""
    if "param_groups" not in state:
        return {k: v for k, v in state.items() if isinstance(v, bool | int | float | str | list | Counter)}
    groups = [g for g in state["param_groups"] if isinstance(g, Mapping)]
    first = groups[0] if groups else {}
    count = sum(len(g.get("params", ())) for g in groups)
    return {"count": count, "rate": first.get("lr"), "initial": first.get("initial_lr")}


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.is_cpu:
        return float(value)
    return float(value) if isinstance(value, int | float) else None


def _same(one: Any, other: Any) -> bool:
    """Equal plain values; others are not compared."""
    if isinstance(one, list):
        return isinstance(other, list | tuple) and all(map(_same, one, other)) and len(one) == len(other)
    return not isinstance(one, bool | int | float | str | Counter) or bool(one == other)
