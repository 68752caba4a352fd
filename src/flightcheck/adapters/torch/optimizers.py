"""Optimizers and schedulers: their records, and what a step did to the parameters."""

from __future__ import annotations

import dataclasses
import itertools
import statistics as stats
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer, lr_scheduler

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.shards import at_hand
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.unstepped import never_stepped
from flightcheck.recording.records import Location, OptimizerInfo, SchedulerInfo

MOST_OPTIMIZERS = 64
"""An optimizer built anew in every step would fill the run; later ones share the last record of their line."""


@dataclass
class Held:
    """An optimizer and the protocol state of its gradients."""

    optimizer: weakref.ref[Optimizer]
    info: OptimizerInfo
    indices: list[int] = field(default_factory=list)
    witnesses: list[weakref.ref[torch.Tensor]] = field(default_factory=list)
    """A few small parameters whose gradients stand for all."""
    cleared: bool = True
    """The gradients were None or zero at some time since the previous step."""
    was_clear: bool = True
    """What was found when the gradients were last looked at: on a graphics card that is not done in every round."""
    pending: bool = False
    """A backward made gradients that no step has used yet."""
    backwards: int = 0
    backwards_inside: int = 0
    """Backward passes in the closure of the step that is made now."""
    evaluations: int = 0
    """Calls of the closure, as the optimizer itself counts them."""
    last: str = ""
    scaled: bool | None = None
    """Of the losses since its last step, one was multiplied by a gradient scaler; None if that is not known."""
    scaled_at_step: bool | None = None
    addresses: dict[int, int] = field(default_factory=dict)
    depth: int = 0
    size: int = -1
    distinct: list[int] = field(default_factory=list)
    steps: int = 0
    step_location: Location | None = None
    lr_location: Location | None = None
    lr_write_location: Location | None = None
    lr_count_location: Location | None = None
    lr_count: str = ""
    decay_location: Location | None = None
    freeze_location: Location | None = None
    condition_location: Location | None = None
    closure: bool = False
    first_step: int = -1
    last_step: int = -1
    """Rounds of its first and latest step."""
    looks: int = 0
    """Steps in which its gradients were looked at."""
    lively: set[int] = field(default_factory=set)
    """Parameters that had a gradient then, or wanted none, or that the graph of a loss led to."""
    state_entries: int = 0
    state_drops: int = 0
    state_loaded: bool = False
    state_read_location: Location | None = None


