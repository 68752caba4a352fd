"""Patches of what a model is fed with: a frozen batch; shuffled examples; inputs zeroed, permuted or standardized."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import SequentialSampler

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.patch import STILL_STEPS, Patch

_TARGETS: Final = {"label", "labels", "target", "targets", "y"}
"""Arguments of a model that are no inputs, by their usual names."""


def freeze(b: Boundaries, patch: Patch) -> None:
    """The first rows of the first batch in the place of every batch, tiled to the length that the script expects.

    At the loader, so that inputs and targets stay paired; where no loader feeds the model, at the model's inputs and at
    the loss.
    """
    rows = int(patch.value or 8)
    kept: dict[Any, torch.Tensor] = {}
    loaded: list[bool] = []

    def tile(key: Any, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or tensor.requires_grad:
            return tensor
        first = kept.setdefault(key, tensor[:rows].detach().clone())
        if first.shape[1:] != tensor.shape[1:] or not len(first):
            return tensor
        b.acted(patch)
        here = torch.arange(len(tensor), device=first.device)
        if len(tensor) > len(first):  # each several times in a row, so that what was sorted stays sorted
            here = here * len(first) // len(tensor)
        return first[here]

    def batch(value: Any) -> Any:
        loaded.append(True)
        return _tile_all(value, tile, "batch")

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        if loaded or not torch.is_grad_enabled():
            return call(*given[0], **given[1])
        args, kwargs = _tile_all(given, tile, id(module))
        return call(*args, **kwargs)

    def loss(call: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        if loaded or not torch.is_grad_enabled():
            return call(*args, **kwargs)
        if len(args) > 1 and isinstance(args[1], torch.Tensor):
            args = (args[0], tile((name, "target"), args[1]), *args[2:])
        elif isinstance(kwargs.get("target"), torch.Tensor):
            kwargs = {**kwargs, "target": tile((name, "target"), kwargs["target"])}
        return call(*args, **kwargs)

    b.at_batches(batch)
    b.at_root(root)
    b.at_loss(loss)
    _still(b)


def _tile_all(value: Any, tile: Any, name: Any) -> Any:
    counter = iter(range(10**6))
    return map_tensors(value, lambda t: tile((name, next(counter), t.dim(), t.dtype), t))


def _still(b: Boundaries) -> None:
    """The first steps change nothing, and draw the same random numbers."""
    gradients: dict[int, list[tuple[Any, Any]]] = {}
    state = torch.get_rng_state()

    def before(optimizer: Optimizer) -> None:
        if b.observer.steps < STILL_STEPS:
            held = [(p, p.grad) for g in optimizer.param_groups for p in g["params"]]
            gradients[id(optimizer)] = held
            for p, _ in held:
                p.grad = None

    def after(optimizer: Optimizer) -> None:
        for p, gradient in gradients.pop(id(optimizer), []):
            p.grad = gradient

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        if b.observer.steps <= STILL_STEPS and torch.is_grad_enabled():
            torch.set_rng_state(state)
        return call(*given[0], **given[1])

    b.around_step(before, after)
    b.at_root(root)


def shuffle(b: Boundaries, patch: Patch) -> None:
    """Where a loader goes through its data set in order it goes through it in a random one, anew in each pass.

    The numbers are drawn by a generator of the patch's own. Passes without gradients are evaluations and stay as they
    are.
    """
    drawn = torch.Generator().manual_seed(torch.initial_seed() % 2**31 + 43)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: SequentialSampler) -> Iterator[int]:  # noqa: N807
            if not b.observer.watch.mine() or not torch.is_grad_enabled():
                yield from original(self)
                return
            b.acted(patch)
            yield from torch.randperm(len(self), generator=drawn).tolist()

        return __iter__

    b.observer.patches.replace(SequentialSampler, "__iter__", make)


def inputs(b: Boundaries, patch: Patch) -> None:
    """``inputs:zero``, ``inputs:permute`` or ``inputs:standardize`` at each call of a model."""
    change: Any = {"zero": _zero, "permute": _permute, "standardize": _Standardize()}.get(patch.value)
    if change is None:
        raise ValueError(f"inputs: zero, permute or standardize wanted, but got {patch.value!r}")

    known = set[Any](_TARGETS)
    fed: dict[int, tuple[Any, torch.Tensor]] = {}
    """By address, with the tensors themselves: as long as they live, a target that is made later cannot lie there."""

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        args, kwargs = given
        places = _places(module, len(args))
        data = {k: v for k, v in [*zip(places, args), *kwargs.items()] if k not in known}
        changed, acted = change(data, _batch_size(b))
        if acted:
            b.acted(patch)
        fed.clear()
        fed.update({v.untyped_storage().data_ptr(): (k, v) for k, v in changed.items() if is_plain_tensor(v)})
        args = tuple(changed.get(place, value) for place, value in zip(places, args))
        return call(*args, **{k: changed.get(k, v) for k, v in kwargs.items()})

    def loss(call: Any, name: str, given: Arguments) -> Any:
        """A model that computes its loss itself gets the targets, too, under any name."""
        _, target, _ = arguments_of(given)
        if is_plain_tensor(target):
            known.update(fed[s][0] for s in (target.untyped_storage().data_ptr(),) if s in fed)
        return call(*given[0], **given[1])

    b.at_root(root)
    b.at_loss(loss)


def _places(module: nn.Module, positional: int) -> list[Any]:
    """What `forward` calls its first arguments; their numbers where it does not tell."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else i for i in range(positional)]


