"""What a loss is put together from: the terms behind the value on which backward is called, and their factors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import VIEWS
from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor
from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.records import Location

_PRODUCTS: Final = {"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__"}
_QUOTIENTS: Final = {"div", "__truediv__", "true_divide", "divide", "div_", "__itruediv__"}
_REDUCTIONS: Final = {"mean", "sum"}
_OVER_AXES: Final = ("MeanBackward1", "SumBackward1")
_PASSED_OVER: Final = VIEWS | {"StackBackward0", "CatBackward0", "MeanBackward0", "SumBackward0", "GatherBackward0"}
_OF_PARAMETERS: Final = (
    "torch::autograd::AccumulateGrad", "PowBackward", "AbsBackward", "LinalgVectorNormBackward", "NormBackward",
    "SumBackward", "MeanBackward", "MulBackward", "AddBackward", "SubBackward", "NegBackward", "DivBackward",
    "SqrtBackward", "StackBackward", "CatBackward",
)  # fmt: skip
"""Nodes of a weight penalty. A product counts only where both factors have gradients, or one is a number."""
_MOST_TERMS: Final = 32
_MOST_WALKED: Final = 400
_MOST_IN_A_CHAIN: Final = 8
_MOST_PENALTY_NODES: Final = 4000
_MOST_RECORDS: Final = 600


@dataclass(frozen=True)
class _Path:
    """What lies between the total and a node."""

    coefficient: float | None = 1.0
    summed: tuple[int, ...] = ()
    averaged: tuple[int, ...] = ()
    negated: Location | None = None
    weighted: Location | None = None
    reduced: Any = None
    """The node that made a number of the term's elements, with its factor."""
    reduced_coefficient: float | None = None
    weights: tuple[int, ...] = ()
    """Shape of unequal numbers that multiplied the term when it was one number already, and were added up then."""
    weights_line: Location | None = None

    def times(self, factor: float | None) -> _Path:
        known = self.coefficient is not None and factor is not None
        return replace(self, coefficient=self.coefficient * factor if known else None)  # type: ignore[operator]


@dataclass(frozen=True)
class TermNode:
    """One term of a loss, as long as its graph is there."""

    node: Any
    reduced: Any
    """The node of the mean or sum that made a number of it, None without one."""
    location: Location | None
    of_loss: bool
    """A loss function of the framework made it."""


