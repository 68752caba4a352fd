"""Losses that are multiplied by trained numbers: what else in the loss holds these numbers?"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import VIEWS, behind_views
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.learned_weights import LearnedWeights
from flightcheck.recording.records import Location

PRODUCTS: Final = {"mul", "__mul__", "__rmul__", "multiply"}
QUOTIENTS: Final = {"div", "__truediv__", "true_divide", "divide"}
_LEAF: Final = "torch::autograd::AccumulateGrad"
_ELEMENTWISE: Final = (
    "ExpBackward", "NegBackward", "SoftplusBackward", "SigmoidBackward", "SoftmaxBackward", "ReciprocalBackward",
    "PowBackward", "MulBackward", "DivBackward", "AddBackward", "SubBackward", "SqrtBackward", "SquareBackward",
    "AbsBackward", "ClampBackward", "LogBackward", "Exp2Backward", "RsqrtBackward", "SumBackward", "MeanBackward",
    "StackBackward", "CatBackward", "Log1PBackward", "ReluBackward",
)  # fmt: skip
_STACKS: Final = ("StackBackward0", "CatBackward0")
"""What makes several losses one tensor; other vectors are outputs of a model."""
_MOST_NUMBERS: Final = 32
"""Losses that are weighted in one line."""
_MOST_WALKED: Final = 64
_MOST_REACHED: Final = 4000
_MOST_LINES: Final = 8
_MOST_PASSES: Final = 32


@dataclasses.dataclass(frozen=True)
class _Product:
    """A product of this round."""

    location: Location
    quotient: bool
    argument: int
    weights: torch.Tensor
    result: torch.Tensor
    parameters: list[int]


class LossWeights:
    """Told of products, and of the terms on which backward is called."""

    def __init__(self, watch: Watch, parameter_index: Callable[[torch.Tensor], int | None]) -> None:
        self.watch = watch
        self._index = parameter_index
        self._products: dict[Any, _Product] = {}
        self._found: dict[tuple[Location, int, int], LearnedWeights] = {}
        """By line, factor, and number among the products of this line in one loss."""

    def look(self, name: str, args: Any, result: torch.Tensor) -> None:
        """A product or quotient was computed."""
        found = weights_among(name, args)
        line = self.watch.lines.here() if found is not None else None
        if found is None or line is None:
            return
        argument, leaves = found
        indices = sorted({i for leaf in leaves if (i := self._index(leaf)) is not None})
        if indices:
            weights = args[argument].detach().clone()
            self._products[result.grad_fn] = _Product(
                line, name in QUOTIENTS, argument, weights, result.detach(), indices
            )

    def total(self, terms: Iterable[tuple[Any, float | None]], loss: torch.Tensor | None = None) -> None:
        """Backward is called on a loss: the nodes of its terms, with their constant factors; and the loss, if no scaler
        multiplied it.
        """
        if not (self._products or self._found):
            return
        nodes = list(terms)
        known = {i for p in self._products.values() for i in p.parameters}
        known.update(i for found in self._found.values() for i in found.parameters)
        held = {i for node, _ in nodes if node not in self._products for i in self._reached(node, known)}
        of_line = Counter[tuple[Location, int]]()
        for node, factor in nodes:
            product = self._products.get(node)
            if product is not None and factor is not None and factor > 0 and self.watch.reads(product.weights):
                place = product.location, product.argument
                self._note(product, (*place, of_line[place]))
                of_line[place] += 1
        for key, found in self._found.items():
            if held.intersection(found.parameters):
                self._found[key] = dataclasses.replace(found, held=found.held + 1)
        if loss is not None and self.watch.reads(loss):
            self._rest(nodes, float(loss.detach()), known)

    def _rest(self, nodes: list[tuple[Any, float | None]], value: float, known: set[int]) -> None:
        """What the loss holds beside the products, where that is made of their parameters alone."""
        factors = {n: f for n, f in nodes if n in self._products and f is not None}
        others = [n for n, _ in nodes if n not in factors]
        if not factors or not others or not all(self._of_these_alone(n, known) for n in others):
            return
        rest = value - sum(f * float(self._products[n].result.sum()) for n, f in factors.items())
        for key in {(self._products[n].location, self._products[n].argument) for n in factors}:
            first = (*key, 0)
            found = self._found.get(first)
            if found is not None and len(found.rest) < found.backwards:
                self._found[first] = dataclasses.replace(found, rest=[*found.rest, rest])

    def _of_these_alone(self, node: Any, known: set[int]) -> bool:
        leaves = _leaves_of(node)
        return bool(leaves) and all(self._index(leaf) in known for leaf in leaves or ())

    def _reached(self, start: Any, known: set[int]) -> set[int]:
        """Which of these parameters a term is made of, in whatever way; all of them where it is too large to tell."""
        reached: set[int] = set()
        todo, seen = [start], {start}
        while todo:
            node = todo.pop()
            if node.name() == _LEAF and (index := self._index(node.variable)) in known:
                reached.add(index)
            following = [n for n, _ in node.next_functions if n is not None and n not in seen]
            seen.update(following)
            todo += following
            if len(seen) > _MOST_REACHED:
                return known
        return reached

    def _note(self, product: _Product, key: tuple[Location, int, int]) -> None:
        known = self._found.get(key)
        if known is None and len(self._found) >= _MOST_LINES:
            return
        known = known or LearnedWeights(
            product.location, product.quotient, product.argument, product.parameters, self.watch.step
        )
        if known.backwards < _MOST_PASSES:
            values = [*known.values, product.weights.flatten().tolist()]
            self._found[key] = dataclasses.replace(known, backwards=known.backwards + 1, values=values)

    def end_round(self) -> None:
        """Forget the products of this round."""
        self._products.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._found.values()):
            self.watch.writer.put(found, i)


def weights_among(name: str, args: Any) -> tuple[int, list[torch.Tensor]] | None:
    """Of two factors that are a few numbers each: the one that parameters alone make, and these; None for others."""
    if name not in PRODUCTS | QUOTIENTS or len(args) < 2:
        return None
    if not all(isinstance(a, torch.Tensor) and is_plain_tensor(a) and a.requires_grad for a in args[:2]):
        return None
    if any(a.dim() > 1 or a.numel() > _MOST_NUMBERS for a in args[:2]):
        return None
    made = [parameters_behind(a) for a in args[:2]]
    if (made[0] is None) == (made[1] is None):
        return None
    argument = 1 if made[0] is None else 0
    leaves, losses = made[argument], args[1 - argument]
    stacked = losses.numel() == 1 or behind_views(losses.grad_fn).name() in _STACKS
    return (argument, leaves) if leaves and stacked and (name in PRODUCTS or argument == 1) else None


def parameters_behind(tensor: torch.Tensor) -> list[torch.Tensor] | None:
    """The parameters of which elementwise arithmetic made a few numbers; None if anything else lies behind them."""
    if tensor.grad_fn is not None:
        return _leaves_of(tensor.grad_fn)
    return [tensor] if tensor.numel() <= _MOST_NUMBERS else None


def _leaves_of(start: Any) -> list[torch.Tensor] | None:
    leaves: dict[int, torch.Tensor] = {}
    todo, seen = [start], {start}
    while todo:
        node = todo.pop()
        if node.name() == _LEAF:
            leaf = node.variable
            if leaf.numel() > _MOST_NUMBERS:
                return None
            leaves[id(leaf)] = leaf
            continue
        if not (node.name().startswith(_ELEMENTWISE) or node.name() in VIEWS) or len(seen) > _MOST_WALKED:
            return None
        following = [n for n, _ in node.next_functions if n is not None and n not in seen]
        seen.update(following)
        todo += following
    return list(leaves.values())
