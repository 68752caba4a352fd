"""Where values leave the graph: ``detach``, ``data``, ``item``, NumPy, ``no_grad``, thresholds, rounding."""

from __future__ import annotations

import dataclasses
import inspect
import types
import weakref
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import torch

from flightcheck.adapters.torch.graph import leaves_of, node_of
from flightcheck.recording.provenance.without_gradients import gradients_off
from flightcheck.recording.records import GraphCut, Location

if TYPE_CHECKING:
    from flightcheck.adapters.torch.discovery import Discovery
    from flightcheck.adapters.torch.loose_terms import LooseTerms
    from flightcheck.adapters.torch.random_draws import RandomDraws
    from flightcheck.adapters.torch.state_cuts import StateCuts
    from flightcheck.adapters.torch.watch import Watch

_WALKED_PER_LINE: Final = 8
"""Passes of a line whose tensor is followed: a function may be called for several parts of a model."""
_WALK_LIMIT: Final = 4000
_MOST_ANSWERS: Final = 16
_MOST_FRAMES: Final = 4
"""Of the script's, from a cut up to the hook in which it is made."""
_HALVING: Final = {"detach", "data", "tensor", "Variable"}
"""Cuts between two parts of a model, each of which may learn."""


class GraphCuts:
    """Told of such operations, each at the user's line."""

    def __init__(
        self, watch: Watch, discovery: Discovery, *, modules: list[Any], loose: LooseTerms,
        state_cuts: StateCuts, draws: RandomDraws,
    ) -> None:  # fmt: skip
        self.watch = watch
        self.discovery = discovery
        self.modules = modules
        """Modules being called, outermost first."""
        self.loose = loose
        self.state_cuts = state_cuts
        self.draws = draws
        self.data: weakref.ref[torch.Tensor] | None = None
        """What ``tensor.data`` gave last: what is written into it, the tensor does not learn of."""
        self._found: dict[tuple[str, Location | None], GraphCut] = {}
        self._answers = deque[tuple[weakref.ref[torch.Tensor], tuple[str, Location | None]]](maxlen=_MOST_ANSWERS)
        """What models in train mode returned without gradients last, and what was cut off last, with operation and
        line: an actor's action may be used behind the step of the critic."""

    def data_read(self, tensor: torch.Tensor, result: torch.Tensor) -> None:
        """``tensor.data`` gave a tensor."""
        self.cut("data", tensor, result)
        self.data = weakref.ref(result)

    def cut(self, operation: str, given: Any, result: Any) -> None:
        """An operation whose result has no history was called."""
        if operation == "round":
            result = None  # it stays in the graph, and sends zeros back
        else:
            self.state_cuts.cut(given, result, self.watch.lines.here())
        tensors = [given] if isinstance(given, torch.Tensor) else []
        if isinstance(given, (list, tuple)):
            tensors = [t for t in given[:8] if isinstance(t, torch.Tensor)]
        tensors = [t for t in tensors if t.requires_grad and (t.grad_fn is not None or operation in ("data", "detach"))]
        if not tensors or not torch.is_grad_enabled():
            return
        if tensors[0].grad_fn is None:  # of a parameter: an optimizer or an initialization, and no cut unless a loss
            index = self.discovery.parameter_index(tensors[0])  # or an output is made of it
            if index is not None and self.modules and self.modules[0].training:
                self.note(operation, tensors[:1], result=result)
            elif index is not None:
                self.loose.left(operation, self.watch.lines.here(), {index}, result)
            return
        if tensors[0].numel() == 1 and tensors[0].grad_fn is not None and "SubBackward" in tensors[0].grad_fn.name():
            result = None  # (value - loss).detach(), added to the loss: another value, the same gradient
        self.note(operation, [leaf for t in tensors for leaf in leaves_of(t, _WALK_LIMIT)], result=result)
        if operation in _HALVING and self.watch.learning and isinstance(result, torch.Tensor) and result.dim() > 1:
            key = (operation, self.watch.lines.here())
            self._answers.append((weakref.ref(result), key))
            if self.modules and not self._found[key].hooked and self._in_a_hook():
                self._found[key] = dataclasses.replace(self._found[key], hooked=True)

    def made_anew(self, given: torch.Tensor, result: torch.Tensor) -> None:
        """``Variable(given)`` gave a tensor: one that has no history any more?"""
        if node_of(given) is not None and node_of(result) is None:
            self.cut("Variable", given, result)

    def decided(self, name: str, given: Any) -> None:
        """A threshold or the place of the largest score: what is made of the answer has no gradient."""
        if torch.is_grad_enabled() and isinstance(given, torch.Tensor) and given.grad_fn is not None:
            self.note("integer" if name == "max" else "comparison", leaves_of(given, _WALK_LIMIT))

    def written_past(self, args: Any) -> None:
        """``x.data.index_add_(0, i, values)``, ``x.data[i] = values``: `x` learns nothing of the values' graph."""
        data = self.data() if self.data is not None else None
        target = args[0] if args else None
        if data is None or not isinstance(target, torch.Tensor) or not (target is data or target._base is data):
            return
        for value in args[1:]:
            if value is not target and node_of(value) is not None:
                self.cut("data", value, None)

    def left(self, given: Any, result: Any) -> None:
        """What is computed under ``no_grad`` from a tensor of the graph leaves it, as in distributions' `sample`."""
        if node_of(given) is not None:
            line = self.watch.lines.here()
            sampled = line is not None and ".sample(" in line.code
            behind = self.note("sample" if sampled else "no_grad", leaves_of(given, _WALK_LIMIT), result=result)
            if sampled:
                self.draws.sampled(result, line, behind)

    def answered(self, own: Sequence[torch.Tensor], module: str, output: torch.Tensor | None) -> None:
        """A model was called without gradients in train mode; its own parameters lie behind what it returned."""
        self.note("no_grad", own, module)
        if output is not None:
            self._answers.append((weakref.ref(output), ("no_grad", self.watch.lines.here())))

    def given(self, module: torch.nn.Module, inputs: Sequence[Any], outermost: bool = False) -> None:
        """A model, or a part of one, was called on these, with gradients: what was cut off was to be in its graph.

        A state that a recurrent layer hands to itself is cut off on purpose: it is no part behind another.
        """
        for answer, key in self._answers if torch.is_grad_enabled() else ():
            cut, tensor = self._found.get(key), answer()
            if cut is None or tensor is None or not any(tensor is one for one in inputs):
                continue
            own = {self.discovery.parameter_index(p) for p in module.parameters() if p.requires_grad}
            if outermost if key[0] == "no_grad" else own and own.isdisjoint(cut.parameters):
                self._found[key] = dataclasses.replace(cut, handed_on=cut.handed_on + 1)

    def _in_a_hook(self) -> bool:
        """A forward hook of the module that is being called runs, or what it calls."""
        lines = self.watch.lines.stack(_MOST_FRAMES)
        return any(_runs(hook, at) for hook in self.modules[-1]._forward_hooks.values() for at in lines)

    def note(
        self, operation: str, leaves: Sequence[torch.Tensor], module: str = "", result: torch.Tensor | None = None
    ) -> set[int]:
        """A tensor left the graph at the user's line; `leaves` lie behind it. Returns their parameters."""
        line = self.watch.lines.here()
        key = (operation, line)
        known = self._found.get(key)
        if known is not None and known.count >= _WALKED_PER_LINE and known.parameters:
            self._found[key] = dataclasses.replace(known, count=known.count + 1)
            self.loose.left(operation, line, known.parameters, result)
            return set(known.parameters)
        behind = {i for leaf in leaves if (i := self.discovery.parameter_index(leaf)) is not None}
        turned_off = self._turned_off(operation, line)
        before = known or GraphCut(operation, line, self.watch.step, [], module, 0, turned_off=turned_off)
        self._found[key] = dataclasses.replace(
            before, parameters=sorted(behind.union(before.parameters)), count=before.count + 1
        )
        self.loose.left(operation, line, behind.union(before.parameters), result)
        return behind.union(before.parameters)

    def _turned_off(self, operation: str, line: Location | None) -> Location | None:
        found = gradients_off(line.file, line.line) if operation == "no_grad" and line is not None else None
        return self.watch.lines.of(*found) if found is not None else None

    def save(self) -> None:
        """Write what was seen."""
        for i, cut in enumerate(self._found.values()):
            self.watch.writer.put(cut, i)


def _runs(hook: Any, line: Location) -> bool:
    """A line stands in a function, a method, or what ``functools.partial`` calls."""
    code = getattr(inspect.unwrap(getattr(hook, "func", hook)), "__code__", None)
    if not isinstance(code, types.CodeType) or code.co_filename != line.file:
        return False
    lines = [at for _, _, at in code.co_lines() if at is not None]
    return min(lines) <= line.line <= max(lines)
