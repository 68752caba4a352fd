"""Losses that a script writes by hand: the mean or sum of squared or absolute differences, and of −log p of classes.

``(output - target).pow(2).mean()`` is recorded as ``mse_loss``, ``(output - target).abs().mean()`` as ``l1_loss``,
``-log_probs[range(n), labels].mean()`` as ``nll_loss``, of ``log_softmax`` or of the logarithm of ``softmax``. The
chain of operations is followed from the line that compares
a prediction with its target; it is a loss once a backward begins behind it: a metric looks the same until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import torch

from flightcheck.adapters.torch.logits import LOG_OF_REST, LOG_P, is_log_of_softmax, part_of_binary
from flightcheck.adapters.torch.loss_chains import LEAF, LONGEST, Chain, HandmadeLoss, loss_of, same_differences
from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor
from flightcheck.recording.records import Location

_DIFFERENCES: Final = {"sub", "subtract", "__sub__", "rsub", "__rsub__"}
_SQUARES: Final = {"pow", "__pow__", "square"}
_SIZES: Final = {"abs", "absolute", "__abs__"}
_PRODUCTS: Final = {"mul", "multiply", "__mul__", "__rmul__"}
_QUOTIENTS: Final = {"div", "divide", "true_divide", "__truediv__"}
_NEGATIONS: Final = {"neg", "negative", "__neg__"}
_REDUCTIONS: Final = {"mean", "sum"}
_CHOICES: Final = {"gather", "take_along_dim", "__getitem__"}
OPERATIONS: Final = frozenset(
    _DIFFERENCES | _SQUARES | _SIZES | _PRODUCTS | _QUOTIENTS | _NEGATIONS | _REDUCTIONS | _CHOICES
)
_RESHAPES: Final = {
    "ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "SqueezeBackward0", "SqueezeBackward1",
    "SqueezeBackward2", "UnsqueezeBackward0", "TransposeBackward0", "PermuteBackward0", "TBackward0", "CloneBackward0",
    "AliasBackward0", "ToCopyBackward0",
}  # fmt: skip
"""Nodes that keep every element, once."""
_OF_A_PREDICTION: Final = {
    f"{name}Backward"
    for name in (
        "Sigmoid", "Tanh", "Relu", "Softplus", "Softmax", "LogSoftmax", "Exp", "Clamp", "Log", "Mul", "Div", "Add",
        "Sub", "Rsub", "Neg", "Cat", "Stack", "Gather", "Index", "Select", "Slice", "Split", "Unbind", "Expand",
    )
}  # fmt: skip
"""What may lie between the output of a module and a prediction."""
_JOINTS: Final = ("CatBackward", "StackBackward")
_MOST_CHAINS: Final = 64
_MOST_NODES: Final = 400
"""Nodes behind the value handed to backward among which losses are looked for."""


class HandmadeLosses:
    """Follows the operations of a round; told of each by the function mode of `Operations`."""

    def __init__(self, watch: Watch, owners: dict[Any, int]) -> None:
        self.watch = watch
        self.found: Callable[[HandmadeLoss], None] = lambda loss: None
        """Told each loss when backward begins."""
        self.every_round = False
        """Look in rounds that are not sampled, too."""
        self._owners = owners
        self._known: set[tuple[str, Location | None]] = set()
        """Functions and lines of the losses found in the learning pass: later, only these are looked at."""
        self._chains: dict[int, Chain] = {}
        """Node (by number: holding it would hold the user's graph) → what its result is."""
        self._full = False

    def wanted(self) -> bool:
        """There are losses to be seen in this round."""
        return bool(self._known) and (self.watch.sampled or self.every_round)

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        self._chains.clear()
        self._full = False

    # -- operations ---------------------------------------------------------------------------------------------

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """The operation `name` of `OPERATIONS` returned `result`."""
        if type(result) is not torch.Tensor or not result.requires_grad or self._full or not args or hands_off():
            return
        node = result.grad_fn
        if node is None:
            return
        chain = self._begun(name, args, kwargs, node) or self._continued(name, args, kwargs, result)
        if chain is not None and self._room():
            self._chains[node._sequence_nr()] = chain

    def _room(self) -> bool:
        """There is a place for one more; without one, a round is left out: a part of its losses would mislead."""
        if len(self._chains) >= _MOST_CHAINS:
            unused = next((n for n, chain in self._chains.items() if chain.number is None), None)
            if unused is None:
                self._chains.clear()
                self._full = True
            else:
                del self._chains[unused]
        return not self._full

    def _begun(self, name: str, args: Any, kwargs: Any, node: Any) -> Chain | None:
        if name in _DIFFERENCES and len(args) == 2 and not kwargs:
            return self._difference(args[0], args[1], node, name in ("rsub", "__rsub__"))
        if name in ("gather", "take_along_dim"):
            dim, index = (args[1:] if name == "gather" else args[:0:-1]) if len(args) == 3 else (None, None)
            dim, index = kwargs.get("dim", dim), kwargs.get("index", kwargs.get("indices", index))
            return self._choice(args[0], index, node) if dim in (1, -1) else None
        if name == "__getitem__" and isinstance(args[1], tuple) and len(args[1]) == 2:
            return self._choice(args[0], args[1][1], node, rows=args[1][0])
        if name in _PRODUCTS and len(args) == 2:
            left, right = args
            turned = isinstance(right, torch.Tensor) and right.requires_grad
            given, target = (right, left) if turned else (left, right)
            return self._choice(given, target, node, one_hot=True) or self._half(given, target, node)
        return None

    def _difference(self, left: Any, right: Any, node: Any, swapped: bool) -> Chain | None:
        if not (type(left) is torch.Tensor and type(right) is torch.Tensor) or left.shape != right.shape:
            return None
        if left.requires_grad == right.requires_grad or not left.numel():
            return None
        prediction, target = (left, right) if left.requires_grad else (right, left)
        if not (is_plain_tensor(target) and prediction.is_floating_point() and self._predicted(prediction)):
            return None
        on_right = left.requires_grad is not swapped
        return Chain("", prediction.detach(), target, node._sequence_nr(), on_right)

    def _choice(self, given: Any, target: Any, node: Any, *, rows: Any = None, one_hot: bool = False) -> Chain | None:
        """Log-probabilities of the labels: by index, by ``gather``, or times one-hot rows."""
        if type(given) is not torch.Tensor or not given.requires_grad or given.dim() != 2 or not given.numel():
            return None
        if type(target) is not torch.Tensor or target.requires_grad or not is_plain_tensor(target):
            return None
        if one_hot:
            fits = target.shape == given.shape
        else:
            ids = not target.is_floating_point() and target.dtype is not torch.bool
            fits = ids and target.numel() == given.shape[0]
        made = _behind_reshapes(given.grad_fn) if fits else None
        logarithm = made is not None and (made.name() == "LogSoftmaxBackward0" or is_log_of_softmax(made))
        if not logarithm or not self._predicted(given):
            return None
        return Chain("nll_loss", given.detach(), target, node._sequence_nr(), one_hot=one_hot, rows=rows)

    def _half(self, given: Any, target: Any, node: Any) -> Chain | None:
        """The logarithm of probabilities times labels of 0 and 1: one of the two parts of a binary cross-entropy."""
        if type(given) is not torch.Tensor or not given.requires_grad or not given.numel():
            return None
        if type(target) is not torch.Tensor or target.requires_grad or not is_plain_tensor(target):
            return None
        made = _behind_reshapes(given.grad_fn) if target.shape == given.shape else None
        part = part_of_binary(made) if made is not None else ""
        return Chain(part, given.detach(), target, node._sequence_nr()) if part else None

    def _continued(self, name: str, args: Any, kwargs: Any, result: torch.Tensor) -> Chain | None:
        chain = self._chain_of(args[0])
        if name in _PRODUCTS and len(args) > 1:
            chain = chain or self._chain_of(args[1])
        if chain is None:
            return None
        if not chain.function:
            function = self._measure(name, args, kwargs)
            return replace(chain, function=function) if function else None
        if name in _REDUCTIONS and chain.number is None:
            return self._reduced(name, chain, args[0], result)
        factor = _factor(name, args)
        if factor is None:
            return None
        if chain.number is None:
            return replace(chain, factor=chain.factor * factor)
        # A factor that makes no other reduction is a weight: of it only the sign counts.
        scaled = replace(chain, scale=chain.scale * factor)
        return scaled if scaled.reduction else replace(chain, scale=-chain.scale) if factor < 0 else None

    def _measure(self, name: str, args: Any, kwargs: Any) -> str:
        """The loss whose elements are made from differences this way."""
        if name in _SIZES:
            return "l1_loss"
        if name in _SQUARES:
            exponent = args[1] if len(args) > 1 else kwargs.get("exponent")
            return "mse_loss" if name == "square" or (not isinstance(exponent, torch.Tensor) and exponent == 2) else ""
        if name in _PRODUCTS and len(args) > 1:
            one, other = self._chain_of(args[0]), self._chain_of(args[1])
            same = one is not None and other is not None and same_differences(one, other)
            return "mse_loss" if same else ""
        return ""

    def _reduced(self, name: str, chain: Chain, given: torch.Tensor, result: torch.Tensor) -> Chain | None:
        if name == "mean":
            chain = replace(chain, scale=chain.scale * result.numel() / given.numel())
        if result.numel() != 1:
            return chain
        location = self.watch.lines.calling()
        if location is None or not (self.watch.learning or (chain.function, location) in self._known):
            return None
        sign = 1 if chain.factor > 0 else -1
        per = chain.scale * chain.factor
        return replace(chain, scale=chain.scale * sign, number=result.detach(), per=per, location=location)

    def _chain_of(self, tensor: Any) -> Chain | None:
        if not self._chains or type(tensor) is not torch.Tensor or not tensor.requires_grad:
            return None
        node = _behind_reshapes(tensor.grad_fn)
        return self._chains.get(node._sequence_nr()) if node is not None else None

    def _predicted(self, prediction: torch.Tensor) -> bool:
        """A module put it out: no weight, no gradient, no distance of two outputs. Known in the learning pass only."""
        if not self.watch.learning:
            return True
        node = prediction.grad_fn
        for _ in range(LONGEST):
            if node is None or node in self._owners:
                return node is not None
            inputs = [n for n, _ in node.next_functions if n is not None and n.name() != LEAF]
            name = node.name()
            if not inputs or not (name in _RESHAPES or name.rstrip("0123456789") in _OF_A_PREDICTION):
                return False
            if len(inputs) > 1 and not name.startswith(_JOINTS):
                return False
            node = inputs[0]
        return False

    # -- backward -----------------------------------------------------------------------------------------------

    def enter(self, loss: torch.Tensor) -> None:
        """Backward is called on `loss`: which chains does it come from?"""
        numbers = {n: chain for n, chain in self._chains.items() if chain.number is not None}
        if not numbers or loss.grad_fn is None:
            return
        parts = {chain.function for chain in self._chains.values()} & {LOG_P, LOG_OF_REST}
        for node in _down_to(loss.grad_fn, numbers):
            chain = numbers[node._sequence_nr()]
            if chain.function in parts and len(parts) > 1:
                continue  # both parts of a binary cross-entropy, each by itself
            for number, other in numbers.items():
                if other.number is chain.number:  # the same before a factor, or after one
                    self._chains.pop(number, None)
            if (found := loss_of(chain, node)) is not None:
                if self.watch.learning:
                    self._known.add((found.function, found.location))
                self.found(found)


def _factor(name: str, args: Any) -> float | None:
    """The number that an operation multiplies its tensor with; None for any other operation."""
    if name in _NEGATIONS:
        return -1.0
    if len(args) < 2 or name not in _PRODUCTS | _QUOTIENTS:
        return None
    first, second = (_number(a) for a in args[:2])
    number = second if isinstance(args[0], torch.Tensor) and args[0].requires_grad else first
    if not number or (name in _QUOTIENTS and second is None):
        return None
    return 1 / number if name in _QUOTIENTS else number


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        plain = value.numel() == 1 and not value.requires_grad and value.is_cpu and is_plain_tensor(value)
        return float(value.detach()) if plain else None
    return float(value) if isinstance(value, (int, float)) else None


def _behind_reshapes(node: Any) -> Any:
    for _ in range(LONGEST):
        if node is None or node.name() not in _RESHAPES:
            return node
        node = node.next_functions[0][0]
    return None


def _down_to(start: Any, wanted: dict[int, Chain]) -> Iterator[Any]:
    """The nodes with these numbers that are met first on the ways from a node, nearest first."""
    seen, todo = {start}, [start]
    left = {id(chain.number) for chain in wanted.values()}
    for node in todo:
        chain = wanted.get(node._sequence_nr()) if node.name() != LEAF else None
        if chain is not None:
            if id(chain.number) in left:
                left.discard(id(chain.number))
                yield node
            if not left:
                return
        elif len(seen) < _MOST_NODES:
            following = [n for n, _ in node.next_functions if n is not None and n not in seen]
            seen.update(following)
            todo.extend(following)
