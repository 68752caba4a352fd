"""Optimizers and learning-rate schedulers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from flightcheck.adapters.torch.wrappers.clearing import clearing

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


_RARE = 4.0
"""Optimizer steps between two calls of a scheduler, from which all calls are recorded: they are those of epochs."""


def optimizers(o: TorchObserver) -> None:
    """Construction, loading and steps of optimizers."""
    before, after = o.watch.guarded(o.before_step), o.watch.guarded(o.after_step)
    constructed = o.watch.guarded(o.optimizers.constructed)
    watch, rested, compiling = o.watch, o.rested, torch.compiler.is_dynamo_compiling

    def construct(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: Optimizer, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            constructed(self)

        return __init__

    def load(original: Any) -> Any:
        def note(optimizer: Optimizer) -> None:
            o.optimizers.of(optimizer).state_loaded = True
            o.checkpoints.resumptions.given(optimizer)

        told = o.watch.guarded(note)

        @functools.wraps(original)
        def load_state_dict(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            told(self)
            return result

        return load_state_dict

    def pre(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if compiling() or (watch.resting and rested.before_step(optimizer)):
            return
        closure = kwargs.get("closure") or (args[1] if len(args) > 1 else None)
        before(optimizer, callable(closure))

    def post(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if compiling() or (watch.resting and rested.after_step(optimizer)):
            return
        after(optimizer)
        o.stop_if_enough()

    o.patches.replace(Optimizer, "__init__", construct)
    o.patches.replace(Optimizer, "zero_grad", lambda f: clearing(o, f))
    o.patches.replace(Optimizer, "load_state_dict", load)
    o.patches.add(register_optimizer_step_pre_hook(pre))
    o.patches.add(register_optimizer_step_post_hook(post))


def schedulers(o: TorchObserver) -> None:
    """Construction and steps of schedulers."""
    nested = 0

    def tell(scheduler: Any, given: Any) -> None:
        index = o.schedulers.stepped(scheduler, o.protocol.skipped)
        if index is not None:
            name = "metric" if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else "epoch"
            number = isinstance(given, (int, float)) or (isinstance(given, torch.Tensor) and given.numel() == 1)
            metric = {name: float(given)} if number else {}
            rare = (o.schedulers.infos[index].optimizer_steps_per_call or 0.0) >= _RARE
            o.protocol.record("scheduler_step", index, o.lines.here(), always=rare, **metric)

    told = o.watch.guarded(tell)
    constructed = o.watch.guarded(o.discovery.constructed)

    def construct(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            nonlocal nested
            nested += 1
            try:
                original(self, *args, **kwargs)
            finally:
                nested -= 1
            constructed(self)

        return __init__

    def step(original: Any) -> Any:
        @functools.wraps(original)
        def run_step(self: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal nested
            nested += 1
            try:
                result = original(self, *args, **kwargs)
            finally:
                nested -= 1
            if not nested:
                told(self, args[0] if args else kwargs.get("metrics", kwargs.get("epoch")))
            return result

        return run_step

    for kind in vars(lr_scheduler).values():
        if isinstance(kind, type) and issubclass(kind, lr_scheduler.LRScheduler):
            for name, make in (("__init__", construct), ("step", step)):
                if name in vars(kind):
                    o.patches.replace(kind, name, make)
