"""Patches of the optimizer's step: learning rate, another optimizer, schedule, clipping, gradients, parameters."""

from __future__ import annotations

import functools
import math
import re
import weakref
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.patching import by_hand
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch

_FIRST_STEPS = 20
"""Steps in which an optimizer takes over what nobody holds: what has no gradient by then is used by another."""


def learning_rate(b: Boundaries, patch: Patch) -> None:
    """``lr:x0.1`` or ``lr:0.001``. Set before a step and restored after it, since schedulers write there too."""
    factor = float(patch.value[1:]) if patch.value.startswith("x") else None

    def rate(group: dict[str, Any]) -> Any:
        # Never 0: some optimizers divide by it.
        return group["lr"] * factor if factor is not None else float(patch.value)

    _in_step(b, patch, "lr", rate)
    if factor is not None:
        by_hand.scaled(b, patch, factor)


def scheduler(b: Boundaries, patch: Patch) -> None:
    """``scheduler:off``: each group keeps the learning rate of its first step that is not 0, at least the initial one.

    A warm-up begins with one step at 0; from the second on it is a fault of the scheduler.
    """
    first: dict[int, Any] = {}
    zeros: dict[int, int] = {}

    def rate(group: dict[str, Any]) -> Any:
        known = first.get(id(group))
        now = float(group["lr"])
        zeros[id(group)] = zeros.get(id(group), 0) + (now == 0)
        if known is None and (now > 0 or zeros[id(group)] > 1):
            top = float(group.get("initial_lr", now))
            known = first[id(group)] = max(now, top)
        return group["lr"] if known is None else known

    _in_step(b, patch, "lr", rate)


def _in_step(b: Boundaries, patch: Patch, option: str, value: Any) -> None:
    """An option of all groups has another value in each step, and its own again after it."""
    saved: dict[int, list[Any]] = {}

    def before(optimizer: Optimizer) -> None:
        saved[id(optimizer)] = [g.get(option) for g in optimizer.param_groups]
        for group in optimizer.param_groups:
            if option in group:
                new = value(group)
                old = group[option]
                group[option] = torch.as_tensor(float(new)) if isinstance(old, torch.Tensor) else new
                if option != "lr" or float(new) != float(old):
                    b.acted(patch)

    def after(optimizer: Optimizer) -> None:
        for group, old in zip(optimizer.param_groups, saved.pop(id(optimizer), []), strict=False):
            if option in group:
                group[option] = old

    b.around_step(before, after)


def weight_decay_off(b: Boundaries, patch: Patch) -> None:
    """No weight decay in any step."""
    _in_step(b, patch, "weight_decay", lambda group: 0.0)


def epsilon(b: Boundaries, patch: Patch) -> None:
    """``epsilon:1e-8`` in the place of the optimizer's own."""
    _in_step(b, patch, "eps", lambda group: float(patch.value))


def optimizer(b: Boundaries, patch: Patch) -> None:
    """``optimizer:Adam(0.001)``: another optimizer steps with the script's gradients, the script's own sees none."""
    match = re.fullmatch(r"(Adam|AdamW|SGD|RMSprop)\(([-+.\deE]+)\)", patch.value)
    if match is None:
        raise ValueError(f"optimizer: a name and a learning rate wanted, as in Adam(0.001), but got {patch.value!r}")
    kind, rate = getattr(torch.optim, match.group(1)), float(match.group(2))
    others: weakref.WeakKeyDictionary[Optimizer, Optimizer] = weakref.WeakKeyDictionary()
    ours: set[int] = set()
    gradients: dict[int, list[torch.Tensor | None]] = {}

    def before(own: Optimizer) -> None:
        if id(own) in ours:
            return
        with b.unwatched():
            other = others.get(own)
            if other is None:
                parameters = {id(p): p for g in own.param_groups for p in g["params"]}
                other = others[own] = kind(list(parameters.values()), lr=rate)
                ours.add(id(other))
            other.step()
        held = [p for g in own.param_groups for p in g["params"]]
        gradients[id(own)] = [p.grad for p in held]
        for p in held:
            p.grad = None
        b.acted(patch)

    def after(own: Optimizer) -> None:
        held = [p for g in own.param_groups for p in g["params"]]
        for p, gradient in zip(held, gradients.pop(id(own), []), strict=False):
            p.grad = gradient

    b.around_step(before, after)


