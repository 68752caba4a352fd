"""Patches of the order in which a training calls ``zero_grad``, ``backward`` and ``step``."""

from __future__ import annotations

import functools
import sys
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.graph import leaves_of
from flightcheck.adapters.torch.identity import ByIdentity
from flightcheck.adapters.torch.kept_gradients import KeptGradients
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch


def zero_grad(b: Boundaries, patch: Patch) -> None:
    """Gradients are cleared when a step is over, and never before it.

    A ``zero_grad`` of the script that would throw away gradients which no step has used does nothing. One patch serves
    a call that is missing, one that comes too rarely, and one that stands between backward and step.
    """

    def after(optimizer: Optimizer) -> None:
        _clear(optimizer)
        b.acted(patch)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def zero(self: Any, *args: Any, **kwargs: Any) -> Any:
            if b.observer.watch.mine() and _waiting(self):
                b.acted(patch)
                return None
            return original(self, *args, **kwargs)

        return zero

    b.around_step(after=after)
    b.observer.patches.replace(Optimizer, "zero_grad", make)
    b.observer.patches.replace(nn.Module, "zero_grad", make)


def zero_grad_in_closures(b: Boundaries, patch: Patch) -> None:
    """``zero-grad:closure``: each backward in a step's closure begins without gradients, and the step gets its own."""
    watch, optimizers = b.observer.watch, b.observer.optimizers

    def backward(original: Any) -> Any:
        @functools.wraps(original)
        def run(*args: Any, **kwargs: Any) -> Any:
            inside = [h.optimizer() for h in optimizers.held if h.depth] if watch.mine() else []
            for optimizer in inside:
                if optimizer is not None:
                    _clear(optimizer)
            return original(*args, **kwargs)

        return run

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def zero(self: Any, *args: Any, **kwargs: Any) -> Any:
            if watch.mine() and any(h.depth for h in optimizers.held) and _waiting(self):
                b.acted(patch)
                return None
            return original(self, *args, **kwargs)

        return zero

    def before(optimizer: Optimizer) -> None:
        b.acted(patch)

    b.around_step(before=before)
    b.observer.patches.replace(torch.autograd, "backward", backward)
    b.observer.patches.replace(Optimizer, "zero_grad", make)
    b.observer.patches.replace(nn.Module, "zero_grad", make)


def zero_grad_once_an_evaluation(b: Boundaries, patch: Patch) -> None:
    """``zero-grad:evaluation``: of the calls of ``zero_grad`` in one evaluation of a closure, the first counts."""
    watch, optimizers = b.observer.watch, b.observer.optimizers
    frames: dict[int, FrameType | None] = {}
    """Of each owner of gradients, the evaluation that cleared them; held, so that no other frame gets its place."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def zero(self: Any, *args: Any, **kwargs: Any) -> Any:
            if watch.mine() and any(h.depth for h in optimizers.held):
                frame = _closure(sys._getframe(1))
                if frame is not None and frame is frames.get(id(self)):
                    b.acted(patch)
                    return None
                frames[id(self)] = frame
            return original(self, *args, **kwargs)

        return zero

    def after(optimizer: Optimizer) -> None:
        frames.clear()

    b.around_step(after=after)
    b.observer.patches.replace(Optimizer, "zero_grad", make)
    b.observer.patches.replace(nn.Module, "zero_grad", make)


def _closure(frame: FrameType | None) -> FrameType | None:
    """The call of the script's function, among those that run, that an optimizer of PyTorch made."""
    while frame is not None and (caller := frame.f_back) is not None:
        if _of_torch(caller) and not _of_torch(frame):
            return frame
        frame = caller
    return None


def _of_torch(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "torch"


def zero_grad_by_hand(b: Boundaries, patch: Patch) -> None:
    """``zero-grad:by-hand``: tensors that the script updated itself begin the next backward without a gradient."""
    updates, watch = KeptGradients(b.observer.watch), b.observer.watch

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if watch.mine() and isinstance(tensors, torch.Tensor):
                for t in updates.used(b.observer.loose.unheld(leaves_of(tensors)), most=None):
                    t.grad = None
                    b.acted(patch)
            return original(tensors, *args, **kwargs)

        return backward

    b.observer.patches.replace(torch.autograd, "backward", make)


def _waiting(owner: Optimizer | nn.Module) -> bool:
    """A backward made gradients that no step has used: those that one used are gone since."""
    if isinstance(owner, Optimizer):
        return any(p.grad is not None for g in owner.param_groups for p in g["params"])
    return any(p.grad is not None for p in owner.parameters())


def step(b: Boundaries, patch: Patch) -> None:
    """``step:1``: the optimizer of that number, which the script never steps, steps after each backward for it."""
    index = int(patch.value)

    def after() -> None:
        held = next((h for h in b.observer.optimizers.held if h.info.index == index), None)
        optimizer = held.optimizer() if held is not None else None
        if held is None or optimizer is None or not held.pending:
            return
        b.acted(patch)
        optimizer.step()
        _clear(optimizer)

    b.after_backward(after)


def old_graphs(b: Boundaries, patch: Patch) -> None:
    """``old-graphs:off``: backward sends nothing into the graphs of losses of earlier rounds that are still held."""
    watch = b.observer.watch

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            loss = tensors if isinstance(tensors, torch.Tensor) else None
            hooks = []
            if watch.mine() and loss is not None:
                for node in b.observer.resources.old_nodes(loss):
                    hooks.append(node.register_prehook(_nothing))
                    b.acted(patch)
            try:
                return original(tensors, *args, **kwargs)
            finally:
                for hook in hooks:
                    hook.remove()

        return backward

    b.observer.patches.replace(torch.autograd, "backward", make)


def _nothing(gradients: Any) -> tuple[Any, ...]:
    return tuple(None if g is None else torch.zeros_like(g) for g in gradients)


def keep_state(b: Boundaries, patch: Patch) -> None:
    """An optimizer that is built anew over the same parameters, or emptied, goes on with the state of before."""
    known: ByIdentity[dict[str, Any]] = ByIdentity()

    def before(optimizer: Optimizer) -> None:
        if optimizer.state:
            return
        for p in (p for g in optimizer.param_groups for p in g["params"]):
            if state := known.get(p):
                optimizer.state[p] = state
                b.acted(patch)

    def after(optimizer: Optimizer) -> None:
        for p in (p for g in optimizer.param_groups for p in g["params"]):
            if state := optimizer.state.get(p):
                known[p] = state

    b.around_step(before, after)


def _clear(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = None
