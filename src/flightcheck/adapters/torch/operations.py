"""The learning pass's view of single tensor operations: lines of graph nodes, cuts, broadcasts, metrics.

A `TorchFunctionMode` sees every call of PyTorch's Python API. It costs 1–2 µs per call, so it is active in the
learning pass and in the first evaluation phases only (later it looks for losses written by hand, in measured rounds of
a script that has them), and never while a model is evaluated (fused kernels of
PyTorch look whether a mode is active, and would compute in another order).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext

from flightcheck.adapters.torch.agents import Agents
from flightcheck.adapters.torch.attention_masks import OPERATIONS as ATTENTION_OPERATIONS
from flightcheck.adapters.torch.attention_masks import AttentionMasks
from flightcheck.adapters.torch.broadcasts import ELEMENTWISE, Broadcasts
from flightcheck.adapters.torch.clamped_gradients import OPERATIONS as CLAMPS
from flightcheck.adapters.torch.clamped_gradients import ClampedLooks
from flightcheck.adapters.torch.data_digests import Tables
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.dropouts import OPERATIONS as DROPOUTS
from flightcheck.adapters.torch.dropouts import Dropouts
from flightcheck.adapters.torch.dropped_losses import DroppedLosses
from flightcheck.adapters.torch.embedding_rows import RowsRead
from flightcheck.adapters.torch.episode_ends import EpisodeEnds
from flightcheck.adapters.torch.fresh_states import LAYERS, FreshStates
from flightcheck.adapters.torch.graph import FLAT, behind_views, node_of
from flightcheck.adapters.torch.graph_cuts import GraphCuts
from flightcheck.adapters.torch.hand_updates import OPERATIONS as UPDATES
from flightcheck.adapters.torch.hand_updates import HandUpdates
from flightcheck.adapters.torch.handmade_dropouts import DRAWS, HandmadeDropouts
from flightcheck.adapters.torch.handmade_losses import OPERATIONS as LOSS_OPERATIONS
from flightcheck.adapters.torch.handmade_losses import HandmadeLosses
from flightcheck.adapters.torch.learned_weights import PRODUCTS, QUOTIENTS, LossWeights
from flightcheck.adapters.torch.looks import DigitLooks, MaskLooks, RowLooks, ScoreLooks
from flightcheck.adapters.torch.loose_terms import LooseTerms
from flightcheck.adapters.torch.metrics import DIFFERENCES, Metrics
from flightcheck.adapters.torch.mode_stack import arrange, modes
from flightcheck.adapters.torch.padded_outputs import PaddedOutputs, PaddedReads
from flightcheck.adapters.torch.random_draws import RandomDraws
from flightcheck.adapters.torch.repeated_softmaxes import NORMALIZATIONS, RepeatedSoftmaxes
from flightcheck.adapters.torch.repeated_states import RepeatedStates
from flightcheck.adapters.torch.reshapes import LOOKED_AT as LAYOUT_OPERATIONS
from flightcheck.adapters.torch.reshapes import Reshapes
from flightcheck.adapters.torch.row_slices import Slices
from flightcheck.adapters.torch.shifts import CutIds, Embedded
from flightcheck.adapters.torch.state_cuts import CELLS, StateCuts
from flightcheck.adapters.torch.stored_states import StoredStates
from flightcheck.adapters.torch.terms import LossTerms
from flightcheck.adapters.torch.watch import Watch, is_unreadable
from flightcheck.recording.records import Location

_CUTS: Final = {
    "detach": "detach", "detach_": "detach", "numpy": "numpy", "item": "item", "tolist": "item", "tensor": "tensor",
    "as_tensor": "tensor", "argmax": "integer", "long": "integer", "int": "integer", "__float__": "item",
    **dict.fromkeys(FLAT, "round"),
    "__array__": "numpy",
}  # fmt: skip
_ACTIVATIONS: Final = {
    "relu": "ReLU", "relu_": "ReLU", "sigmoid": "Sigmoid", "sigmoid_": "Sigmoid", "tanh": "Tanh", "tanh_": "Tanh",
    "leaky_relu": "LeakyReLU", "gelu": "GELU", "silu": "SiLU", "elu": "ELU",
}  # fmt: skip
_WEIGHTINGS: Final = PRODUCTS | QUOTIENTS
_THRESHOLDS: Final = {"gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__"}
_METRICS: Final = {"argmax", "topk", "eq", "__eq__", "ne", "max"}
_EQUALITIES: Final = {"eq", "__eq__"}
_IN_PLACE_FILLS: Final = {
    "fill_", "zero_", "copy_", "normal_", "uniform_", "trunc_normal_", "constant_", "zeros_", "ones_", "mul_", "div_",
    "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_", "eye_",
}  # fmt: skip
_DRAWS: Final = {n for n in _IN_PLACE_FILLS if re.search("normal|uniform|orthogonal", n)}
_SCALINGS: Final = {"mul_", "div_"}
_MOST_PLACES: Final = 16
"""Lines at which evaluations begin."""
_MOST_PADDINGS: Final = 8


class Operations(TorchFunctionMode):
    """Sees the user's tensor operations while it is on the stack."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        super().__init__()
        self.watch = watch
        self.discovery = discovery
        self.loose = LooseTerms(watch, discovery.parameter_index)
        self.agents = Agents(watch, self.loose.follows)
        self.learned = LossWeights(watch, discovery.parameter_index)
        self.terms = LossTerms(watch, self.loose.entered, self.learned.total)
        self.lines: dict[Any, Location] = {}
        """Node → line of this round; emptied when the round ends, so that no graph outlives its use."""
        self.owners: dict[Any, int] = {}
        """Node → innermost module that returned it, this round."""
        self.parts: dict[Any, int] = {}
        """The same of the tensors that it returned beside the first one."""
        self.by_hand = HandmadeLosses(watch, self.owners)
        self.modules: list[Any] = []
        """Modules being called, outermost first (learning pass)."""
        self.with_grad: list[bool] = []
        """Whether gradients were enabled when each of them was called."""
        self.metrics = 0
        self.comparisons = Metrics(watch)
        self.masks = AttentionMasks(watch)
        self.compared: Callable[[Any, Any], None] = lambda one, other: None
        """Told the two sides of every comparison without gradients."""
        self.gradient_read: Callable[[torch.Tensor, FrameType], None] = lambda tensor, by: None
        """Told the tensors whose ``grad`` is read, and who reads it."""
        self.filled: Callable[[Any], None] | None = None
        """While somebody asks for it: told the tensors that are filled with random numbers in place."""
        self.looked: Callable[[str, Any, Any, Any], None] = lambda name, args, kwargs, result: None
        """Told every operation that is looked at."""
        self.embedded, self.cut_ids, self.slices, self.padded = Embedded(), CutIds(), Slices(watch), PaddedOutputs()
        self.padded_reads, self.state_cuts, self.fresh_states, self.repeated_states = (
            PaddedReads(self.padded), StateCuts(watch), FreshStates(watch, discovery.parameter_index),
            RepeatedStates(watch),
        )  # fmt: skip
        self.rows, self.over_masks = RowLooks(watch), MaskLooks(watch)
        self.scores = ScoreLooks(watch, discovery, lines=self.lines, owners=self.owners, modules=self.modules)
        self.draws, self.dropped, self.reshapes, self.tables = (
            RandomDraws(watch), DroppedLosses(watch), Reshapes(watch), Tables(watch),
        )  # fmt: skip
        self.clamped, self.updates, self.dropouts, self.thinned = (
            ClampedLooks(watch, discovery), HandUpdates(watch), Dropouts(watch, discovery, self.modules),
            HandmadeDropouts(watch),
        )  # fmt: skip
        self.cuts = GraphCuts(
            watch, discovery, modules=self.modules, loose=self.loose, state_cuts=self.state_cuts, draws=self.draws
        )
        self.softmaxes, self.ends = RepeatedSoftmaxes(watch, self.lines, self.owners), EpisodeEnds(watch)
        self.stored, self.rows_read = StoredStates(watch, self.ends.next_state), RowsRead(watch, discovery)
        self.padding_values: set[int] = set()
        """Whole numbers that ``pad_sequence`` filled rows up with."""
        self.active = False
        """The mode is on PyTorch's stack: below those of the user, whose ``with`` takes off what lies on top."""
        self._looked = False
        """It was there since the last round ended: there is something to forget."""
        self.everything = True
        """It looks at all operations, not at losses written by hand alone."""
        self.broadcasts, self.digits = Broadcasts(watch, self.modules), DigitLooks(watch)
        self._evaluated_at: set[Location | None] = set()
        self._served: dict[int, set[int]] = {}
        """Activation module (by identity) → layers whose output it was given."""

    # -- on and off ---------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Start looking."""
        if not self.active and not self.watch.compiled:
            self.active = self._looked = self.watch.function_mode = True
            stack = modes()
            bottom = 1 if stack and isinstance(stack[0], DeviceContext) else 0  # which insists on its place
            arrange([*stack[:bottom], self, *stack[bottom:]])

    def resume_everything(self) -> None:
        """Start looking at all operations."""
        self.everything = True
        self.resume()

    def evaluation_begins(self, location: Location | None, first: bool) -> None:
        """Look at the first evaluations, and at one that begins at a line of its own: a test set is the last."""
        new = location not in self._evaluated_at and len(self._evaluated_at) < _MOST_PLACES
        if first or new:
            self._evaluated_at.add(location)
            self.resume_everything()

    def rest(self) -> None:
        """Stop looking, but for losses written by hand where there are any to be seen."""
        self.everything = False
        self.cut_ids.clear()
        if self.filled is not None or self.by_hand.wanted():
            self.resume()
        else:
            self.suspend()

    def suspend(self) -> bool:
        """Stop looking; False if we did not look, or are inside a call that we look at and cannot be taken off now."""
        if not self.active or self not in (stack := modes()):
            return False
        self.active = self.watch.function_mode = False
        arrange([m for m in stack if m is not self])
        return True

    def forget_graph(self) -> None:
        """Let the nodes go that a backward went through: as keys they keep the graph, and what it saved."""
        self.lines.clear()
        self.owners.clear()
        self.parts.clear()

    def end_round(self) -> None:
        """Forget the graph of this round."""
        if not (self.active or self._looked or self.watch.learning):
            return
        self._looked = self.active
        self.forget_graph()
        self.embedded.clear()
        self.padded.forget()
        for part in (
            self.terms, self.learned, self.loose, self.agents, self.masks, self.by_hand, self.reshapes, self.tables,
            self.state_cuts, self.draws, self.softmaxes, self.dropped, self.dropouts, self.clamped, self.thinned,
            self.fresh_states, self.repeated_states, self.ends, self.stored, self.rows, self.over_masks, self.scores,
        ):  # fmt: skip
            part.end_round()

    # -- looking ------------------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        of_loss = name in LOSS_OPERATIONS
        drawn = self.filled if name in _DRAWS else None
        if (of_loss or self.everything or drawn) and self.watch.mine() and not self.watch.busy:
            try:
                if not torch.is_grad_enabled() and (is_unreadable(result) or (args and is_unreadable(args[0]))):
                    return result
                if self.everything:
                    self._look(func, args, kwargs or {}, result)
                if of_loss:
                    self.by_hand.look(name, args, kwargs or {}, result)
                if drawn is not None:
                    drawn(args[0] if args else (kwargs or {}).get("tensor"))
            except Exception as e:
                self.watch.note_error("operations", e)
        return result

    def _look(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        if torch._C._get_tracing_state() is not None:
            return  # whatever is asked of a tensor here, its sizes included, becomes a part of the traced graph
        name = getattr(func, "__name__", "")
        if self.watch.step == 0 and _freezes(func, name, args, kwargs):
            line = self.watch.lines.here()
            if line is not None:
                self.discovery.note_frozen(args[0], line)
            return
        if self.watch.learning:
            self.rows.look(name, args, kwargs, result)
        if name in LAYOUT_OPERATIONS:
            self.reshapes.look(name, func, args, result, bool(self.modules))
        if name == "__get__":
            self._attribute(getattr(getattr(func, "__self__", None), "__name__", ""), args[0], result)
            self.agents.look(name, args, result)
            return
        if not self.modules:
            self._outside(func, name, args, kwargs, result)
        self._writing(name, args, kwargs)
        self.looked(name, args, kwargs, result)
        if name in _CUTS:
            self.cuts.cut(_CUTS[name], args[0] if args else None, result)
        elif (name in _THRESHOLDS or (name == "max" and isinstance(result, tuple))) and not self.modules:
            self.cuts.decided(name, args[0] if args else None)
        elif not torch.is_grad_enabled() and isinstance(result, torch.Tensor) and result.is_floating_point():
            self.cuts.left(args[0] if args else None, result)
        self._tokens(name, args, kwargs, result)
        self.digits.look(name, args, result, inside=bool(self.modules))
        if self.watch.learning and torch.is_grad_enabled():
            self.over_masks.look(name, args, kwargs, result, self.embedded.ids, inside=bool(self.modules))
        if name in CELLS or name in LAYERS:
            self._recurrent(name, args, result)
        if name in ATTENTION_OPERATIONS:
            self.masks.look(name, args, kwargs)
        self._measured(name, args)
        if name in NORMALIZATIONS:
            self.softmaxes.look(name, args, kwargs, result, bool(self.modules))
        if name in DROPOUTS:
            self.dropouts.look(name, args, kwargs, result)
        if self.watch.learning:
            in_model = self.modules or not self.discovery.roots
            if (name in DRAWS or self.thinned.following) and in_model and torch.is_grad_enabled():
                self.thinned.look(name, args, result)
            self.scores.look(name, args, kwargs, result)
        self.loose.look(name, args, result)
        self.agents.look(name, args, result)
        self.draws.look(args, result)
        self._graph(name, args, kwargs, result)

    def _outside(self, func: Any, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation of the script itself, outside of all models."""
        self.tables.look(name, args, result)
        self.comparisons.look(name, args, kwargs, result)
        if self.watch.learning:
            self.ends.look(name, args, kwargs, result)
        if name in UPDATES:
            self.updates.look(func, name, args)
        if name in CLAMPS:
            self.clamped.look(args, result)

    def _recurrent(self, name: str, args: Any, result: Any) -> None:
        """Where states come from, and where they are cut off."""
        self.repeated_states.look(name, args)
        if name in CELLS and torch.is_grad_enabled():
            self.state_cuts.look(name, args, result)
        if torch.is_grad_enabled() and self.watch.learning:
            self.fresh_states.look(name, args)

    def _measured(self, name: str, args: Any) -> None:
        """Is it a part of a metric? Answers may be compared behind the block in which they were computed."""
        evaluating = not torch.is_grad_enabled()
        if name in _EQUALITIES and len(args) > 1 and (evaluating or not self.modules):
            self.compared(args[0], args[1])
        if name in _METRICS and (evaluating or (args and self.comparisons.is_answer(args[0]))):
            self.metrics += 1
        elif name in DIFFERENCES and evaluating and not self.modules and self.comparisons.is_error(args):
            self.metrics += 1  # an error computed by hand

    def _attribute(self, name: str, tensor: torch.Tensor, result: Any) -> None:
        """An attribute of a tensor is read."""
        if name == "data":
            self.cuts.data_read(tensor, result)
            self.updates.data_read(tensor, result)
        elif name == "grad":
            self.gradient_read(tensor, sys._getframe(3))  # behind _look and the mode

    def _writing(self, name: str, args: Any, kwargs: Any) -> None:
        """Operations in place: initial values, and what is written past the graph."""
        if name in _IN_PLACE_FILLS and self.watch.step == 0:
            target = args[0] if args else kwargs.get("tensor")
            if isinstance(target, torch.Tensor):
                self._note_write(name, target)
        if self.cuts.data is not None and (name == "__setitem__" or (name.endswith("_") and name[-2:] != "__")):
            self.cuts.written_past(args)

    def _tokens(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Ids of tokens, embedded, cut out of longer rows, filled up; and outputs of sequences that are filled up."""
        self.padded.note(name, args, kwargs, result)
        self.embedded.into_layer(name, args, result)
        if self.padded.index_of(name, args) is not None:
            self.padded_reads.look(name, args, self.watch.step, self.watch.lines.here())
        if name == "embedding":
            self.embedded.note(args, kwargs, result)
            if self.watch.learning and torch.is_grad_enabled():
                self.rows_read.look(args, kwargs)
        elif name == "__getitem__" and isinstance(result, torch.Tensor):
            self.slices.cut(args, result)
            if not result.is_floating_point():
                self.cut_ids.note(result, self.watch.lines.here())
        if name == "pad_sequence" and len(self.padding_values) < _MOST_PADDINGS:
            value = args[2] if len(args) > 2 else kwargs.get("padding_value", 0.0)
            if isinstance(value, (int, float)) and float(value).is_integer():
                self.padding_values.add(int(value))

    def _graph(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """The node that an operation adds to the graph, if it adds one."""
        node = node_of(result)
        if node is None:
            return
        line = self.watch.lines.here()
        if line is not None:
            self.lines[node] = line
        self.terms.note(name, args, kwargs, result, node)
        if self.watch.learning and name in _WEIGHTINGS:
            self.learned.look(name, args, result)
        if name in _ACTIVATIONS and args and isinstance(args[0], torch.Tensor):
            self._activation(name, args[0], node)
        elif name in ELEMENTWISE and len(args) > 1:
            self.broadcasts.look(name, args[0], args[1], result, line)

    def _note_write(self, name: str, target: torch.Tensor) -> None:
        line = self.watch.lines.here()
        if line is not None and target.is_floating_point() and target.layout is torch.strided:
            self.discovery.writes.note(target, line)
            if name in _DRAWS:
                self.discovery.drawn.note(target, line)
            elif name not in _SCALINGS and target.nbytes == target.untyped_storage().nbytes():
                self.discovery.drawn.forget(target)

    def _activation(self, name: str, given: torch.Tensor, node: Any) -> None:
        inside = self.modules[-1] if self.modules else None
        source = behind_views(given.grad_fn) if not name.endswith("_") else None
        if source is None and node.next_functions:
            source = behind_views(node.next_functions[0][0])
        owner = self.owners.get(source)
        if owner is None:
            return
        if inside is not None and type(inside).__module__ == "torch.nn.modules.activation":
            # A module of its own speaks for itself, unless one module serves several layers.
            served = self._served.setdefault(id(inside), set())
            served.add(owner)
            owners = served if len(served) > 1 else set()
        else:
            owners = {owner}
        for index in owners:
            self.discovery.followed_by(index, _ACTIVATIONS[name])

    def save(self) -> None:
        """Write what was learnt."""
        self.comparisons.save()
        self.reshapes.save()
        self.loose.save()
        self.learned.save()
        self.masks.save()
        self.broadcasts.save()
        self.digits.save()
        self.state_cuts.save()
        self.draws.save()
        self.softmaxes.save()
        self.ends.save()
        self.stored.save()
        self.rows_read.save()
        self.dropped.save()
        self.dropouts.save()
        self.thinned.save()
        self.clamped.save()
        self.updates.save()
        self.slices.save()
        self.fresh_states.save()
        self.repeated_states.save()
        for i, read in enumerate(self.padded_reads.records()):
            self.watch.writer.put(read, i)
        for part in (self.rows, self.over_masks, self.scores):
            part.save()
        self.cuts.save()


def _freezes(func: Any, name: str, args: Any, kwargs: Any) -> bool:
    """``p.requires_grad = False``, or the method of that name."""
    if name == "__set__":
        return getattr(getattr(func, "__self__", None), "__name__", "") == "requires_grad" and args[1] is False
    return name == "requires_grad_" and (args[1:2] == (False,) or kwargs.get("requires_grad") is False)