def clip(b: Boundaries, patch: Patch) -> None:
    """``clip:1.0`` before each step; ``clip:off``: the script's own clipping only measures."""
    if patch.value == "off":
        for owner in (nn.utils, nn.utils.clip_grad):
            for name in ("clip_grad_norm_", "clip_grad_value_"):
                b.observer.patches.replace(owner, name, functools.partial(_without_limit, b, patch, name))
        _unclamped(b, patch)
        return
    limit = float(patch.value)

    def before(optimizer: Optimizer) -> None:
        held = [p for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if held:
            with b.unwatched():
                nn.utils.clip_grad_norm_(held, limit)
            b.acted(patch)

    b.around_step(before)


def _unclamped(b: Boundaries, patch: Patch) -> None:
    """Gradients that the script clamped by hand, element by element, are those of the latest backward again."""
    kept: dict[int, torch.Tensor] = {}

    def keep() -> None:
        for held in [o for o in b.observer.discovery.built if isinstance(o, Optimizer)]:
            for p in (p for g in held.param_groups for p in g["params"]):
                if p.grad is not None and p.grad.layout is torch.strided:
                    kept[id(p)] = p.grad.detach().clone()

    def before(optimizer: Optimizer) -> None:
        with b.unwatched(), torch.no_grad():
            for p in (p for g in optimizer.param_groups for p in g["params"]):
                own = kept.pop(id(p), None)
                if own is None or p.grad is None or own.shape != p.grad.shape or torch.equal(own, p.grad):
                    continue
                limit = float(p.grad.abs().max())
                if torch.equal(own.clamp(-limit, limit), p.grad):
                    p.grad.copy_(own)
                    b.acted(patch)

    b.after_backward(keep)
    b.around_step(before)


def _without_limit(b: Boundaries, patch: Patch, name: str, original: Any) -> Any:
    @functools.wraps(original)
    def measured(parameters: Any, *args: Any, **kwargs: Any) -> Any:
        b.acted(patch)
        if name == "clip_grad_value_":
            return None
        for limit in ("max_norm",):
            kwargs.pop(limit, None)
        return original(parameters, math.inf, *args[1:], **kwargs)

    return measured


def add_parameters(b: Boundaries, patch: Patch) -> None:
    """An optimizer also gets the parameters of called models that nobody holds.

    Those of a model that another optimizer holds in part go to that one, all others to the first in whose step they
    have a gradient; they join its first group. Layers that are called but not registered
    in their model (in a plain list, say) are among them, and so are tensors that want a gradient and that an update
    reaches: no copies of them are used. ``add-parameters:instead=1``: the optimizer of that number holds them in the
    place of its own. ``add-parameters:thawed``: at every step, and optimizers that step no more hold nothing.
    """
    rounds: dict[int, int] = {}
    rule, _, number = patch.value.partition("=")
    if rule == "thawed":
        _add_thawed(b, patch)
        return

    def before(optimizer: Optimizer) -> None:
        seen = rounds[id(optimizer)] = rounds.get(id(optimizer), 0) + 1
        late = seen > _FIRST_STEPS
        if late and rule:
            return
        known = _numbered(b, optimizer, int(number)) if rule else None
        if rule and known is None:
            return
        missing = {i: p for i, p in _missing(b, optimizer).items() if not late or _came_later(b, p)}
        if not missing:
            return
        if known is not None:
            known.size = -1  # as many may take the place of others: the observer is to look again
            for group in optimizer.param_groups:
                group["params"] = []
        # No group of their own: a scheduler has as many learning rates as there were groups.
        optimizer.param_groups[0]["params"].extend(missing.values())
        b.acted(patch)

    b.around_step(before)


def _add_thawed(b: Boundaries, patch: Patch) -> None:
    def before(optimizer: Optimizer) -> None:
        stepping = [h for h in b.observer.optimizers.held if h.steps and h.optimizer() is not None]
        latest = max((h.first_step for h in stepping), default=0)
        still = [optimizer, *(h.optimizer() for h in stepping if h.last_step >= latest)]
        held = {id(p) for o in still if o is not None for g in o.param_groups for p in g["params"]}
        mine = {id(p) for g in optimizer.param_groups for p in g["params"]}
        for root in b.observer.discovery.roots.values():
            known = list(module.parameters()) if (module := root.module()) is not None else []
            missing = [p for p in known if p.requires_grad and p.grad is not None and id(p) not in held]
            if missing and not mine.isdisjoint(map(id, known)):
                for p in missing:
                    p.grad = None  # the script's zero_grad did not reach what earlier rounds left there
                optimizer.param_groups[0]["params"].extend(missing)
                b.acted(patch)

    b.around_step(before)


def _came_later(b: Boundaries, parameter: torch.Tensor) -> bool:
    """It joined its model while the training went on: a layer was replaced."""
    index = b.observer.discovery.parameter_index(parameter)
    return index is not None and b.observer.discovery.parameters[index].joined > 0


def _missing(b: Boundaries, optimizer: Optimizer) -> dict[int, torch.Tensor]:
    """What this optimizer should hold of all that nobody holds, by identity."""
    discovery = b.observer.discovery
    mine = {id(p) for g in optimizer.param_groups for p in g["params"]}
    held = _held(b, optimizer)
    missing: dict[int, torch.Tensor] = {}
    for root in discovery.roots.values():
        module = root.module()
        if module is not None and (root.train_calls or b.observer.steps == 0):
            called = (discovery.parameter_refs[i]() for i in root.parameter_indices)
            known = [*module.parameters(), *(p for p in called if p is not None)]
            ours = {id(p) for p in known}
            if mine & ours or not held & ours:
                missing |= {id(p): p for p in known if p.requires_grad and id(p) not in held and p.grad is not None}
    return missing | {id(t): t for t, leaf in b.observer.loose.untrained(rounds=1) if leaf.used}


def _numbered(b: Boundaries, optimizer: Optimizer, number: int) -> Held | None:
    """What is known of this optimizer if it has that number."""
    return next((h for h in b.observer.optimizers.held if h.info.index == number and h.optimizer() is optimizer), None)


def _held(b: Boundaries, optimizer: Optimizer) -> set[int]:
    """Ids of the parameters that this optimizer or any other one holds."""
    known = [optimizer, *b.observer.discovery.built, *(h.optimizer() for h in b.observer.optimizers.held)]
    return {id(p) for o in known if isinstance(o, Optimizer) for g in o.param_groups for p in g["params"]}


def unfreeze(b: Boundaries, patch: Patch) -> None:
    """``unfreeze:model.head``: from the second call of the model on, the parameters of that module get gradients.

    Where no optimizer holds them, the one that holds other parameters of the same model takes them over.
    """
    waiting: list[tuple[set[int], list[nn.Parameter]]] = []
    done: list[int] = []

    def root(call: Any, module: nn.Module, given: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
        known = b.observer.discovery.roots.get(id(module))
        if not done and known is not None and torch.is_grad_enabled():  # its first call has given it its name
            for child in module.modules():
                index = b.observer.discovery.module_index(child)
                if index is not None and b.observer.discovery.modules[index].path == patch.value:
                    frozen = [p for p in child.parameters() if not p.requires_grad]
                    for p in frozen:
                        p.requires_grad_(True)
                    waiting.append(({id(p) for p in module.parameters()}, frozen))
                    done.append(len(frozen))
                    b.acted(patch)
        return call(*given[0], **given[1])

    def before(optimizer: Optimizer) -> None:
        mine = {id(p) for g in optimizer.param_groups for p in g["params"]}
        if waiting and mine & waiting[0][0]:
            _, thawed = waiting.pop()
            held = _held(b, optimizer)
            missing = [p for p in thawed if id(p) not in held]
            if missing:
                optimizer.param_groups[0]["params"].extend(missing)

    b.at_root(root)
    b.around_step(before)


def unscale_first(b: Boundaries, patch: Patch) -> None:
    """The limit of the script's clipping counts for unscaled gradients: it is scaled as the gradients are."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def clip_(parameters: Any, max_norm: Any, *args: Any, **kwargs: Any) -> Any:
            scale = b.observer.protocol.scale
            if scale and scale != 1:
                b.acted(patch)
                return original(parameters, float(max_norm) * scale, *args, **kwargs)
            return original(parameters, max_norm, *args, **kwargs)

        return clip_

    for owner in (nn.utils, nn.utils.clip_grad):
        b.observer.patches.replace(owner, "clip_grad_norm_", make)
