"""Outermost module calls: which model was called, in which mode, with what; training or evaluation."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from threading import get_ident
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.batches import first_tensor, tensors_in
from flightcheck.adapters.torch.data_flow import DataFlows
from flightcheck.adapters.torch.discovery import Discovery, Root
from flightcheck.adapters.torch.evaluations import Evaluations
from flightcheck.adapters.torch.inputs import Inputs
from flightcheck.adapters.torch.losses import Losses
from flightcheck.adapters.torch.numerics import Arithmetic
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.opponents import OpposedModels
from flightcheck.adapters.torch.phases import modes_of
from flightcheck.adapters.torch.watch import Watch, hands_off
from flightcheck.adapters.torch.wiring import Wiring
from flightcheck.recording.records import Location

_FUSED: Final = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
"""Modules that compute in another order in evaluation mode, unless a function mode is active."""


@dataclass
class Pending:
    """A call of a root with gradients whose backward has not come yet."""

    root: Root
    location: Location | None
    data: dict[str, Any]
    inputs: list[tuple[str, weakref.ref[torch.Tensor]]]
    output: weakref.ref[Any] | None


class Forward:
    """Wraps `nn.Module.__call__`; everything below the outermost call passes through almost untouched."""

    def __init__(self, watch: Watch, discovery: Discovery, operations: Operations, losses: Losses) -> None:
        self.watch = watch
        self.discovery = discovery
        self.operations = operations
        self.losses = losses
        self.depth = 0
        self.calls = 0
        """Calls of modules, of any depth, since somebody last set this to 0, where they are looked at."""
        self.unseen = False
        """A model is being called in a round that is rested: nothing below it is looked at."""
        self.pending: list[Pending] = []
        """Training calls since the last backward."""
        self.recomputed: set[int] = set()
        """Parameters (indices) of modules that were called where no graph is kept, since the last backward."""
        self.last_inputs: list[tuple[str, weakref.ref[torch.Tensor]]] = []
        losses.last_inputs = lambda: self.last_inputs
        self.last_model: type[nn.Module] | None = None
        losses.last_model = lambda: self.last_model
        self.inputs = Inputs(watch, discovery, operations)
        operations.compared = self._compared
        self.wiring = Wiring(watch, discovery)
        self.flows = DataFlows(watch, discovery, operations)
        self.batch_passed: Callable[[], None] = lambda: None
        """Told that a model was called of which nothing is noted."""
        self.arithmetic = Arithmetic(watch)
        self.opposed = OpposedModels(watch)
        self.look_at: Callable[[nn.Module, Any], Any] | None = None
        """Told the output of every module below a root, on sampled rounds."""
        self.called: Callable[[nn.Module], None] = lambda module: None
        """Told every model that is about to be called."""
        self.entered: Callable[[Root, tuple[Any, ...], dict[str, Any]], None] = lambda root, args, kwargs: None
        """Told the arguments of every outermost call, before it runs."""
        self.evaluations = Evaluations(watch, discovery, operations, losses)
        self.evaluating = False
        """The outermost call that runs now is of a model in eval mode, without gradients."""
        self._before = watch.guarded(self._look)
        self._noted = watch.guarded(self._note_inner)
        self._called_within, self._after = watch.guarded(self._pairs_within), watch.guarded(self._classify)
        self._squashed = watch.guarded(operations.comparisons.look)

    # -- the wrapper --------------------------------------------------------------------------------------------

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The replacement of ``nn.Module.__call__``."""
        watch, operations, forward = self.watch, self.operations, self
        phases = self.evaluations.phases
        compiling, is_grad_enabled = torch.compiler.is_dynamo_compiling, torch.is_grad_enabled

        def __call__(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
            if compiling() or forward.unseen or not watch.on:
                return original(self, *args, **kwargs)
            at_rest = watch.resting and not (forward.depth or phases)
            if at_rest and (is_grad_enabled() or watch.checkpointed):
                if not (self._modules or self._parameters):
                    return original(self, *args, **kwargs)
                if self.training and id(self) in forward.discovery.roots and get_ident() == watch.thread:
                    forward.batch_passed()  # to a training call of a known model: it is not that of an evaluation
                    forward.unseen = True
                    try:
                        return original(self, *args, **kwargs)
                    finally:
                        forward.unseen = False
            if torch.compiler.is_compiling():
                return original(self, *args, **kwargs)
            if forward.depth:
                if not (watch.learning or operations.active or forward.look_at):
                    return original(self, *args, **kwargs)
                return forward._inner(original, self, args, kwargs)
            if not watch.mine() or hands_off():
                return original(self, *args, **kwargs)
            return forward._outer(original, self, args, kwargs)

        return __call__

    def _inner(self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: Any) -> Any:
        if not self.watch.mine():
            return original(module, *args, **kwargs)
        self.calls += 1
        fused = not module.training and isinstance(module, _FUSED)
        resume = fused and self.operations.suspend()
        self.operations.modules.append(module)
        self.operations.with_grad.append(torch.is_grad_enabled() or self.watch.checkpointed)
        try:
            result = original(module, *args, **kwargs)
        finally:
            self.operations.modules.pop()
            self.operations.with_grad.pop()
            if resume:
                self.operations.resume()
        if self.watch.learning:
            self._noted(module, result)
            self.watch.guarded(self.operations.cuts.given)(module, args)
            if len(self.operations.modules) == 1:  # a part of a model that computes its loss by itself
                self._called_within(module, args, kwargs, result)
        if self.look_at is not None:
            self.look_at(module, result)
        return result

    def _outer(self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: Any) -> Any:
        self.calls += 1
        before = self._before(module, args, kwargs)
        grad = self._with_grad()
        evaluating = not grad or not module.training
        self.evaluating = not grad and not module.training
        resume = evaluating and self.operations.suspend()
        self.depth = 1
        self.operations.modules.append(module)
        self.operations.with_grad.append(grad)
        try:
            result = original(module, *args, **kwargs)
        finally:
            self.depth = 0
            self.evaluating = False
            self.operations.modules.pop()
            self.operations.with_grad.pop()
            if resume:
                self.operations.resume()
        if self.look_at is not None:
            self.look_at(module, result)
        if self.watch.learning:
            self.wiring.passed(grad and module.training)
        if before is not None:
            self._after(before, module, result)
            if resume and self.watch.learning and not grad:
                self.watch.guarded(self.operations.loose.left)(
                    "no_grad", before[2], before[0].parameter_indices, result
                )
        elif type(module) is nn.Sigmoid and self.operations.active:
            self._squashed("sigmoid", args, kwargs, result)
        return result

    def _with_grad(self) -> bool:
        return torch.is_grad_enabled() or self.watch.checkpointed

    def _pairs_within(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        output = first_tensor(result)
        if output is not None and next(module.parameters(), None) is not None:
            self.operations.scores.pairs.returned(id(module), [t for _, t in tensors_in(args, kwargs)], output)

    # -- learning: what lies inside -----------------------------------------------------------------------------

    def _note_inner(self, module: nn.Module, result: Any) -> None:
        if self.discovery.module_index(module) is None and next(module.parameters(), None) is not None:
            self.discovery.unregistered(module, self.operations.modules)
        self.discovery.first_call(module)
        index = self.discovery.module_index(module)
        if index is not None:
            self.wiring.called(index)
        output = first_tensor(result)
        if output is None or index is None:
            return
        if self.watch.checkpointed:
            self._recomputes(module)
        elif output.grad_fn is not None:
            self.operations.owners.setdefault(output.grad_fn, index)
            self.flows.returned(index, result)
        elif not torch.is_grad_enabled() and self.operations.with_grad[-1]:
            # the outermost module of a no_grad block inside a call that has gradients
            own = [p for p in module.parameters() if p.requires_grad]
            if own and self.operations.modules[0].training:
                self.operations.cuts.note("no_grad", own, self.discovery.modules[index].path)

    def _recomputes(self, module: nn.Module) -> None:
        """The backward will call this module again: the loss reaches its parameters, and its graph does not tell."""
        known = (self.discovery.parameter_index(p) for p in module.parameters(recurse=False))
        self.recomputed.update(i for i in known if i is not None)

    # -- the outermost call -------------------------------------------------------------------------------------

    def _look(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Root, dict[str, Any], Location | None] | None:
        if next(module.parameters(), None) is None or self.discovery.unfinished(module):
            return None
        self.called(module)
        root = self.discovery.root_of(module)
        grad = self._with_grad()
        close = self.watch.learning or self.watch.sampled or not (grad and module.training)
        close |= root.call_location is None
        location = self.watch.lines.here() if close else root.call_location
        data: dict[str, Any] = {"training": module.training, "grad": grad}
        if close or self.watch.records_calls:
            data |= modes_of(root)
        inputs = list(tensors_in(args, kwargs))
        if grad and self.watch.learning:
            self.arithmetic.called(inputs[0][1] if inputs else None)
        self.last_inputs, self.last_model = [(n, weakref.ref(t)) for n, t in inputs], type(module)
        source = self.inputs.fed(root, inputs, location, grad and (module.training or not self.evaluations.phases))
        self.evaluations.given(self.last_inputs, source)
        self.entered(root, args, kwargs)
        return root, data, location

    def _classify(self, before: tuple[Root, dict[str, Any], Location | None], module: nn.Module, result: Any) -> None:
        root, data, location = before
        if self.watch.learning:
            self.discovery.first_call(module)
        output = first_tensor(result)
        if output is not None:
            self.operations.comparisons.returned(output, location, result)
            given = [ref() for _, ref in self.last_inputs]
            if isinstance(result, tuple) and (self.watch.learning or not output.requires_grad):
                self.operations.repeated_states.called(module, [t for t in given if t is not None], result)
            self.opposed.called(root.info.index, given, output)
            if self.watch.learning:
                self.operations.ends.returned(given, output)
                self.operations.scores.pairs.returned(root.info.index, given, output)
                self.operations.stored.returned(root.info.index, given, output)
        with_graph = output is not None and (output.requires_grad or self.watch.checkpointed)
        if with_graph and output is not None:
            if self.watch.checkpointed and self.watch.learning:
                self._recomputes(module)
            index = self.discovery.module_index(module)
            if index is not None and output.grad_fn is not None and self.watch.learning:
                self.operations.owners.setdefault(output.grad_fn, index)
            if self.watch.learning:
                self.operations.cuts.given(module, given, outermost=True)
            if len(self.pending) < 64:
                self.pending.append(Pending(root, location, data, self.last_inputs, None))
            return
        if not data["grad"] and root.trainable and module.training and self.watch.learning:
            own = [p for p in module.parameters() if p.requires_grad]
            self.operations.cuts.answered(own, root.info.name, output)
        self.operations.comparisons.scores.evaluated(output)
        self.evaluations.called(root, data, location, module)

    def _compared(self, one: Any, other: Any) -> None:
        if not (torch.is_grad_enabled() and self.pending):  # else it is of a training call
            self.evaluations.compared(one, other)

    # -- phases -------------------------------------------------------------------------------------------------

    def training_resumes(self) -> list[Pending]:
        """A backward comes: pending calls were training, and evaluation phases are over. Returns the calls."""
        calls, self.pending = self.pending, []
        leftovers = [c for c in calls if not c.data["training"] and self._also_trained(c, calls)]
        self.evaluations.end()
        return [c for c in calls if c not in leftovers]

    def _also_trained(self, call: Pending, calls: list[Pending]) -> bool:
        """An eval-mode call with gradients beside a train-mode call of the same root: an evaluation without no_grad."""
        return any(c.root is call.root and c.data["training"] for c in calls)