class Optimizers:
    """All optimizers by identity."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self.held: list[Held] = []
        self._by_id: dict[int, Held] = {}
        self.steps_total = 0
        self.appeared: Callable[[], object] = lambda: None
        """Called when an optimizer is first seen after training began: another phase of it."""
        self.read: list[tuple[int, Any, Location | None]] = []
        """Of every optimizer state read from a file: how many parameters, first learning rate, and the line."""

    def known(self, optimizer: Any) -> Held | None:
        """The record of an optimizer that stepped before, as it was left."""
        held = self._by_id.get(id(optimizer))
        return held if held is not None and held.optimizer() is optimizer else None

    def constructed(self, optimizer: Optimizer) -> None:
        """An optimizer's ``__init__`` is done."""
        self.discovery.constructed(optimizer)

    def of(self, optimizer: Optimizer) -> Held:
        """The record of an optimizer; registers it the first time (also those built before we watched)."""
        known = self.known(optimizer)
        if known is not None:
            if (self.watch.sampled or self.watch.learning) and self._holds_others(optimizer, known):
                self._describe(optimizer, known)
            return known
        built = self.discovery.built.get(optimizer)
        location = built.location if built else None
        same_line = [h for h in self.held if location is not None and h.info.location == location]
        if len(self.held) >= MOST_OPTIMIZERS and same_line:
            held = same_line[-1]
            held.info = dataclasses.replace(held.info, stands_for_later=True)
            held.optimizer = weakref.ref(optimizer)
            self._by_id[id(optimizer)] = held
            self._restarted(same_line, optimizer)
            return held
        info = OptimizerInfo(
            index=len(self.held),
            type=type(optimizer).__name__,
            location=location,
            created_at_step=built.step if built else self.watch.step,
            constructed_seq=built.sequence if built else 0,
            given_lr=_rate(optimizer.defaults.get("lr")),
        )
        held = Held(weakref.ref(optimizer), info)
        self._by_id[id(optimizer)] = held
        self.held.append(held)
        self._describe(optimizer, held)
        if same_line:
            self._restarted(same_line, optimizer)
        if self.steps_total:
            self.appeared()
        return held

    def note_unused(self) -> None:
        """Register optimizers that the script builds and never steps: nothing else would make them known."""
        for one in list(self.discovery.built):
            if isinstance(one, Optimizer) and self.known(one) is None:
                built = self.discovery.built.get(one)
                line = built.location if built else None
                if line is not None and never_stepped(line.file, line.line):
                    self.of(one)

    def _restarted(self, same_line: list[Held], optimizer: Optimizer) -> None:
        first = same_line[0]
        mine = {self.discovery.parameter_index(p) for g in optimizer.param_groups for p in g["params"]}
        if self.steps_total and mine.intersection(first.indices):
            first.info = dataclasses.replace(first.info, state_restarts=first.info.state_restarts + 1)
            self.save(first)

    def _holds_others(self, optimizer: Optimizer, held: Held) -> bool:
        """Its parameters are not those that were described: a group was added, or others were put in their place."""
        size = sum(len(g["params"]) for g in optimizer.param_groups)
        if size != held.size or not self.watch.learning:
            return size != held.size
        mine = set(held.indices)
        return any(self.discovery.parameter_index(p) not in mine for g in optimizer.param_groups for p in g["params"])

    def _describe(self, optimizer: Optimizer, held: Held) -> None:
        parameters = [p for g in optimizer.param_groups for p in g["params"]]
        held.size = len(parameters)
        held.indices = self.discovery.held(parameters, held.info)
        held.distinct = list(dict.fromkeys(held.indices))
        small = sorted((p for p in parameters if p.requires_grad), key=lambda p: p.numel())
        chosen = small[:: max(1, len(small) // 4)][:4]
        held.witnesses = [weakref.ref(p) for p in chosen]
        held.info = dataclasses.replace(held.info, groups=_groups(optimizer), parameters=held.indices)
        rate = held.info.groups[0].get("lr") if held.info.groups else None
        if not held.steps:
            fits = (where for count, lr, where in self.read if (count, lr) == (held.size, rate))
            held.state_read_location = next(fits, None)
        self.save(held)

    def save(self, held: Held) -> None:
        """Write the optimizer's record."""
        held.info = dataclasses.replace(
            held.info, steps=held.steps, step_location=held.step_location, lr_location=held.lr_location,
            decay_location=held.decay_location, freeze_location=held.freeze_location,
            condition_location=held.condition_location,
            lr_write_location=held.lr_write_location, lr_count_location=held.lr_count_location, lr_count=held.lr_count,
            closure=held.closure, state_drops=held.state_drops, state_loaded=held.state_loaded,
            state_read_location=held.state_read_location, gradient_looks=held.looks, cut_off=self._cut_off(held),
        )  # fmt: skip
        self.watch.writer.put(held.info, held.info.index)

    def stepped(self, optimizer: Optimizer, held: Held) -> None:
        """Count a step, and notice a state that got smaller: somebody threw a part of it away."""
        self.steps_total += 1
        held.steps += 1
        held.first_step = self.watch.step if held.first_step < 0 else held.first_step
        held.last_step = self.watch.step
        entries = len(optimizer.state)
        held.state_drops += entries < held.state_entries
        held.state_entries = entries

    def stepping(self) -> int:
        """How many of them have stepped."""
        return sum(h.steps > 0 for h in self.held)

    def _cut_off(self, held: Held) -> list[int]:
        """Parameters without a gradient that learnt in an earlier phase, with an optimizer that steps no more."""
        others = [h for h in self.held if h is not held and h.steps]
        before = {i for h in others if h.last_step < held.first_step for i in h.indices}
        still = {i for h in others if h.last_step >= held.first_step for i in h.indices}
        return [i for i in held.distinct if i in before and i not in still and i not in held.lively]

    def state_read(self, read: Any, location: Location | None) -> None:
        """`read` came from a file: remember the shape of the optimizer states inside it."""
        for state in _optimizer_states(read)[:8]:
            groups = [g for g in state["param_groups"] if isinstance(g, dict)]
            if groups:
                self.read.append((sum(len(g.get("params", ())) for g in groups), groups[0].get("lr"), location))

    def gradients_are_clear(self, held: Held, in_step: bool = False) -> bool:
        """Every witness has no gradient, or zeros, or (outside of a step) another tensor than at the last one."""
        for ref in held.witnesses:
            parameter = ref()
            gradient = at_hand(parameter.grad) if parameter is not None else None
            if parameter is None or gradient is None:
                continue
            address = held.addresses.get(id(parameter)) if not in_step else None
            if gradient.layout is not torch.strided or (address is not None and address != gradient.data_ptr()):
                continue
            if not (gradient.is_cpu or (self.watch.sampled and self.watch.may_wait)):
                return held.was_clear
            if bool(torch.count_nonzero(gradient.detach())):
                held.was_clear = False
                return False
            held.was_clear = True
        return True

    def looks_outside(self, held: Held, known: set[int | None]) -> bool:
        """It holds parameters beside these that want a gradient; then one of them is a witness."""
        rest = [i for i in held.distinct if i not in known and self.discovery.parameters[i].requires_grad]
        if not rest:
            return False
        witnesses = {self.discovery.parameter_index(p) for ref in held.witnesses if (p := ref()) is not None}
        alive = [p for i in rest if (p := self.discovery.parameter_refs[i]()) is not None]
        if alive and witnesses.isdisjoint(rest):
            held.witnesses.append(weakref.ref(min(alive, key=lambda p: p.numel())))
        return True

    def evaluations(self, held: Held) -> int | None:
        """How often the step that is over called its closure, where the optimizer counts it (LBFGS)."""
        optimizer = held.optimizer()
        states = list(optimizer.state.values())[:1] if optimizer is not None else []
        count = states[0].get("func_evals") if states and isinstance(states[0], dict) else None
        if not isinstance(count, int):
            return None
        before, held.evaluations = held.evaluations, count
        return count - before

    def remember_addresses(self, held: Held) -> None:
        """Where the gradients lay at the step, to notice tensors put in their place."""
        held.addresses = {
            id(p): p.grad.data_ptr()
            for ref in held.witnesses
            if (p := ref()) is not None and p.grad is not None and p.grad.layout is torch.strided
        }


def rate_of(optimizer: Any) -> float:
    """The largest learning rate of an optimizer's groups, 0 where they have none."""
    groups = optimizer.param_groups
    if len(groups) == 1:
        return float(groups[0].get("lr", 0.0))
    return max([float(g["lr"]) for g in groups if "lr" in g], default=0.0)


def _optimizer_states(read: Any, depth: int = 0) -> list[dict[str, Any]]:
    """The state dicts of optimizers in something read from a file, up to two levels deep."""
    if not isinstance(read, dict):
        return []
    if "param_groups" in read and "state" in read:
        return [read]
    if depth > 1:
        return []
    return [s for v in list(read.values())[:64] for s in _optimizer_states(v, depth + 1)]


def _rate(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | torch.Tensor) else None


def _groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    groups = []
    for group in optimizer.param_groups:
        options: dict[str, Any] = {k: v for k, v in group.items() if isinstance(v, (bool, int, float, str))}
        options |= {
            k: [float(x) for x in v] for k, v in group.items()
            if isinstance(v, tuple) and all(isinstance(x, (int, float)) for x in v)
        }  # fmt: skip
        if isinstance(group.get("lr"), torch.Tensor):
            options["lr"] = float(group["lr"])
        options["parameters"] = len(group["params"])
        groups.append(options)
    return groups


_SCHEDULE_SETTINGS = (
    "T_max", "eta_min", "step_size", "gamma", "milestones", "total_steps", "max_lrs", "total_iters", "start_factor",
    "end_factor", "power", "T_0", "T_mult", "patience", "factor", "mode", "threshold", "base_lr", "max_lr",
    "step_size_up", "cycle_momentum", "min_lrs", "base_lrs",
)  # fmt: skip


class Schedulers:
    """All learning-rate schedulers by identity."""

    def __init__(self, watch: Watch, discovery: Discovery, optimizers: Optimizers) -> None:
        self.watch = watch
        self.discovery = discovery
        self.optimizers = optimizers
        self.infos: list[SchedulerInfo] = []
        self._index: dict[int, tuple[Any, int]] = {}
        self._steps_at_call: list[list[int]] = []

    def of(self, scheduler: Any) -> int | None:
        """The index of a scheduler, None for one without an optimizer of PyTorch."""
        known = self._index.get(id(scheduler))
        if known is not None and known[0]() is scheduler:
            return known[1]
        optimizer = getattr(scheduler, "optimizer", None)
        if not isinstance(optimizer, Optimizer) or len(self.infos) >= MOST_OPTIMIZERS:
            return None
        index = len(self.infos)
        self._index[id(scheduler)] = (weakref.ref(scheduler), index)
        built = self.discovery.built.get(scheduler)
        settings: dict[str, Any] = {}
        for name in _SCHEDULE_SETTINGS:
            value = getattr(scheduler, name, None)
            if isinstance(value, (bool, int, float, str)):
                settings[name] = value
            elif name == "milestones" and value:
                settings[name] = [int(m) for m in value]
            elif isinstance(value, list) and all(isinstance(v, (int, float)) for v in value):
                settings[name] = list(value)
        self.infos.append(
            SchedulerInfo(
                index=index,
                type=type(scheduler).__name__,
                optimizer=self.optimizers.of(optimizer).info.index,
                location=built.location if built else None,
                settings=settings,
            )
        )
        self._steps_at_call.append([])
        self.watch.writer.put(self.infos[index], index)
        return index

    def find(self) -> None:
        """Know those, too, that nobody has called yet."""
        for scheduler in [s for s in self.discovery.built if isinstance(s, lr_scheduler.LRScheduler)]:
            self.of(scheduler)

    def stepped(self, scheduler: Any, skipped: bool) -> int | None:
        """``scheduler.step()`` was called; its index."""
        index = self.of(scheduler)
        if index is None:
            return None
        info = self.infos[index]
        held = self.optimizers.of(scheduler.optimizer)
        at = self._steps_at_call[index]
        at.append(held.steps)
        del at[:-64]
        between = [b - a for a, b in itertools.pairwise(at)]
        self.infos[index] = dataclasses.replace(
            info,
            settings={**info.settings, "last_epoch": int(getattr(scheduler, "last_epoch", 0) or 0)},
            calls=info.calls + 1,
            calls_before_first_step=info.calls_before_first_step + (held.steps == 0),
            calls_after_skipped_step=info.calls_after_skipped_step + skipped,
            optimizer_steps_per_call=float(stats.median(between)) if between else None,
            step_location=info.step_location or self.watch.lines.here(),
        )
        self.watch.writer.put(self.infos[index], index)
        return index
