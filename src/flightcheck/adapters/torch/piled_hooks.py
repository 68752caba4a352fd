"""Hooks that pile up: one line registers the same one in every epoch, and nothing removes it.

Nothing is wrapped for it. The dictionaries of hooks that PyTorch keeps are read now and then.
"""

from __future__ import annotations

import dis
import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any, Final

import torch
from torch import nn
from torch._C import DisableTorchFunction

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.piled_hooks import PiledHooks
from flightcheck.recording.provenance.hooks import registered_at

_OF_MODULES: Final = {
    "_forward_hooks": "forward", "_forward_pre_hooks": "forward_pre", "_backward_hooks": "backward",
}  # fmt: skip
_FEWEST: Final = 3
_MOST_NAMES: Final = 8
_MOST_OWNERS: Final = 2000

Key = tuple[str, CodeType]


class HookPiles:
    """Looks at the hooks of known parameters and modules."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch, self.discovery = watch, discovery
        self._first: dict[Key, int] = {}
        """The round in which a pile was seen for the first time."""
        self._found: dict[Key, tuple[int, int, list[str]]] = {}
        """Kind and code of a hook → the most on one owner, the round, names of owners with several."""

    def look(self) -> None:
        """Count equal hooks, by owner."""
        piles: dict[Key, list[tuple[int, str]]] = {}
        with DisableTorchFunction():  # an attribute of a tensor is asked for through the user's modes, and through ours
            for kind, name, hooks in self._hooks():
                for code, count in _equal(hooks):
                    if count >= _FEWEST:
                        piles.setdefault((kind, code), []).append((count, name))
        for key, owners in piles.items():
            self._first.setdefault(key, self.watch.step)
            most = max(count for count, _ in owners)
            if most > self._found.get(key, (0, 0, []))[0]:
                self._found[key] = most, self.watch.step, [name for _, name in owners[:_MOST_NAMES]]

    def save(self) -> None:
        """Write what the user's code registered."""
        self.look()
        files, i = self.discovery.files(), 0
        for (kind, code), (most, step, names) in self._found.items():
            if code.co_filename not in files:
                continue
            line = registered_at(code.co_filename, code.co_firstlineno, code.co_name) or code.co_firstlineno
            at = self.watch.lines.of(code.co_filename, line)
            first = self._first[kind, code]
            self.watch.writer.put(PiledHooks(kind, at, returns_something(code), most, step, names, first), i)
            i += 1

    def _hooks(self) -> Iterator[tuple[str, str, Mapping[int, Any]]]:
        known = zip(self.discovery.parameters, self.discovery.parameter_refs, strict=False)
        for info, held in list(known)[:_MOST_OWNERS]:
            tensor = held()
            hooks = getattr(tensor, "_backward_hooks", None) if isinstance(tensor, torch.Tensor) else None
            if hooks:
                yield "gradient", info.name, hooks
        for root in self.discovery.roots.values():
            model = root.module()
            for path, module in list(model.named_modules() if isinstance(model, nn.Module) else ())[:_MOST_OWNERS]:
                for attribute, kind in _OF_MODULES.items():
                    if hooks := module.__dict__.get(attribute):
                        yield kind, path or root.info.name, hooks


def _equal(hooks: Mapping[int, Any]) -> Iterator[tuple[CodeType, int]]:
    """Code of the hooks, and how many of them are the same function with the same values around it."""
    counted = Counter(key for hook in list(hooks.values()) if (key := key_of(hook)) is not None)
    for (code, _), count in counted.items():
        yield code, count


def key_of(hook: Any) -> tuple[CodeType, tuple[int, ...]] | None:
    """What two equal hooks have in common: the code, and the values that it reads around itself; None for objects."""
    bound: list[Any] = []
    while isinstance(hook, functools.partial):
        bound += [*hook.args, *hook.keywords.values()]
        hook = hook.func
    function = getattr(hook, "__func__", hook)
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return None
    around = [*bound, getattr(hook, "__self__", None), *(function.__defaults__ or ()), *_cells(function)]
    return code, tuple(_identity(v) for v in around)


def _cells(function: Any) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not bound yet
            yield None


def _identity(value: Any) -> int:
    """Numbers and names by their value, anything else by what it is."""
    return hash((type(value), value)) if isinstance(value, bool | int | float | str | type(None)) else id(value)


def returns_something(code: CodeType) -> bool:
    """Does any ``return`` of this code give something other than None?"""
    before = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "RETURN_CONST" and instruction.argval is not None:
            return True
        if instruction.opname == "RETURN_VALUE":
            nothing = before is not None and before.opname == "LOAD_CONST" and before.argval is None
            if not nothing:
                return True
        before = instruction
    return False
