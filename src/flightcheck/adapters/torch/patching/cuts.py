"""Patches of what cuts the graph: a line is run as if it kept the history of its tensors."""

from __future__ import annotations

import ast
import functools
import linecache
import sys
from collections import deque
from pathlib import Path
from types import FrameType
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Distribution

from flightcheck.adapters.torch.graph import FLAT
from flightcheck.adapters.torch.patching.arrays import TracedArray, follow_libraries, same_values, traced
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.adapters.torch.patching.selections import selected
from flightcheck.patch import Patch

_COPIES: Final = {"tensor", "as_tensor", "asarray", "from_numpy"}
_DECISIONS: Final = {
    "gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__", "argmax", "long", "int", *FLAT,
}  # fmt: skip
_EQUALITIES: Final = {"eq", "__eq__", "ne", "__ne__"}
_KEPT_ARRAYS: Final = 64
_KEPT_NUMBERS: Final = 256


def keep_graph(b: Boundaries, patch: Patch) -> None:
    """Tensors keep their history through ``detach``, ``data``, ``item``, a copy by ``torch.tensor``, NumPy's operations
    as far as PyTorch has the same, selections of their values, and blocks of ``no_grad``; distributions draw with
    ``rsample`` where they can. At a line, a threshold, a cast to whole numbers and the class of the largest score give
    the scores themselves.

    The value is a line, ``train.py:31``; without it everywhere, but for blocks of ``no_grad``.
    """
    cut = _Cut(b, patch)
    b.at_operations(cut.operation)
    b.observer.patches.replace(torch, "from_numpy", cut.from_numpy)
    b.observer.patches.replace(type(torch.autograd.Variable), "__call__", cut.variable)
    for kind in {id(v): v for v in vars(torch.distributions).values()}.values():
        if isinstance(kind, type) and issubclass(kind, Distribution) and "sample" in vars(kind):
            b.observer.patches.replace(kind, "sample", cut.sample)
    b.observer.patches.replace(torch.autograd, "backward", _retaining)
    b.at_loss(cut.loss)
    follow_libraries(b.observer.patches.replace)
    for context in (torch.no_grad, torch.inference_mode):
        b.observer.patches.replace(context, "__enter__", cut.enter)


def _retaining(original: Any) -> Any:
    """What was cut off may be used by two backward passes now: the first leaves its graph to the second."""

    @functools.wraps(original)
    def backward(tensors: Any, grad_tensors: Any = None, retain_graph: Any = None, *args: Any, **kwargs: Any) -> Any:
        return original(tensors, grad_tensors, True, *args, **kwargs)

    return backward