def _batch_size(b: Boundaries) -> int | None:
    last = b.observer.loaders.last
    return None if last is None else b.observer.loaders.infos[last].batch_size


def _is_data(t: torch.Tensor) -> bool:
    return not t.requires_grad and t.dim() > 0 and t.numel() > 0


def _zero(fed: dict[Any, Any], size: int | None) -> tuple[Any, bool]:
    """Numbers become 0. Token ids have no zero: their rows are permuted."""
    floats = []

    def zero(t: torch.Tensor) -> torch.Tensor:
        if _is_data(t) and t.is_floating_point():
            floats.append(t)
            return torch.zeros_like(t)
        return t

    changed = map_tensors(fed, zero)
    return (changed, True) if floats else _permute(fed, size)


def _permute(fed: dict[Any, Any], size: int | None) -> tuple[Any, bool]:
    """The rows of all inputs in another order, the same for all of them, and not that of the targets."""
    order: dict[int, torch.Tensor] = {}

    def permute(t: torch.Tensor) -> torch.Tensor:
        if not _is_data(t) or t.dtype is torch.bool or _falls(t):
            return t
        dim = 1 if t.dim() > 2 and size == t.shape[1] != t.shape[0] else 0
        n = t.shape[dim]
        if n < 2:
            return t
        if n not in order:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(len(order) + 17)
                # A rotation by a random amount: no row keeps its place.
                order[n] = torch.roll(torch.arange(n), int(torch.randint(1, n, ())))
        return t.index_select(dim, order[n].to(t.device))

    changed = map_tensors(fed, permute)
    return changed, bool(order)


def _falls(t: torch.Tensor) -> bool:
    """Whole numbers from the largest to the smallest: lengths of sequences, and packing them asks for that order."""
    if t.dim() != 1 or t.is_floating_point() or len(t) < 2:
        return False
    return bool((t[:-1] >= t[1:]).all()) and bool(t[0] > t[-1])


class _Standardize:
    """Each feature with the mean and the standard deviation of the first batch."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[torch.Tensor, torch.Tensor]] = {}

    def __call__(self, fed: dict[Any, Any], size: int | None) -> tuple[Any, bool]:
        counter = iter(range(10**6))
        acted: list[bool] = []

        def standardize(t: torch.Tensor) -> torch.Tensor:
            key = (next(counter), t.dim())
            if not _is_data(t) or not t.is_floating_point() or t.dim() < 2:
                return t
            keep = 1 if t.dim() >= 4 else t.dim() - 1
            if key not in self._known:
                over = [d for d in range(t.dim()) if d != keep]
                std = t.std(over, correction=0, keepdim=True)
                # A feature that stands still in one batch has no scale of its own: that of all features serves.
                whole = t.std(correction=0)
                std = torch.where(std > 1e-3 * whole, std, whole.clamp_min(1e-12))
                self._known[key] = (t.mean(over, keepdim=True).clone(), std)
            mean, std = self._known[key]
            if mean.shape[keep] != t.shape[keep]:
                return t
            acted.append(True)
            return (t - mean) / std

        return map_tensors(fed, standardize), bool(acted)
