"""Tensors that want a gradient and that no module registers: the loss reaches them, and perhaps nobody trains them.

``nn.Parameter(…).unsqueeze(0)`` as an attribute is no parameter of its module any more, nor is a parameter in a plain
list. Such a tensor is recorded as a parameter of no model when the loss reached the same one in several rounds and
nothing shows that somebody cares for it: no optimizer holds it, its values stay, nobody reads its gradient, nobody
differentiates with respect to it, and it is no input of a model.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.optim import Optimizer

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.graph import behind_views, leaves_of, nodes_of
from flightcheck.adapters.torch.kept_gradients import KeptGradients
from flightcheck.adapters.torch.pieces import pieces
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording import provenance
from flightcheck.recording.records import Location

_ROUNDS: Final = 4
"""Rounds in which the same tensor must be reached: a perturbation or a state that is made anew is none."""
_MOST: Final = 64
_ATTRIBUTE_NODES: Final = 16
"""Nodes behind an attribute: ``nn.Parameter(…).to(device).unsqueeze(0) * 0.02`` has four."""


@dataclass
class _Leaf:
    """One such tensor."""

    tensor: weakref.ref[torch.Tensor]
    values: tuple[float, float]
    name: str
    location: Location | None
    used: bool
    """What the model computes with is the tensor itself or a view of it, so that an update would reach it."""
    last_round: int
    rounds: int = 1
    cared_for: bool = False
    recorded: bool = False


class LooseLeaves:
    """Found in the learning pass, judged at the end."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self.kept = KeptGradients(watch)
        self._leaves: dict[int, _Leaf] = {}
        self._theirs: set[int] = set()
        """Ids of tensors that were seen as somebody's: given to a model, differentiated by, with a gradient read."""

    def care(self, *values: Any) -> None:
        """Somebody gives these tensors to a model, differentiates by them or reads their gradients."""
        for t in _tensors_in(values):
            if t.requires_grad and t.is_leaf and self.discovery.parameter_index(t) is None:
                self._theirs.add(id(t))
                known = self._leaves.get(id(t))
                if known is not None and known.tensor() is t:
                    known.cared_for = True

    def reached(self, loss: torch.Tensor, leaves: Iterable[torch.Tensor], lines: dict[Any, Location]) -> None:
        """The graph of a loss reached these leaves."""
        self.kept.used(self.unheld(leaves))
        if len(self._leaves) >= _MOST:
            self._leaves = {k: v for k, v in self._leaves.items() if v.tensor() is not None}
        found = [t for t in leaves if self.discovery.parameter_index(t) is None and t.is_floating_point()]
        attributes, registered = None, set[int]()
        for t in found:
            known = self._leaves.get(id(t))
            if known is not None and known.tensor() is t:
                known.rounds += known.last_round != self.watch.step
                known.last_round = self.watch.step
            elif len(self._leaves) < _MOST and id(t) not in self._theirs and t.layout is torch.strided:
                if attributes is None:
                    attributes = self._attributes()
                    registered = {id(p) for m in self._modules() for p in m._parameters.values()}
                if id(t) not in registered:
                    self._note(t, loss, lines, attributes)
        self._theirs.clear()
        if self._leaves:
            self.check()

    def _note(self, t: torch.Tensor, loss: torch.Tensor, lines: dict[Any, Location], attributes: Any) -> None:
        owner, name, held = attributes.get(id(t), (None, "", None))
        if owner is None and not isinstance(t, nn.Parameter):
            return
        location = self._written(owner, name) if owner is not None else None
        used = held is None or held is t or held.untyped_storage().data_ptr() == t.untyped_storage().data_ptr()
        label = f"{type(owner).__name__}.{name}" if owner is not None else ""
        line = location or _line(t, loss, lines)
        self._leaves[id(t)] = _Leaf(weakref.ref(t), _values(t), label, line, used, self.watch.step)

    def _modules(self) -> Iterator[nn.Module]:
        yield from (m for m in self.discovery.built if isinstance(m, nn.Module))
        yield from (m for r in list(self.discovery.roots.values()) if (m := r.module()) is not None)

    def _attributes(self) -> dict[int, tuple[nn.Module, str, torch.Tensor]]:
        """Leaves behind plain attributes of modules → module, attribute, and the tensor that it holds."""
        found: dict[int, tuple[nn.Module, str, torch.Tensor]] = {}
        for module in self._modules():
            for name, value in list(vars(module).items()):
                if name in ("_parameters", "_buffers", "_modules") or name.endswith("_hooks"):
                    continue
                if isinstance(value, (torch.Tensor, list, tuple, dict)):
                    for t in _tensors_in(value):
                        for leaf in leaves_of(t, _ATTRIBUTE_NODES):
                            found.setdefault(id(leaf), (module, name, t))
        return found

    def _written(self, owner: nn.Module, name: str) -> Location | None:
        """The line that assigns to the attribute."""
        for kind in type(owner).__mro__:
            code = getattr(vars(kind).get("__init__"), "__code__", None)
            if code is not None and self.watch.lines.is_user(code.co_filename):
                where = provenance.attribute_write(code.co_filename, kind.__name__, name)
                if where is not None:
                    return self.watch.lines.of(*where)
        return None

    def untrained(self, rounds: int = _ROUNDS) -> list[tuple[torch.Tensor, _Leaf]]:
        """Those that live, were reached in so many rounds and that nobody cares for."""
        alive = [(t, leaf) for leaf in self._leaves.values() if (t := leaf.tensor()) is not None]
        held = {id(p) for o in self._optimizers() for g in o.param_groups for p in g["params"]} if alive else set()
        return [
            (t, leaf)
            for t, leaf in alive
            if leaf.rounds >= rounds and not leaf.cared_for and id(t) not in held and _values(t) == leaf.values
        ]

    def unheld(self, leaves: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Those that no optimizer holds."""
        held = {id(p) for o in self._optimizers() for g in o.param_groups for p in g["params"]}
        return [t for t in leaves if id(t) not in held]

    def _optimizers(self) -> list[Optimizer]:
        return [o for o in self.discovery.built if isinstance(o, Optimizer)]

    def check(self) -> None:
        """Record those that nobody cares for as parameters of no model, and take back what was recorded too early.

        Called again and again: at the end of the training they may be gone.
        """
        for n, (t, leaf) in enumerate(self.untrained()):
            self.discovery.loose(t, leaf.name or f"tensor {n}", leaf.location)
            leaf.recorded = True
        for leaf in self._leaves.values():
            known = leaf.tensor()
            if known is not None and leaf.recorded and (leaf.cared_for or _values(known) != leaf.values):
                leaf.recorded, leaf.cared_for = False, True
                self.discovery.not_loose(known)


def _tensors_in(value: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)) and depth < 3:
        for v in list(value.values() if isinstance(value, dict) else value)[:_MOST]:
            yield from _tensors_in(v, depth + 1)


def _values(t: torch.Tensor) -> tuple[float, float]:
    if not is_plain_tensor(t):
        return 0.0, 0.0
    total = squares = 0.0
    for piece in pieces(t.detach()):
        values = piece.double()
        total, squares = total + float(values.sum()), squares + float(values.square().sum())
    return total, squares


def _line(t: torch.Tensor, loss: torch.Tensor, lines: dict[Any, Location]) -> Location | None:
    """The line of the first operation on the tensor, of this round."""
    first = None
    for node in nodes_of(loss.grad_fn):
        if any(getattr(n, "variable", None) is t for n, _ in node.next_functions if n is not None):
            first = lines.get(node) or lines.get(behind_views(node)) or first
    return first
