"""Which models, parameters, optimizers, schedulers and loaders a training has, and the line that made each.

Objects are known by identity and held weakly; nothing is ever written on them.
"""

from __future__ import annotations

import dataclasses
import sys
import weakref
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import torch
from torch import nn

from flightcheck.adapters.torch.addresses import Addresses
from flightcheck.adapters.torch.identity import ByIdentity
from flightcheck.adapters.torch.kinds import module_kind, module_settings, parameter_role
from flightcheck.adapters.torch.plain_lists import held_by
from flightcheck.adapters.torch.shards import is_shard
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording import provenance
from flightcheck.recording.records import Call, Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo


@dataclass
class Built:
    """When and where an object was constructed."""

    location: Location | None
    sequence: int
    step: int
    in_call: bool = False
    """While a model ran."""


@dataclass
class Root:
    """An outermost called module and what we keep about it."""

    module: weakref.ref[nn.Module]
    info: RootInfo
    dropouts: list[nn.Module] = field(default_factory=list)
    batchnorms: list[nn.Module] = field(default_factory=list)
    leaves: list[tuple[int, weakref.ref[nn.Module]]] = field(default_factory=list)
    trainable: bool = False
    parameter_indices: list[int] = field(default_factory=list)
    train_calls: int = 0
    eval_calls: int = 0
    call_location: Location | None = None


@dataclass
class Counts:
    """What was counted for one parameter; mutable, because it changes in every step."""

    gradient_checks: int = 0
    gradients_seen: int = 0
    gradients_nonzero: int = 0
    update_checks: int = 0
    updates_nonzero: int = 0


