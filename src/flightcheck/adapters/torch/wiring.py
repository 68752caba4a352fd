"""How trained models are put together: one layer at many places, one in the place of another, results left unread."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.adapters.torch.discovery import Discovery, Root
from flightcheck.adapters.torch.unknown_flags import unknown_flags
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.repetitions import only_repetition, repetition, said_about
from flightcheck.recording.provenance.unused import Unused, calls_elsewhere, keeps_something, parts_read, unused_results
from flightcheck.recording.records import Location
from flightcheck.recording.wiring import RepeatedModule, StandIn, UnusedResult

_CONTAINERS: Final = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
_MOST: Final = 32
"""Records of a kind."""
_PASSES: Final = 3
"""Forward passes in which a module is called again: one may have been another kind of pass."""
_ANEW: Final = {
    "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "softplus", "softmax", "log_softmax",
    "normalize", "layer_norm", "batch_norm", "dropout", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d",
    "adaptive_avg_pool2d", "interpolate", "pad", "clamp", "clip", "view", "reshape", "flatten", "squeeze",
    "unsqueeze", "transpose", "permute", "masked_fill", "scatter", "scatter_add", "index_add", "index_fill", "exp",
    "log", "sqrt", "abs", "pow", "sub", "mul", "div",
}  # fmt: skip
"""Functions, and methods of tensors, that give a new tensor and leave the one that they are given as it is."""


class Wiring:
    """Looks at each trained model once, and counts calls of its modules in the learning pass."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._seen: set[int] = set()
        self._flagged: set[int] = set()
        self._kinds: set[type] = set()
        self._written = 0
        self._unread = self._flags = -1
        self._calls: dict[int, int] = {}
        """Module → calls in this forward pass."""
        self._again: dict[int, Location | None] = {}
        """Module → line of its second call in a forward pass."""
        self._passes: dict[int, list[int]] = {}
        """Module → how often it was called in each forward pass that called it."""
        self._alike: dict[int, list[int]] = {}
        """Module → those beside it that are just like it."""
        self._owners: dict[int, type] = {}
        """Module of `_alike` → class of the module that holds it."""

    # -- told by others -----------------------------------------------------------------------------------------

    def trained(self, root: Root) -> None:
        """The loss of a backward may have reached this model."""
        model = root.module()
        if model is None or not root.trainable:
            return
        if root.info.index not in self._flagged:
            for flag in unknown_flags(self.watch, self.discovery, model):
                self._flagged.add(root.info.index)
                self._flags += 1
                self.watch.writer.put(dataclasses.replace(flag, index=self._flags), self._flags)
        if root.info.index in self._seen:
            return
        self._seen.add(root.info.index)
        self._repeated(model)
        for module in model.modules():
            if type(module) not in self._kinds:
                self._kinds.add(type(module))
                self._unused(module)
            self._note_alike(module)

    def called(self, index: int) -> None:
        """A module inside of a model is called."""
        count = self._calls[index] = self._calls.get(index, 0) + 1
        if count == 2 and index not in self._again:
            self._again[index] = self.watch.lines.here()

    def passed(self, training: bool) -> None:
        """An outermost call is over."""
        if training:
            for index, count in self._calls.items():
                self._passes.setdefault(index, []).append(count)
        self._calls.clear()

    def save(self) -> None:
        """Write the modules that are called in the place of others."""
        found = 0
        for index, others in self._alike.items():
            counts = self._passes.get(index, [])
            if len(counts) < _PASSES or min(counts) < 2 or len(set(counts)) > 1:
                continue
            idle = [i for i in others if self.discovery.modules[i].order < 0 and not self._has_a_place(i)]
            if len(idle) == 1 and found < _MOST:
                self.watch.writer.put(StandIn(found, index, idle[0], counts[0], self._again.get(index)), found)
                found += 1

    # -- one layer at many places -------------------------------------------------------------------------------

    def _repeated(self, model: nn.Module) -> None:
        for container in model.modules():
            entries = list(container._modules.values()) if isinstance(container, _CONTAINERS) else []
            for module in {id(m): m for m in entries if m is not None}.values():
                places = sum(m is module for m in entries)
                if places > 1 and any(p.requires_grad for p in module.parameters()):
                    line = self._repetition(module, container)
                    if line is not None:
                        self._write_repeated(module, container, places, line)
        built = self.discovery.where_built(model)
        line = self._line(built, made_here=True)
        if line is None and built is not None and (only := only_repetition(built.file)):
            line = self.watch.lines.of(built.file, only)
        if line is not None:
            self._write_repeated(model, None, 0, line)

    def _repetition(self, module: nn.Module, container: nn.Module) -> Location | None:
        made = self._line(self.discovery.where_built(module), made_here=True)
        return made or self._line(self.discovery.where_built(container), made_here=False)

    def _line(self, at: Location | None, *, made_here: bool) -> Location | None:
        line = repetition(at.file, at.line, made_here=made_here) if at is not None else 0
        return self.watch.lines.of(at.file, line) if at is not None and line else None

    def _write_repeated(self, module: nn.Module, container: nn.Module | None, places: int, line: Location) -> None:
        index = self.discovery.module_index(module)
        if index is None or self._written >= _MOST:
            return
        holder = self.discovery.module_index(container) if container is not None else None
        path = self.discovery.modules[holder].path if holder is not None else ""
        said = said_about(line.file, line.line)
        self.watch.writer.put(RepeatedModule(self._written, line, index, path, places, said), self._written)
        self._written += 1

    # -- one in the place of another ----------------------------------------------------------------------------

    def _note_alike(self, owner: nn.Module) -> None:
        """Attributes of one module that are modules of one kind, with parameters of the same shapes."""
        if isinstance(owner, _CONTAINERS):
            return
        kinds: dict[Any, list[int]] = {}
        for child in owner.children():
            index = self.discovery.module_index(child)
            shapes = [(n, tuple(p.shape)) for n, p in child.named_parameters() if p.requires_grad]
            if index is not None and shapes:
                kinds.setdefault((type(child), child.extra_repr(), tuple(shapes)), []).append(index)
        for together in kinds.values():
            for index in together:
                if others := [i for i in together if i != index]:
                    self._alike.setdefault(index, others)
                    self._owners[index] = type(owner)

    def _has_a_place(self, index: int) -> bool:
        """The class that holds a module calls it somewhere: in a branch, or a method, that another phase may take."""
        code = getattr(getattr(self._owners.get(index), "forward", None), "__code__", None)
        name = self.discovery.modules[index].path.rpartition(".")[2]
        return code is not None and calls_elsewhere(code.co_filename, self._owners[index].__name__, name)

    # -- results left unread ------------------------------------------------------------------------------------

    def _unused(self, module: nn.Module) -> None:
        kind = type(module)
        forward = vars(kind).get("forward")  # a compiled module's cannot even be asked for
        code = getattr(forward, "__code__", None)
        if forward is None or code is None or not self.watch.lines.is_user(code.co_filename):
            return
        for found in unused_results(code.co_filename, kind.__name__):
            called = self._what(module, found, forward.__globals__)
            if called is not None and len(self._kinds) < 4 * _MOST:
                index = self._next_unused()
                self.watch.writer.put(
                    UnusedResult(
                        index,
                        self.watch.lines.of(code.co_filename, found.line),
                        found.kind,
                        found.called,
                        found.name,
                        kind.__name__,
                        called,
                    ),
                    index,
                )

    def _next_unused(self) -> int:
        self._unread += 1
        return self._unread

    def _what(self, owner: nn.Module, found: Unused, names: dict[str, Any]) -> int | None:
        """The index of the module that is called, -1 for a function or for no call; None where the result may be meant
        to go unread: it is changed in place, or the call leaves something behind.
        """
        if found.kind == "variable":
            return -1
        first, _, rest = found.called.partition(".")
        module = owner._modules.get(rest) if first == "self" else None
        if module is not None:
            index = self.discovery.module_index(module)
            file = type(owner).forward.__code__.co_filename
            read = parts_read(file, type(owner).__name__, rest).intersection(module._buffers)
            return index if index is not None and not read and self._gives_only(module) else None
        if found.kind != "statement" or first == "self":
            return None
        last = found.called.rpartition(".")[2]
        if last not in _ANEW:
            return None
        if first == found.name:
            return -1  # a method of the tensor
        function = names.get(first)
        for name in rest.split(".") if rest else ():
            function = getattr(function, name, None)
        return -1 if function is not None and function in (getattr(F, last, None), getattr(torch, last, None)) else None

    def _gives_only(self, module: nn.Module) -> bool:
        """Its result is all that a call leaves: nothing is changed in place, no hook reads it, nothing is kept."""
        return not any(map(self._leaves_more, module.modules()))

    def _leaves_more(self, module: nn.Module) -> bool:
        if getattr(module, "inplace", False) or module._forward_hooks or module._forward_pre_hooks:
            return True
        code = getattr(type(module).forward, "__code__", None)
        if code is None or not self.watch.lines.is_user(code.co_filename):
            return False
        return keeps_something(code.co_filename, type(module).__name__)
