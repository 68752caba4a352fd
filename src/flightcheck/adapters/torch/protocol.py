"""The order of the training protocol: forward, backward, clip, step, zero_grad, schedule, scale."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import torch
from torch.optim import Optimizer

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.epochs import EpochLengths
from flightcheck.adapters.torch.optimizers import Held, Optimizers
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Call, Location

_ALWAYS: Final = {"train_mode", "eval_mode", "scaler_skip", "loader_iter"}


class Protocol:
    """Records calls in their order, and the facts about gradients that order checks need."""

    def __init__(self, watch: Watch, discovery: Discovery, optimizers: Optimizers) -> None:
        self.watch = watch
        self.discovery = discovery
        self.optimizers = optimizers
        self.backwards = 0
        self.grads_called = 0
        self.stepped_since_backward = False
        self.scale: float | None = None
        """Loss scale that the gradients carry now; None when they carry none."""
        self.unscaled: set[int] = set()
        self.skipped = False
        self.met: set[str] | None = None
        """What is known of the graph of the backward that runs now (`ResourceUse.met_before`); None: not looked at."""
        self.gradients_read = False
        """Code of the script's own read a gradient since the last call of zero_grad, where operations are looked at."""
        self.in_scaler = False
        """The step that is made now is that of a gradient scaler, which unscales before it."""
        self.scale_read = False
        """The script reads the scale: it may divide by it on its own."""
        self.in_step: list[Held] = []
        """Optimizers whose closure runs now."""
        self.again: list[int] = []
        """Of these, those whose step has seen a backward before this one …"""
        self.carried: list[int] = []
        """… and those whose gradients of that one are still there."""
        self.backward_location: Location | None = None
        self.backward_sites: dict[Location | None, int] = {}
        self.reached: Counter[frozenset[int]] = Counter()
        """Backward passes, by the optimizers that their graphs led to, where that was looked at."""
        self.epochs = EpochLengths(watch)

    @property
    def close(self) -> bool:
        """Calls of this round are recorded."""
        return self.watch.records_calls

    def record(
        self, kind: str, subject: int = -1, location: Location | None = None, always: bool = False, **data: Any
    ) -> None:
        """Append a call to the run."""
        if always or kind in _ALWAYS or self.close:
            self.watch.writer.append(Call(self.watch.next_sequence(), self.watch.step, kind, subject, location, data))

    # -- backward -----------------------------------------------------------------------------------------------

    def before_backward(self, met: set[str] | None = None) -> None:
        """A backward begins: are the gradients of the previous step still there?"""
        self.met = met
        if not self.backwards:
            self.optimizers.note_unused()
        for held in self.optimizers.held:
            if not held.cleared and held.optimizer() is not None and self.optimizers.gradients_are_clear(held):
                held.cleared = True
        self._closures()

    def _closures(self) -> None:
        """Inside of a step that calls its closure again: are the gradients of the evaluation before still there?"""
        self.in_step = [h for h in self.optimizers.held if h.depth and h.closure and h.optimizer() is not None]
        self.again = [h.info.index for h in self.in_step if h.backwards_inside]
        clear = self.optimizers.gradients_are_clear
        self.carried = [h.info.index for h in self.in_step if h.backwards_inside and not clear(h, in_step=True)]
        for held in self.in_step:
            held.backwards_inside += 1

    def after_backward(self, location: Location | None, value: float | None, reached: list[int] | None, leaf: bool,
                       site: str) -> None:  # fmt: skip
        """A backward is done; `reached` are the parameters that its graph led to (None: not looked at)."""
        self.backwards += 1
        self.stepped_since_backward = False
        self.backward_location = location
        self.backward_sites[location] = self.backward_sites.get(location, 0) + 1
        self.epochs.passed(location)
        for held in self.optimizers.held:
            if held.optimizer() is None:
                continue
            held.backwards += 1
            held.lively.update(reached or ())
            if reached is None or set(reached).intersection(held.indices):
                held.pending = True
                held.last = "backward"
                if self.met is not None:
                    held.scaled = bool(held.scaled) or "scaled" in self.met
        optimizers = (
            None if reached is None
            else [h.info.index for h in self.optimizers.held if set(reached).intersection(h.indices)]
        )  # fmt: skip
        if optimizers:
            self.reached[frozenset(optimizers)] += 1
        graph: dict[str, Any] = {}
        if self.in_step:
            graph = {"in_step": [h.info.index for h in self.in_step], "again": self.again, "carried": self.carried}
        if self.met is not None and self.in_step:
            graph["repeated"] = "repeated" in self.met
        if self.met is not None:
            graph["old_graphs"] = "old" in self.met
        self.record(
            "backward", -1, location, value=value, leaf=leaf, site=site,
            parameters=None if reached is None else len(reached), optimizers=optimizers, **graph,
        )  # fmt: skip

    # -- optimizer ----------------------------------------------------------------------------------------------

    def before_step(self, held: Held, gradients: int, closure: bool) -> dict[str, Any]:
        """The facts about the gradients that a step is about to use."""
        held.backwards_inside = 0
        fresh = held.cleared or self.optimizers.gradients_are_clear(held)
        held.scaled_at_step = held.scaled
        bare = held.scaled and not (self.in_scaler or self.scale_read or held.info.index in self.unscaled)
        return {
            "fresh": fresh,
            "gradients": gradients if gradients >= 0 else None,
            "parameters": len(set(held.indices)),
            "backwards": held.backwards,
            "closure": closure,
            "last": held.last,
            **({} if held.scaled is None else {"scaled": bool(bare) and self.scale != 1.0, "scale": self.scale}),
        }

    def after_step(self, held: Held, location: Location | None, data: dict[str, Any]) -> None:
        """An optimizer stepped."""
        if held.closure:
            data |= {"backwards_inside": held.backwards_inside, "last_inside": held.last}
            data["evaluations"] = self.optimizers.evaluations(held)
        self.record("step", held.info.index, location, **data)
        held.cleared = False
        held.pending = False
        held.backwards = 0
        held.last = "step"
        held.scaled = None
        self.optimizers.remember_addresses(held)
        self.stepped_since_backward = True
        self.unscaled.discard(held.info.index)

    def zero_grad(self, optimizer: Optimizer | None, module: torch.nn.Module | None, location: Location | None) -> None:
        """``zero_grad`` of an optimizer or of a module."""
        if optimizer is not None:
            cleared = whole = [self.optimizers.of(optimizer)]
        else:
            ids = {self.discovery.parameter_index(p) for p in module.parameters()} if module is not None else set()
            cleared = [h for h in self.optimizers.held if ids.intersection(h.indices)]
            whole = [h for h in cleared if not self.optimizers.looks_outside(h, ids)]
        self.record(
            "zero_grad", cleared[0].info.index if optimizer is not None and cleared else -1, location,
            optimizer=cleared[0].info.index if optimizer is not None and cleared else -1,
            optimizers=[h.info.index for h in cleared], whole=[h.info.index for h in whole],
            pending=any(h.pending for h in cleared), read=self.gradients_read,
        )  # fmt: skip
        self.gradients_read = False
        for held in cleared:
            held.cleared = held.cleared or held in whole  # of a part, the rest shows at the next backward
            held.pending = False
            held.last = "zero_grad"

    # -- clipping and scaling -----------------------------------------------------------------------------------

    def clipped(self, parameters: Any, norm: float | None, limit: float, location: Location | None) -> None:
        """Gradients were clipped; `norm` is the total before (None when clipped by value)."""
        tensors = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters or ())
        indices = {self.discovery.parameter_index(p) for p in tensors}
        touched = [h for h in self.optimizers.held if indices.intersection(h.indices)]
        scaled = self.scale is not None and self.scale != 1.0 and not any(
            h.info.index in self.unscaled for h in touched
        )  # fmt: skip
        self.gradients_read = True  # their norm is told
        self.record(
            "clip", touched[0].info.index if touched else -1, location, norm=norm, max_norm=limit, scaled=scaled,
            after_step=self.stepped_since_backward, parameters=len(tensors), scale=self.scale,
        )  # fmt: skip
        for held in touched:
            held.last = "clip"

    def scaled(self, scale: float) -> None:
        """A loss was multiplied by the scaler's scale."""
        self.scale = scale
        self.unscaled.clear()

    def unscale(self, optimizer: Optimizer, location: Location | None) -> None:
        """``scaler.unscale_`` was called by the user."""
        held = self.optimizers.of(optimizer)
        self.unscaled.add(held.info.index)
        self.record("unscale", held.info.index, location)

    def scaler_step(self, optimizer: Optimizer, stepped: bool, scale: float, location: Location | None) -> None:
        """``scaler.step`` returned; the optimizer stepped or was skipped."""
        held = self.optimizers.of(optimizer)
        self.skipped = not stepped
        given = {} if not stepped or held.scaled_at_step is None else {"loss_scaled": held.scaled_at_step}
        self.record("scaler_step" if stepped else "scaler_skip", held.info.index, location, scale=scale, **given)
        if not stepped:
            held.pending = False