def mixed_up(b: Boundaries, patch: Patch) -> None:
    """``mixed-up:train.py:31``: what ``detach``, ``data``, a copy or ``Variable`` gives at a line has its examples in
    another order, in evaluations, too: what it tells of them reaches nobody.
    """

    def operation(function: Any, name: str, given: Arguments) -> Any:
        result = function(*given[0], **given[1])
        data = name == "__get__" and getattr(getattr(function, "__self__", None), "__name__", "") == "data"
        if (data or name in ("detach", *_COPIES)) and b.is_at(patch.value):
            return _rolled(result)
        return result

    def _rolled(result: Any) -> Any:
        if not isinstance(result, torch.Tensor) or result.dim() < 2 or len(result) < 2:
            return result
        b.acted(patch)
        with b.unwatched():
            return result.roll(len(result) // 2, 0)

    def variable(original: Any) -> Any:
        @functools.wraps(original)
        def __call__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
            result = original(cls, *args, **kwargs)
            return _rolled(result) if b.is_at(patch.value) else result

        return __call__

    b.at_operations(operation)
    b.observer.patches.replace(type(torch.autograd.Variable), "__call__", variable)


class _Cut:
    """One line that cuts the graph, and what it does instead."""

    def __init__(self, boundaries: Boundaries, patch: Patch) -> None:
        self.boundaries = boundaries
        self.patch = patch
        name, _, line = patch.value.rpartition(":")
        self.file, self.line = name, int(line) if line.isdigit() else 0
        self._arrays: dict[int, tuple[Any, torch.Tensor]] = {}
        """Address of an array's first element → the array and the tensor that it was made of."""
        self._scores: torch.Tensor | None = None
        """What stands in the place of the class of the largest."""
        self._decided: tuple[torch.Tensor, torch.Tensor] | None = None
        """What stands in the place of a threshold or a cast, and what was decided."""
        self._numbers: deque[Any] = deque(maxlen=_KEPT_NUMBERS)
        """Nodes of the tensors that stand for numbers of Python, which the script may make tensors again."""

    def _here(self) -> bool:
        if not self.line:
            return True
        at = self.boundaries.observer.lines.here()
        return at is not None and at.line == self.line and Path(at.file).name == self.file

    def operation(self, function: Any, name: str, given: Arguments) -> Any:
        """One operation of PyTorch."""
        if name in _EQUALITIES and self._decided is not None:  # a share of right answers
            scores, decided = self._decided
            given = (tuple(decided.to(scores.dtype) if x is scores else x for x in given[0]), given[1])
        first = given[0][0] if given[0] else None
        if name in _COPIES:
            kept = self._copied(first)
            if kept is not None:
                return self._instead(kept)
        if name == "__set__" and isinstance(first, torch.Tensor) and first.grad_fn is not None:
            attribute = getattr(getattr(function, "__self__", None), "__name__", "")
            if attribute == "requires_grad":  # what hid the cut is refused where the graph is whole
                return None
        data = name == "__get__" and getattr(getattr(function, "__self__", None), "__name__", "") == "data"
        if data and self.line and isinstance(first, torch.Tensor) and not first.requires_grad and self._here():
            return self._instead(first)  # what is written into it comes with its history
        if not isinstance(first, torch.Tensor) or first.grad_fn is None:
            of_weights = (data or name == "detach") and self.line and torch.is_grad_enabled()
            if of_weights and isinstance(first, torch.Tensor) and first.requires_grad and self._here():
                return self._instead(first)  # a penalty on them
            return function(*given[0], **given[1])
        if name in ("numpy", "__array__"):  # it has no history here: detach() at this line kept it
            array = function(first.detach(), *given[0][1:], **given[1]) if self._here() else None
            if array is None:  # a mean of what is logged, of numbers once
                return function(first.detach() if self._was_number(first) else first, *given[0][1:], **given[1])
            return self._remembered(array, first)
        if (data or name in ("detach", "detach_")) and self._here():
            return self._instead(first)
        if name == "normal" and self.line and self._here():  # mean and width as arguments
            width = torch.as_tensor(given[0][1] if len(given[0]) > 1 else given[1].get("std", 1.0))
            drawn = function(first.detach(), width.detach().expand_as(first))
            noise = ((drawn - first.detach()) / width.detach()).nan_to_num(0.0, 0.0, 0.0)
            return self._instead(first + noise * width)
        if name in _EQUALITIES and first is self._scores and len(given[0]) > 1:
            return function(first.argmax(1), *given[0][1:], **given[1])  # a share of right answers
        if self.line and (name in _DECISIONS or name == "max") and first.is_floating_point() and self._here():
            return self._undecided(function, name, given)
        if name == "item" and self.line and first.numel() == 1 and self._here():
            kept = first.reshape(()) * 1  # with a node of its own
            self._numbers.append(kept.grad_fn)
            return self._instead(kept)
        return function(*given[0], **given[1])

    def _undecided(self, function: Any, name: str, given: Arguments) -> Any:
        """A threshold, a cast or the class of the largest score gives the scores themselves."""
        first: torch.Tensor = given[0][0]
        if name == "max":
            result = function(*given[0], **given[1])
            if not isinstance(result, tuple):
                return result
            self._scores = first
            return result[0], self._instead(first)
        if name == "argmax":
            self._scores = first
        elif self._decided is None or self._decided[0] is not first:  # a cast of the decision is the same one
            self._decided = (first, function(first.detach(), *given[0][1:], **given[1]))
        return self._instead(first)

    def loss(self, call: Any, name: str, given: Arguments) -> Any:
        """Scores in the place of class ids are compared with the ids by a cross-entropy."""
        prediction, target, _ = arguments_of(given)
        both = isinstance(prediction, torch.Tensor) and isinstance(target, torch.Tensor)
        of_ids = both and prediction.dim() == target.dim() + 1 and len(prediction) == len(target)
        if self._scores is None or not of_ids or name == "cross_entropy" or not bool((target == target.round()).all()):
            return call(*given[0], **given[1])
        self.boundaries.loss_swapped("cross_entropy", prediction, target.long())
        with self.boundaries.unwatched():
            return F.cross_entropy(prediction, target.long())

    def _instead(self, tensor: torch.Tensor) -> torch.Tensor:
        self.boundaries.acted(self.patch)
        return tensor

    def _remembered(self, array: Any, tensor: torch.Tensor) -> Any:
        if len(self._arrays) >= _KEPT_ARRAYS:
            self._arrays.pop(next(iter(self._arrays)))
        self._arrays[array.ctypes.data] = (array, tensor)
        return traced(array, tensor) if isinstance(array, np.ndarray) else array

    def _copied(self, value: Any) -> torch.Tensor | None:
        """What a copy without history was made of; None where it has none, or is made elsewhere."""
        if isinstance(value, np.ndarray):
            known = value.tensor if isinstance(value, TracedArray) else None
            if known is None:
                known = self._arrays.get(value.ctypes.data, (None, None))[1]
            if known is not None and same_values(value, known):
                return known.reshape(value.shape)
            return selected(value, [tensor for _, tensor in reversed(self._arrays.values())])
        if isinstance(value, torch.Tensor):
            keeps = self.line and value.grad_fn is not None and (self._here() or self._was_number(value))
            return value if keeps else None
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, torch.Tensor) for v in value):
            same = all(v.shape == value[0].shape for v in value)
            kept = bool(same and self.line) and any(v.grad_fn is not None for v in value)
            if kept and (self._here() or any(map(self._was_number, value))):
                return torch.stack(list(value))
        return None

    def _was_number(self, tensor: torch.Tensor) -> bool:
        """It is a number that is made of one which was a number of Python, so a copy of it is to keep its history:
        ``torch.tensor(loss.item())``, be it in two lines. What was a tensor before is copied on purpose.
        """
        if not self._numbers or tensor.dim() or tensor.grad_fn is None:
            return False
        queue, seen = [tensor.grad_fn], 0
        while queue and seen < _KEPT_NUMBERS:
            node = queue.pop()
            seen += 1
            if any(node is n for n in self._numbers):
                return True
            queue.extend(n for n, _ in node.next_functions if n is not None)
        return False

    def from_numpy(self, original: Any) -> Any:
        """``torch.from_numpy`` is no operation that a function mode sees."""

        @functools.wraps(original)
        def from_numpy(array: Any) -> Any:
            kept = self._copied(array) if self.boundaries.observer.watch.mine() else None
            return original(array) if kept is None else self._instead(kept)

        return from_numpy

    def variable(self, original: Any) -> Any:
        """``Variable(tensor)`` is no operation either."""

        @functools.wraps(original)
        def __call__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
            given = args[0] if args else kwargs.get("data")
            mine = self.boundaries.observer.watch.mine()
            if mine and isinstance(given, torch.Tensor) and given.grad_fn is not None and self._here():
                return self._instead(given)
            return original(cls, *args, **kwargs)

        return __call__

    def sample(self, original: Any) -> Any:
        """Of a distribution."""

        @functools.wraps(original)
        def sample(distribution: Distribution, *args: Any, **kwargs: Any) -> Any:
            mine = self.boundaries.observer.watch.mine() and torch.is_grad_enabled()
            if not (mine and distribution.has_rsample and self._here()):
                return original(distribution, *args, **kwargs)
            self.boundaries.acted(self.patch)
            return distribution.rsample(*args, **kwargs)

        return sample

    def enter(self, original: Any) -> Any:
        """Of ``no_grad`` or ``inference_mode``: the block around the line changes nothing."""

        @functools.wraps(original)
        def __enter__(context: Any) -> Any:  # noqa: N807
            if not (self.line and torch.is_grad_enabled() and self._is_around(sys._getframe(1))):
                return original(context)
            self.boundaries.acted(self.patch)
            context.prev = True  # what its __exit__ restores
            if isinstance(context, torch.inference_mode):
                context._inference_mode_context = torch._C._InferenceMode(False)
                context._inference_mode_context.__enter__()  # type: ignore[no-untyped-call]
            return None

        return __enter__

    def _is_around(self, frame: FrameType | None) -> bool:
        """The frame enters a ``with`` block, or a decorated function, in which the line stands."""
        if frame is None:
            return False
        decorated = frame.f_locals.get("func")
        code = getattr(decorated, "__code__", None) if "_contextlib" in frame.f_code.co_filename else None
        file = code.co_filename if code is not None else frame.f_code.co_filename
        if Path(file).name != self.file:
            return False
        at = code.co_firstlineno if code is not None else frame.f_lineno
        return any(
            first <= at <= last and first <= self.line <= last for first, last in _blocks(file, code is not None)
        )


@functools.lru_cache(maxsize=32)
def _blocks(file: str, functions: bool) -> tuple[tuple[int, int], ...]:
    """First and last lines of the ``with`` statements of a file, or of its functions."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef) if functions else (ast.With, ast.AsyncWith)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, kinds):
            above = [d.lineno for d in getattr(node, "decorator_list", ())]
            found.append((min([node.lineno, *above]), node.end_lineno or node.lineno))
    return tuple(found)
