"""Patches of states that are loaded: names of a checkpoint matched to those of the model."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch

_MOST_TABLES: Final = 8
_LEAST: Final = 2
"""Names that one change of a prefix must reach: a single name may end alike by chance."""

Tensors = dict[str, torch.Tensor]


def load(b: Boundaries, patch: Patch) -> None:
    """``load:match``: names in a state that no parameter has are given the prefix of those that are missing.

    Where the script filtered the state for names that it knows, the file that it read before is matched.
    """
    read: list[Tensors] = []

    def reader(original: Any) -> Any:
        @functools.wraps(original)
        def load(*args: Any, **kwargs: Any) -> Any:
            value = original(*args, **kwargs)
            if b.observer.watch.mine():
                read.extend(_tables(value))
                del read[:-_MOST_TABLES]
            return value

        return load

    def loader(original: Any) -> Any:
        @functools.wraps(original)
        def load_state_dict(self: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
            if b.observer.watch.mine() and isinstance(state_dict, Mapping):
                own = _own(self, state_dict)
                found = next(
                    (m for s in (state_dict, *reversed(read)) if (m := matched(self, s, state_dict, own))), None
                )
                if found:
                    b.acted(patch)
                    state_dict = {**state_dict, **found}
            return original(self, state_dict, *args, **kwargs)

        return load_state_dict

    b.observer.patches.replace(torch, "load", reader)
    b.observer.patches.replace(nn.Module, "load_state_dict", loader)


def _own(module: nn.Module, given: Mapping[str, Any]) -> set[str]:
    """Names that are given what the module has already: ``state.update(…)`` left them as they were."""
    known = dict([*module.named_parameters(), *module.named_buffers()])
    tensors = {k: v for k, v in given.items() if k in known and isinstance(v, torch.Tensor)}
    return {k for k, v in tensors.items() if v.shape == known[k].shape and torch.equal(v.to(known[k]), known[k])}


def matched(
    module: nn.Module, source: Mapping[str, Any], given: Mapping[str, Any], own: Collection[str] = ()
) -> Tensors:
    """What `source` has for the names of the module that are not `given`, by the change of a prefix that reaches most.

    A name fits if what follows the prefix and the shape are the same. Names whose values are the module's `own` are not
    given.
    """
    known = dict([*module.named_parameters(), *module.named_buffers()])
    missing = {name: t.shape for name, t in known.items() if name not in given or name in own}
    bare = not any(isinstance(v, torch.Tensor) for v in given.values())  # the tensors lie one level below
    spare = {k: v for k, v in source.items() if isinstance(v, torch.Tensor) and (bare or k not in known)}
    best: Tensors = {}
    for strip in _prefixes(spare):
        for add in _prefixes(missing):
            here = {add + k.removeprefix(strip): v for k, v in spare.items() if k.startswith(strip)}
            fitting = {k: v for k, v in here.items() if k in missing and v.shape == missing[k]}
            if len(fitting) > len(best):
                best = fitting
    return best if len(best) >= _LEAST else {}


def _prefixes(names: Iterable[str]) -> list[str]:
    """All beginnings of names that end at a dot, the empty one first."""
    found: dict[str, None] = {"": None}
    for name in names:
        parts = name.split(".")
        found |= {".".join(parts[:depth]) + ".": None for depth in range(1, min(4, len(parts)))}
    return list(found)[:64]


def _tables(value: Any, depth: int = 0) -> list[Tensors]:
    """The dictionaries in something read from a file that name tensors, up to two levels deep."""
    if not isinstance(value, Mapping):
        return []
    tensors = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    if tensors:
        return [tensors]
    return [t for inner in list(value.values())[:16] if depth < 2 for t in _tables(inner, depth + 1)]