class Discovery:
    """Gives every object of the training its index and record."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.built = ByIdentity[Built]()
        self.early_modes = ByIdentity[Call]()
        """The last ``train()`` or ``eval()`` of a module that was not called yet, and so is no root yet."""
        self.roots: dict[int, Root] = {}
        self.modules: dict[int, ModuleInfo] = {}
        self.parameters: list[ParameterInfo] = []
        self.sharded = False
        """Parameters are spread over processes."""
        self.parameter_refs: list[weakref.ref[torch.Tensor]] = []
        self.counts: list[Counts] = []
        self._module_index: dict[int, tuple[weakref.ref[nn.Module], int]] = {}
        self._parameter_index: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self.writes = Addresses()
        """Lines that overwrote values in place."""
        self.drawn = Addresses()
        """Those of them that drew all values at random, if nothing else was written there since."""
        self.frozen = Addresses()
        """Lines that set ``requires_grad`` to False."""
        """Storage address of a parameter → last line that overwrote it before training."""
        self.loaded = ByIdentity[bool]()
        self.loaded_parameters: dict[int, weakref.ref[torch.Tensor]] = {}
        self._calls = 0

    # -- modules ------------------------------------------------------------------------------------------------

    def constructed(self, thing: Any, *, in_call: bool = False) -> None:
        """An ``__init__`` of ours runs: note the line. The first note of an object stands."""
        if thing not in self.built:
            location = self.watch.lines.construction(thing)
            self.built[thing] = Built(location, self.watch.next_sequence(), self.watch.step, in_call)

    def load(self, module: nn.Module, state: Any) -> None:
        """``load_state_dict`` put the values of `state` into a module: of none, if no name fits."""
        for name, parameter in module.named_parameters():
            if name in state:
                self.loaded[module] = True
                self.loaded_parameters[id(parameter)] = weakref.ref(parameter)

    def was_loaded(self, parameter: torch.Tensor) -> bool:
        """``load_state_dict`` put values into the parameter before it was first seen in training."""
        known = self.loaded_parameters.get(id(parameter))
        return known is not None and known() is parameter

    def where_built(self, module: nn.Module) -> Location | None:
        """The line that constructed the module, if it was seen."""
        built = self.built.get(module)
        return built.location if built else None

    def module_index(self, module: nn.Module) -> int | None:
        """The index of a module of a known root, None for a foreign one."""
        known = self._module_index.get(id(module))
        return known[1] if known is not None and known[0]() is module else None

    def unfinished(self, module: nn.Module) -> bool:
        """A model that was never called and holds lazy parameters, which have no shape yet."""
        if id(module) in self.roots:
            return False
        return any(nn.parameter.is_lazy(p) for p in module.parameters())

    def root_of(self, module: nn.Module) -> Root:
        """The root record of an outermost called module; registers its modules and parameters the first time."""
        known = self.roots.get(id(module))
        if known is not None and known.module() is module:
            return known
        if len(self.roots) > 256:  # a model built anew in every step: enough was seen
            return next(iter(self.roots.values()))
        name = self._name_of(module)
        built = self.built.get(module)
        info = RootInfo(
            index=len(self.roots),
            name=name,
            type=type(module).__name__,
            location=built.location if built else None,
            constructed_at_step=built.step if built else 0,
            constructed_seq=built.sequence if built else 0,
            loaded=any(m in self.loaded for m in module.modules()),
        )
        root = Root(weakref.ref(module), info)
        self.roots[id(module)] = root
        for path, child in module.named_modules(remove_duplicate=True):
            self._register_module(root, child, path)
        for path, parameter in module.named_parameters(remove_duplicate=True):
            owner = _submodule(module, path.rpartition(".")[0])
            root.parameter_indices.append(self._register_parameter(parameter, f"{name}.{path}", owner))
            root.trainable |= parameter.requires_grad
        self.save_root(root)
        early = self.early_modes.pop(module)
        if early is not None:
            self.watch.writer.append(dataclasses.replace(early, subject=root.info.index))
        return root

    def mode_before_first_call(self, module: nn.Module, kind: str, location: Location | None) -> None:
        """``train()`` or ``eval()`` of a module that is no root yet."""
        self.early_modes[module] = Call(self.watch.next_sequence(), self.watch.step, kind, -1, location, {})

    def save_root(self, root: Root) -> None:
        """Write the root's record."""
        root.info = dataclasses.replace(
            root.info, train_calls=root.train_calls, eval_calls=root.eval_calls, call_location=root.call_location
        )
        self.watch.writer.put(root.info, root.info.index)

    def _register_module(self, root: Root, module: nn.Module, path: str) -> None:
        index = self.module_index(module)
        leaf = next(module.children(), None) is None
        kind = module_kind(module)
        if kind == "dropout" and getattr(module, "p", False):
            root.dropouts.append(module)
        if kind == "batchnorm":
            root.batchnorms.append(module)
        if index is None:
            index = len(self.modules)
            self._module_index[id(module)] = (weakref.ref(module), index)
            built = self.built.get(module)
            location = built.location if built else None
            if location is None and "." in path:
                location = self._nearest_location(root, path)
            self.modules[index] = ModuleInfo(
                index=index,
                path=f"{root.info.name}.{path}" if path else root.info.name,
                type=type(module).__name__,
                kind=kind,
                root=root.info.index,
                location=location or root.info.location,
                leaf=leaf,
                settings=module_settings(module),
                training=module.training,
                trainable=any(p.requires_grad for p in module.parameters()),
                constructed_seq=built.sequence if built else 0,
            )
            self.watch.writer.put(self.modules[index], index)
        if leaf:
            root.leaves.append((index, weakref.ref(module)))

    def unregistered(self, module: nn.Module, callers: list[nn.Module]) -> None:
        """A module with parameters is called inside a model that does not hold it: a layer in a plain list, or one
        that is constructed in every forward pass.
        """
        root = self.roots.get(id(callers[0])) if callers else None
        if root is None or sum(m.root == root.info.index for m in self.modules.values()) > 4096:
            return
        held = next((h for c in reversed(callers) for h in held_by(c, module, root.module())), None)
        path = held.path if held is not None else type(module).__name__
        line = held.line(self.watch.lines) if held is not None else None
        built = self.built.get(module)
        for inner, child in module.named_modules():
            self._register_module(root, child, f"{path}.{inner}" if inner else path)
            if held is None and built is not None and built.in_call:
                self._made_anew(child)
        for name, parameter in module.named_parameters():
            owner = _submodule(module, name.rpartition(".")[0])
            index = self._register_parameter(parameter, f"{root.info.name}.{path}.{name}", owner)
            root.parameter_indices.append(index)
            if line is not None:
                self.update_parameter(index, location=line)

    def _made_anew(self, module: nn.Module) -> None:
        index = self.module_index(module)
        if index is not None:
            self.modules[index] = dataclasses.replace(self.modules[index], made_in_call=True)
            self.watch.writer.put(self.modules[index], index)

    def files(self) -> set[str]:
        """Files of the script's own in which the models' forward passes are written, and their calls."""
        found = {r.call_location.file for r in self.roots.values() if r.call_location is not None}
        for root in self.roots.values():
            model = root.module()  # whose truth is its length, which a compiled one refuses to tell
            for kind in {type(m) for m in model.modules()} if model is not None else ():
                code = getattr(getattr(kind, "forward", None), "__code__", None)
                if code is not None and self.watch.lines.is_user(code.co_filename):
                    found.add(code.co_filename)
        return found

    def _nearest_location(self, root: Root, path: str) -> Location | None:
        """The line of the nearest ancestor that has one (copies made by deepcopy have none of their own)."""
        module = root.module()
        while module is not None and "." in path:
            path = path.rpartition(".")[0]
            location = self.where_built(_submodule(module, path))
            if location is not None:
                return location
        return None

    def first_call(self, module: nn.Module) -> None:
        """Note the order of the first call of each module."""
        index = self.module_index(module)
        if index is None or self.modules[index].order >= 0:
            return
        self.modules[index] = dataclasses.replace(self.modules[index], order=self._calls)
        self._calls += 1
        self.watch.writer.put(self.modules[index], index)

    def followed_by(self, index: int, activation: str) -> None:
        """A function (``relu`` …) was applied to the module's output: it acts as its activation."""
        self.describe(index, activation=activation)

    def describe(self, index: int, **settings: Any) -> None:
        """What else is known of a module by how it is called."""
        info = self.modules[index]
        if any(info.settings.get(k) != v for k, v in settings.items()):
            self.modules[index] = dataclasses.replace(info, settings={**info.settings, **settings})
            self.watch.writer.put(self.modules[index], index)

    def _name_of(self, module: nn.Module) -> str:
        """The name of the variable that holds the module in the caller's globals, else its class name in lower case."""
        frame = sys._getframe(1)
        while frame is not None:
            if self.watch.lines.is_user(frame.f_code.co_filename):
                for name, value in list(frame.f_globals.items()):
                    if value is module and not name.startswith("_"):
                        return self._unused(name)
            frame = frame.f_back  # type: ignore[assignment]
        return self._unused(type(module).__name__)

    def _unused(self, name: str) -> str:
        taken = {r.info.name for r in self.roots.values()}
        candidate, n = name, 2
        while candidate in taken:
            candidate, n = f"{name}{n}", n + 1
        return candidate

    # -- parameters ---------------------------------------------------------------------------------------------

    def parameter_index(self, parameter: torch.Tensor) -> int | None:
        """The index of a known parameter."""
        known = self._parameter_index.get(id(parameter))
        return known[1] if known is not None and known[0]() is parameter else None

    def same_parameter(self, tensor: torch.Tensor, index: int) -> None:
        """A tensor stands for a known parameter."""
        self._parameter_index[id(tensor)] = (weakref.ref(tensor), index)

    def _register_parameter(self, parameter: torch.Tensor, name: str, owner: nn.Module | None) -> int:
        index = self.parameter_index(parameter)
        module = self.module_index(owner) if owner is not None else None
        if index is not None:
            if self.parameters[index].module < 0 and module is not None:
                self.update_parameter(
                    index, name=name, module=module, role=parameter_role(parameter, name, owner),
                    location=self._line_of(name, owner, module),
                )  # fmt: skip
            return index
        index = len(self.parameters)
        self._parameter_index[id(parameter)] = (weakref.ref(parameter), index)
        self.parameter_refs.append(weakref.ref(parameter))
        self.sharded |= is_shard(parameter)
        self.counts.append(Counts())
        self.parameters.append(
            ParameterInfo(
                index=index,
                name=name,
                module=-1 if module is None else module,
                shape=list(parameter.shape),
                role=parameter_role(parameter, name, owner),
                requires_grad=parameter.requires_grad,
                frozen_location=None if parameter.requires_grad else self.frozen.get(parameter),
                loaded=self.was_loaded(parameter),
                location=self._line_of(name, owner, module),
                dtype=str(parameter.dtype).removeprefix("torch."),
                numel=parameter.numel(),
                joined=self.watch.step,
            )
        )
        return index

    def _line_of(self, name: str, owner: nn.Module | None, module: int | None) -> Location | None:
        """The line that made a parameter: of its module, or, for one that the model itself holds, the assignment."""
        if owner is None or module is None:
            return None
        location = self.modules[module].location
        code = getattr(type(owner).__init__, "__code__", None)
        if "." in self.modules[module].path or code is None or not self.watch.lines.is_user(code.co_filename):
            return location
        where = provenance.attribute_write(code.co_filename, type(owner).__name__, name.rpartition(".")[2])
        return self.watch.lines.of(*where) if where is not None else location

    def update_parameter(self, index: int, **changes: Any) -> None:
        """Change a parameter's record; it is written at the next save."""
        self.parameters[index] = dataclasses.replace(self.parameters[index], **changes)

    def loose(self, tensor: torch.Tensor, name: str, location: Location | None) -> None:
        """A tensor that the loss reaches and no module registers."""
        if self.parameter_index(tensor) is None:
            index = self._register_parameter(tensor, name, None)
            self.update_parameter(index, in_graph=True, location=location)

    def not_loose(self, tensor: torch.Tensor) -> None:
        """Somebody trains it after all."""
        index = self.parameter_index(tensor)
        if index is not None and not self.parameters[index].optimizers:
            self.update_parameter(index, in_graph=False)

    def note_frozen(self, parameter: torch.Tensor, line: Location) -> None:
        """Its ``requires_grad`` was set to False here."""
        self.frozen.note(parameter, line)
        index = self.parameter_index(parameter)
        if index is not None:
            self.update_parameter(index, frozen_location=line)

    def save_parameters(self) -> None:
        """Write all parameter records."""
        for p, counts in zip(self.parameters, self.counts):
            self.parameters[p.index] = dataclasses.replace(p, **vars(counts))
            self.watch.writer.put(self.parameters[p.index], p.index)

    def held(self, parameters: list[torch.Tensor], optimizer: OptimizerInfo) -> list[int]:
        """Register the parameters that an optimizer holds; their indices, one per entry."""
        indices = []
        for i, parameter in enumerate(parameters):
            index = self.parameter_index(parameter)
            if index is None:
                index = self._register_parameter(parameter, f"{optimizer.type}.param{i}", None)
            indices.append(index)
        for index in indices:
            known = self.parameters[index].optimizers
            wanted = indices.count(index)
            if known.count(optimizer.index) < wanted:
                others = [o for o in known if o != optimizer.index]
                self.update_parameter(index, optimizers=others + [optimizer.index] * wanted)
        return indices

    def refresh_roots(self) -> None:
        """Parameters may have been added to a known root since (a head replaced, a layer registered late)."""
        for root in list(self.roots.values()):
            module = root.module()
            if module is None:
                continue
            for path, child in module.named_modules():
                if self.module_index(child) is None:
                    self._register_module(root, child, path)
            for path, parameter in module.named_parameters():
                if self.parameter_index(parameter) is None or self.parameters[self._index(parameter)].module < 0:
                    owner = _submodule(module, path.rpartition(".")[0])
                    index = self._register_parameter(parameter, f"{root.info.name}.{path}", owner)
                    root.parameter_indices.append(index)

    def _index(self, parameter: torch.Tensor) -> int:
        index = self.parameter_index(parameter)
        assert index is not None
        return index


def _submodule(module: nn.Module, path: str) -> nn.Module:
    """As ``get_submodule``, which a module of TorchScript does not support."""
    return reduce(getattr, path.split("."), module) if path else module
