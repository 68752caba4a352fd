"""Does a model learn from what it did itself? Reinforcement learning, told by facts and not by a library.

Three things are enough. A policy gradient: an action was drawn from what the model put out and left for Python, and the
log-probabilities of chosen actions are multiplied by other numbers than 0 and 1 (returns, advantages). Learning of
values: one output per row is chosen by an action, and compared with numbers that a model made without gradients
(rewards plus the value of the next state), where an action that the model chose left for Python as well. Imitation of
the best of its own episodes (the cross-entropy method): before nearly every step, actions that were drawn from what the
model put out without gradients left for Python. A model that writes a sample now and then does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import VIEWS
from flightcheck.adapters.torch.remembered import Remembered
from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor

_DRAWS: Final = {"multinomial", "bernoulli", "normal"}
_BEST: Final = {"argmax", "max", "topk"}
_LEAVES: Final = {"item", "tolist", "numpy", "__array__", "__int__", "__index__", "__bool__", "__float__"}
_PRODUCTS: Final = {"mul", "__mul__", "__rmul__", "multiply"}
_REGRESSION: Final = {"mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss", "sub", "__sub__", "rsub", "__rsub__"}
_CHOICES: Final = {"gather", "take_along_dim"}
_LOG_PROBABILITY: Final = ("LogSoftmaxBackward", "SubBackward", "LogBackward")
"""What makes log-probabilities: of logits, in `torch.distributions` by a difference; of probabilities."""
_FEWEST_ROUNDS: Final = 5
_NEARLY_ALL: Final = 0.75
_RETURNS: Final = 3
"""Different numbers in one round: a weight of a term is one, or two."""


class Agents:
    """Follows actions, and numbers that models made without gradients, in the learning pass."""

    def __init__(self, watch: Watch, made_by_model: Callable[[Any], bool]) -> None:
        self.watch = watch
        self._made_by_model = made_by_model
        """Whether a tensor without a graph comes from a model."""
        self._drawn = Remembered()
        self._played_draws = Remembered()
        """Of these, what was drawn from outputs that have no graph."""
        self._best = Remembered()
        self._values = Remembered()
        self._chosen: set[Any] = set()
        """Nodes of this round that hold chosen log-probabilities."""
        self._factors: set[float] = set()
        """Numbers of Python by which they were multiplied in this round."""
        self._picked: set[Any] = set()
        """Nodes of this round that hold one chosen output per row."""
        self._acts_by_chance = self._acts_by_value = False
        self._weighs = self._bootstraps = False
        self._played = self._looked = False
        """Such an action, drawn without gradients, left in this round; operations of this round were seen."""
        self._rounds = self._playing_rounds = 0

    @property
    def found(self) -> bool:
        """The model learns from its own actions."""
        acts = self._acts_by_chance or self._acts_by_value
        plays = self._playing_rounds >= max(_FEWEST_ROUNDS, _NEARLY_ALL * self._rounds)
        return (self._acts_by_chance and self._weighs) or (acts and self._bootstraps) or plays

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self._rounds += self._looked
        self._playing_rounds += self._played
        self._played = self._looked = False
        self._chosen.clear()
        self._factors.clear()
        self._picked.clear()
        for held in (self._drawn, self._played_draws, self._best, self._values):
            held.forget()

    def look(self, name: str, args: Any, result: Any) -> None:
        """The user's code, or a distribution for it, computed `result`."""
        if not args or hands_off() or self.found:
            return
        first, self._looked = args[0], True
        if name in _LEAVES:
            self._acts_by_chance |= first in self._drawn
            self._played |= first in self._played_draws
            self._acts_by_value |= first in self._best
        elif name in _DRAWS and any(self._is_made(a) or _node(a) is not None for a in args[:2]):
            self._drawn.add(result)
            if all(_node(a) is None for a in args[:2]):
                self._played_draws.add(result)
        elif isinstance(first, torch.Tensor) and not first.requires_grad and not self._is_made(first):
            for held in (self._drawn, self._played_draws, self._best):  # an action in another shape
                if first in held and isinstance(result, torch.Tensor) and not result.is_floating_point():
                    held.add(result)
        if name in _BEST and (self._is_made(first) or _node(first) is not None):
            self._best.add(result if isinstance(result, torch.Tensor) else tuple(result)[-1])
        self._numbers(args, result)
        if isinstance(result, torch.Tensor) and (node := _node(result)) is not None:
            self._graph(name, args, result, node)

    def _is_made(self, tensor: Any) -> bool:
        return isinstance(tensor, torch.Tensor) and (tensor in self._values or self._made_by_model(tensor))

    def _numbers(self, args: Any, result: Any) -> None:
        """Floating-point numbers without a graph that are computed from those of a model."""
        results = result if isinstance(result, tuple) else (result,)
        free = [r for r in results if isinstance(r, torch.Tensor) and r.is_floating_point() and not r.requires_grad]
        if free and any(self._is_made(a) for a in _tensors(args)):
            for r in free:
                self._values.add(r)

    def _graph(self, name: str, args: Any, result: torch.Tensor, node: Any) -> None:
        pick = name == "__getitem__" and isinstance(args[1], tuple) and len(args[1]) == 2
        if name in _CHOICES or (pick and not any(isinstance(i, slice) or i is None for i in args[1])):
            self._picked.add(node)
            source = _behind_views(_node(args[0]))
            if source is not None and source.name().startswith(_LOG_PROBABILITY):
                self._chosen.add(node)
        elif any(self._is_one_of(a, self._chosen) for a in _tensors(args)):
            self._chosen.add(node)
            if name in _PRODUCTS and len(args) > 1:
                self._factors.update(a for a in args[:2] if type(a) is float and abs(a) not in (0.0, 1.0))
                self._weighs |= any(_is_weight(a) for a in args[:2]) or len(self._factors) >= _RETURNS
        elif name in _REGRESSION and len(args) > 1:
            one, other = args[:2]
            for prediction, target in ((one, other), (other, one)):
                self._bootstraps |= self._is_one_of(prediction, self._picked) and self._is_made(target)

    @staticmethod
    def _is_one_of(tensor: Any, nodes: set[Any]) -> bool:
        node = _node(tensor)
        return node is not None and bool(nodes) and (node in nodes or _behind_views(node) in nodes)


def _node(tensor: Any) -> Any:
    """The node that made a tensor; None for what is not to be asked: a view whose base was changed meanwhile."""
    if not isinstance(tensor, torch.Tensor) or not tensor.requires_grad:
        return None
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def _behind_views(node: Any) -> Any:
    while node is not None and node.name() in VIEWS:
        node = next((n for n, _ in node.next_functions if n is not None), None)
    return node


def _tensors(args: Any) -> Iterator[torch.Tensor]:
    for a in args[:3]:
        if isinstance(a, torch.Tensor):
            yield a
        elif isinstance(a, (list, tuple)):
            yield from (t for t in a[:64] if isinstance(t, torch.Tensor))


def _is_weight(value: Any) -> bool:
    """Numbers without a graph that are more than a mask: returns, advantages."""
    if type(value) is not torch.Tensor or value.requires_grad or not is_plain_tensor(value) or not value.numel():
        return False
    return value.is_floating_point() and not bool(((value == 0) | (value == 1)).all())