class LossTerms:
    """Remembers the constant factors of this round's graph, and writes the terms of a loss."""

    def __init__(
        self,
        watch: Watch,
        passed: Callable[[Any], None] = lambda node: None,
        total: Callable[[list[tuple[Any, float | None]], torch.Tensor | None], None] = lambda terms, loss: None,
    ) -> None:
        self.watch = watch
        self._total = total
        """Told the terms of each loss, with their constant factors."""
        self._passed = passed
        """Told each node of a loss down to its terms."""
        self.sites: dict[Any, int] = {}
        """Node → loss site that returned it, this round."""
        self.at_backward: Callable[[torch.Tensor, list[TermNode]], None] | None = None
        """Told a loss and its terms, before the backward."""
        self._factors: dict[Any, float] = {}
        self._reduced: dict[Any, tuple[str, tuple[int, ...]]] = {}
        self._alphas: dict[Any, float | None] = {}
        """Sums with a factor of their own (``torch.add(a, b, alpha=…)``)."""
        self._shares: dict[Any, float] = {}
        """Means over some axes: the factor of each element."""
        self._values: dict[Any, torch.Tensor] = {}
        self._weighted: dict[Any, tuple[int, ...]] = {}
        """Products of one number that the loss made and unequal numbers without a graph: their shape."""
        self.backwards = 0
        """Backward passes whose terms were looked for."""
        self._records = 0

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self.sites.clear()
        self._factors.clear()
        self._reduced.clear()
        self._alphas.clear()
        self._shares.clear()
        self._weighted.clear()
        self._values.clear()

    def note(self, name: str, args: Any, kwargs: Any, result: torch.Tensor, node: Any) -> None:
        """The user's code computed `result`: keep what the graph itself does not tell without unpacking tensors."""
        if hands_off():  # a trace would record that the size of a result was asked for
            return
        if name in _PRODUCTS or name in _QUOTIENTS:
            numbers = [n for a in args[:2] if (n := _number(a)) is not None]
            if len(numbers) == 1 and not kwargs:
                number = numbers[0]
                if name in _PRODUCTS:
                    self._factors[node] = number
                elif number and _number(args[1]) is not None:
                    self._factors[node] = 1 / number
            elif not numbers and name in _PRODUCTS and (shape := self._unequal(args[:2])):
                self._weighted[node] = shape
        elif name in _REDUCTIONS and args and isinstance(args[0], torch.Tensor):
            self._reduced[node] = (name, tuple(args[0].shape))
            self._shares[node] = result.numel() / max(1, args[0].numel()) if name == "mean" else 1.0
        elif "alpha" in kwargs:
            self._alphas[node] = _number(kwargs["alpha"])
        if type(result) is torch.Tensor and result.numel() == 1:
            self._values[node] = result.detach()

    def result_of(self, site: int, result: torch.Tensor) -> None:
        """A loss function of the framework returned `result`."""
        if type(result) is torch.Tensor and result.grad_fn is not None:
            self.sites[result.grad_fn] = site
            self._values[result.grad_fn] = result.detach()

    def write(self, loss: torch.Tensor, location: Location | None, scale: float | None, lines: dict[Any, Any]) -> None:
        """Backward is called on `loss`: record its terms."""
        self.backwards += 1
        if loss.grad_fn is None or loss.numel() != 1:
            return
        terms = self._terms(loss.grad_fn, _Path(1 / scale if scale else 1.0), lines)
        self._total([(node, path.coefficient) for node, path in terms], None if scale else loss)
        if self.at_backward is not None:
            self.at_backward(loss, [self._told(node, path, lines) for node, path in terms])
        for node, path in terms if self._records < _MOST_RECORDS else []:
            value = self._values.get(node)
            self._records += 1
            self.watch.writer.append(
                LossTerm(
                    step=self.watch.step,
                    backward=self.backwards,
                    backward_location=location,
                    operation=node.name(),
                    location=self._line(node, path, lines),
                    site=self.sites.get(node, -1),
                    coefficient=path.coefficient,
                    value=self.value_of(node),
                    numel=int(value.numel()) if value is not None else math.prod(path.summed or path.averaged),
                    summed=list(path.summed),
                    averaged=list(path.averaged),
                    penalty=node not in self.sites and self._of_parameters(node),
                    amount=self._amount(node, path),
                    negated_location=path.negated,
                    weight_location=path.weighted,
                    weights_after=list(path.weights) if self._was_one_number(node, path) else [],
                    weights_location=path.weights_line,
                )
            )

    def _line(self, node: Any, path: _Path, lines: dict[Any, Any]) -> Location | None:
        found: Location | None = lines.get(node if node in self.sites else path.reduced) or lines.get(node)
        return found

    def _told(self, node: Any, path: _Path, lines: dict[Any, Any]) -> TermNode:
        return TermNode(node, path.reduced, self._line(node, path, lines), node in self.sites)

    def value_of(self, node: Any) -> float | None:
        """The value of a term, or the mean of its elements, where it was seen in this round."""
        value = self._values.get(node)
        return None if value is None else float(value.float().mean())

    def _amount(self, node: Any, path: _Path) -> float | None:
        number, factor = self._values.get(node), path.coefficient
        if path.reduced is not None:
            number, factor = self._values.get(path.reduced), path.reduced_coefficient
        return None if number is None or number.numel() != 1 or factor is None else factor * float(number)

    def _terms(self, start: Any, path: _Path, lines: dict[Any, Any]) -> list[tuple[Any, _Path]]:
        """The nodes at which the walk through sums and constant factors ends."""
        found: list[tuple[Any, _Path]] = []
        todo = [(start, path)]
        for _ in range(_MOST_WALKED):
            if not todo or len(found) >= _MOST_TERMS:
                break
            node, here = todo.pop()
            self._passed(node)
            onward = None if node in self.sites else self._behind(node, here, lines)
            if onward is None:
                found.append((node, here))
            else:
                todo.extend(reversed(onward))
        return found

    def _behind(self, node: Any, path: _Path, lines: dict[Any, Any]) -> list[tuple[Any, _Path]] | None:
        """The nodes that a linear node adds up, each with its path; None where the node is a term itself."""
        name = node.name()
        inputs = [n for n, _ in node.next_functions]
        there = [n for n in inputs if n is not None]
        if not there or any(n.name() == "torch::autograd::AccumulateGrad" for n in there):
            return None
        if name.startswith("NegBackward"):
            return [(there[0], self._negated(path, lines.get(node)))]
        if name.startswith(("AddBackward", "SubBackward", "RsubBackward")):
            alpha = self._alphas.get(node, 1.0)
            if alpha is None or len(inputs) > 2 or (alpha != 1 and name.startswith("Rsub")):
                return None
            signs = (1, 1) if name.startswith("Add") else (1, -1) if name.startswith("Sub") else (-1, 1)
            second = path if alpha == 1 else replace(path.times(alpha), weighted=lines.get(node))
            signed = [(n, s, p) for n, s, p in zip(inputs, signs, (path, second)) if n is not None]
            return [(n, p if s > 0 else self._negated(p, lines.get(node))) for n, s, p in signed]
        if name.startswith(("MulBackward", "DivBackward")):
            if len(there) != 1 or (name.startswith("Div") and inputs[0] is None):
                return None
            factor = self._factors.get(node)
            if factor is not None and factor < 0:
                path = replace(path, negated=None if path.negated else lines.get(node))
            path = replace(path, weighted=lines.get(node) if factor is not None else path.weighted)
            if node in self._weighted and math.prod(path.summed or path.averaged) > 1:
                path = replace(path, weights=self._weighted[node], weights_line=lines.get(node), summed=(), averaged=())
            return [(there[0], path.times(factor))]
        if name in ("MeanBackward0", "SumBackward0"):
            kind, shape = self._reduced.get(node, ("", ()))
            path = replace(path, reduced=node, reduced_coefficient=path.coefficient)
            if kind == "mean":
                return [(there[0], replace(path.times(1 / max(1, math.prod(shape))), averaged=shape))]
            return [(there[0], replace(path, summed=shape))]
        if name in _OVER_AXES and node in self._shares and self._leads_to_loss(node):
            return [(there[0], path.times(self._shares[node]))]
        return [(n, path) for n in there] if name in _PASSED_OVER else None

    def _unequal(self, factors: Any) -> tuple[int, ...]:
        """The shape of the other factor of one number with a graph; empty if they are no such pair."""
        for one, other in (factors, factors[::-1]):
            if not (isinstance(one, torch.Tensor) and type(other) is torch.Tensor and one.numel() == 1):
                continue
            if not one.requires_grad or one.grad_fn is None or other.requires_grad or other.numel() < 2:
                continue
            if is_plain_tensor(other) and self.watch.reads(other) and bool((other != other.reshape(-1)[0]).any()):
                return tuple(other.shape)
        return ()

    def _was_one_number(self, node: Any, path: _Path) -> bool:
        """A loss function, a mean or a sum made one number of many behind the weights."""
        return bool(path.weights) and (node in self.sites or math.prod(path.summed or path.averaged) > 1)

    def _leads_to_loss(self, node: Any) -> bool:
        """Elements of a loss function lie behind it, with nothing but reductions of some axes, views and factors."""
        for _ in range(_MOST_IN_A_CHAIN):
            inputs = [n for n, _ in node.next_functions if n is not None]
            known = node in self._shares or node in self._factors or node.name() in VIEWS
            if len(inputs) != 1 or not (known or node.name().startswith("NegBackward")):
                return False
            node = inputs[0]
            if node in self.sites:
                return True
        return False

    @staticmethod
    def _negated(path: _Path, line: Location | None) -> _Path:
        return replace(path.times(-1.0), negated=None if path.negated else line)

    def _of_parameters(self, start: Any) -> bool:
        """Everything behind the node is made from parameters by elementwise arithmetic and norms."""
        seen, todo = {start}, [start]
        while todo:
            node = todo.pop()
            if not (node.name().startswith(_OF_PARAMETERS) or node.name() in VIEWS) or len(seen) > _MOST_PENALTY_NODES:
                return False
            inputs = [n for n, _ in node.next_functions]
            product = node.name().startswith(("MulBackward", "DivBackward"))
            if product and None in inputs and node not in self._factors:
                return False  # a parameter times data: a model written by hand
            for following in inputs:
                if following is not None and following not in seen:
                    seen.add(following)
                    todo.append(following)
        return True


def _number(value: Any) -> float | None:
    """A factor that is a plain number."""
    if isinstance(value, (bool, int, float)):
        return float(value)
    if (
        type(value) is torch.Tensor
        and is_plain_tensor(value)
        and value.numel() == 1
        and not value.requires_grad
        and value.is_cpu
    ):
        return float(value.detach())
    return None
