"""Lines by which a script counts what its model got right: comparisons, choices of a class, differences."""

from __future__ import annotations

import dataclasses
import weakref
from collections import deque
from typing import Any, Final

import torch

from flightcheck.adapters.torch.batches import tensors_in
from flightcheck.adapters.torch.box_overlaps import BoxOverlaps
from flightcheck.adapters.torch.neighbours import Rankings
from flightcheck.adapters.torch.output_ranges import OutputRanges
from flightcheck.adapters.torch.scores import Scores
from flightcheck.adapters.torch.tallies import SUMS, Tallies
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.records import Location
from flightcheck.recording.surroundings import Comparison

COMPARISONS: Final = {
    "eq": "==", "__eq__": "==", "ne": "!=", "__ne__": "!=", "gt": ">", "__gt__": ">", "greater": ">", "ge": ">=",
    "__ge__": ">=", "greater_equal": ">=", "lt": "<", "__lt__": "<", "less": "<", "le": "<=", "__le__": "<=",
    "round": "round",
}  # fmt: skip
"""Rounding is one, too: of a probability with a half."""
DIFFERENCES: Final = {"sub", "__sub__", "rsub", "__rsub__", "subtract"}
CHOICES: Final = {"argmax", "max"}
_SIZES: Final = {"abs", "__abs__", "absolute", "pow", "__pow__", "square", "norm"}
_PRODUCTS: Final = {"mul", "__mul__", "multiply"}
"""Of a difference with itself; times a number it is a step, and no error."""
_EQUALITIES: Final = ("==", "!=")
_CASTS: Final = {"float", "double", "half", "to", "type", "type_as", "long", "int"}
_SIGMOIDS: Final = {"sigmoid", "sigmoid_", "special_expit"}
_MOST_LINES: Final = 64
_MOST_CALLS: Final = 8
"""Calls of a line whose ranges are looked at."""
_MOST_MADE: Final = 16
"""Tensors computed from the last output that are known again."""
_MOST_ELEMENTS: Final = 65_536


class Metrics:
    """Comparisons of tensors, by line: of the model's output with a number, of two tensors, and what leads to them."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._output: weakref.ref[torch.Tensor] | None = None
        """What the model returned last."""
        self._without_gradient = False
        """It was computed without one: it is an answer."""
        self._made: deque[weakref.ref[torch.Tensor]] = deque(maxlen=_MOST_MADE)
        """What was computed of it, element by element."""
        self._beside: deque[weakref.ref[torch.Tensor]] = deque(maxlen=_MOST_MADE)
        """The other tensors that the model returned last, and what was computed of them in the same way."""
        self._mixed: deque[weakref.ref[torch.Tensor]] = deque(maxlen=_MOST_MADE)
        """Of these, what was computed with other tensors of the size: a state that an action moved is no prediction."""
        self._rows: deque[weakref.ref[torch.Tensor]] = deque(maxlen=_MOST_MADE)
        """What was picked of such a tensor, and the classes that were chosen by that."""
        self._equal: deque[weakref.ref[torch.Tensor]] = deque(maxlen=_MOST_MADE)
        """Where two tensors were equal, as truth values or as numbers 0 and 1."""
        self._choices: deque[weakref.ref[torch.Tensor]] = deque(maxlen=_MOST_MADE)
        """The classes that were chosen by it, 0 and 1 among them."""
        self._apart: tuple[weakref.ref[torch.Tensor], Location | None, torch.Tensor, torch.Tensor] | None = None
        """The last difference of output and data: its result, its line, and both."""
        self._largest: tuple[weakref.ref[torch.Tensor], Location | None] | None = None
        """The values (not the positions) that the last maximum of such a tensor gave, and its line."""
        self._found: dict[tuple[str, Location | None], Comparison] = {}
        self.tallies, self.ranges, self.scores = Tallies(watch), OutputRanges(watch), Scores(watch)
        self.rankings, self.overlaps = Rankings(watch), BoxOverlaps(watch)

    def returned(self, output: torch.Tensor, line: Location | None, result: Any = None) -> None:
        """The outermost module returned `result`, of which `output` is the first tensor, to this line."""
        self._output = weakref.ref(output) if _readable(output) else None
        self._without_gradient = not output.requires_grad
        if self._output is not None:
            self.ranges.returned(output, line)
        self._made.clear()
        self._mixed.clear()
        self._beside.clear()
        self._rows.clear()
        held = result if isinstance(result, dict) else {}
        several = tuple(result) if isinstance(result, (tuple, list)) else ()
        if held or several:
            others = (t for _, t in tensors_in(several, held) if t is not output and _readable(t))
            self._beside.extend(weakref.ref(t) for t in others)
        self._apart = None
        if self.overlaps.made or not torch.is_grad_enabled():
            self.overlaps.returned(result)

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation was computed outside of the models."""
        self.rankings.look(name, args, kwargs, result)
        self.overlaps.look(name, args, result)
        if name in COMPARISONS:
            if not kwargs:
                self.compared(name, args, self.watch.lines.here())
            if COMPARISONS[name] == "==" and _readable(result):
                self._equal.append(weakref.ref(result))
            by_number = bool(args) and (name == "round" or not isinstance(args[-1], torch.Tensor))
            if by_number and _readable(result) and self.is_made(args[0]):
                self._choices.append(weakref.ref(result))
            return
        if not (args and _readable(args[0])):
            return
        if name in SUMS and len(args) == 1:
            self.tallies.added_up(args[0], kwargs, self._tells_equal(args[0]))
        elif name in CHOICES:
            self._chosen(args, kwargs, result)
        elif name in DIFFERENCES and len(args) > 1 and not torch.is_grad_enabled():
            self._difference(args[0], args[1], result)
        elif self._apart is not None and (name in _SIZES or (name in _PRODUCTS and args[1:] and args[1] is args[0])):
            self._measured(args[0])
        elif name in _SIGMOIDS and self.is_made(args[0]):
            self._squashed(args[0], result)
        if name == "__getitem__" and _readable(result) and self.is_answer(args[0]):
            self._rows.append(weakref.ref(result))
        if name in _CASTS and _readable(result) and self._tells_equal(args[0]):
            self._equal.append(weakref.ref(result))
        elif (name in _CASTS or name == "__getitem__") and _readable(result) and self.is_choice(args[0]):
            self._choices.append(weakref.ref(result))
        elif _readable(result) and result.is_floating_point():
            self._computed(args, result)

    def is_error(self, args: Any) -> bool:
        """One of two tensors of a size is what the model returned last, or a view of it, and the other is not."""
        if len(args) < 2 or not (_readable(args[0]) and _readable(args[1])) or args[0].numel() != args[1].numel():
            return False
        return self._is_output(args[0]) != self._is_output(args[1])

    def _is_output(self, tensor: torch.Tensor) -> bool:
        output = self._output() if self._output is not None else None  # alive, so its address is not another's
        if output is None or not tensor.numel():
            return False
        return (tensor.data_ptr(), tensor.numel()) == (output.data_ptr(), output.numel())

    def is_made(self, tensor: Any) -> bool:
        """The output, or computed of it element by element."""
        return _readable(tensor) and (self._is_output(tensor) or any(_same(ref(), tensor) for ref in self._made))

    def is_answer(self, tensor: Any) -> bool:
        """It is made (`is_made`) of an output without a gradient, or picked of that. The block without one may be left
        by now.
        """
        if not self._without_gradient:
            return False
        return self.is_made(tensor) or (_readable(tensor) and any(_same(ref(), tensor) for ref in self._rows))

    def is_choice(self, tensor: Any) -> bool:
        """It holds the classes that were chosen by such an output."""
        return _readable(tensor) and any(_same(ref(), tensor) for ref in self._choices)

    def is_of_model(self, tensor: Any) -> bool:
        """As `is_made`, of any of several outputs."""
        return self.is_made(tensor) or (_readable(tensor) and any(_same(ref(), tensor) for ref in self._beside))

    def _tells_equal(self, tensor: torch.Tensor) -> bool:
        return any(ref() is tensor for ref in self._equal)

    def _computed(self, args: Any, result: torch.Tensor) -> None:
        """Remember what was computed of outputs, element by element."""
        of = [a for a in args[:2] if isinstance(a, torch.Tensor) and a.numel() == result.numel()]
        if any(map(self.is_made, of)):
            self._made.append(weakref.ref(result))
            others = result.numel() > 1 and not all(map(self.is_made, of))
            if others or any(_same(ref(), a) for ref in self._mixed for a in of):
                self._mixed.append(weakref.ref(result))
        elif any(map(self.is_of_model, of)):
            self._beside.append(weakref.ref(result))

    # -- comparisons --------------------------------------------------------------------------------------------------

    def compared(self, name: str, args: Any, line: Location | None) -> None:
        """A comparison was computed at the user's line."""
        if name == "round":
            args = (args[0], 0.5) if len(args) == 1 else ()  # to so many decimals: for a print
        if len(args) < 2 or not _readable(args[0]):
            return
        left, right = args[0].detach(), args[1]
        if isinstance(right, torch.Tensor):
            if not _readable(right) or right.numel() < 2:
                return
            if left.shape != right.shape:
                self._tensors(COMPARISONS[name], line, left, right.detach())
            elif COMPARISONS[name] in _EQUALITIES:
                self._values(COMPARISONS[name], line, left, right.detach())
        elif isinstance(right, float) and self._is_output(left):
            self._threshold(COMPARISONS[name], line, left, right)

    def compared_by_loss(self, function: str, prediction: torch.Tensor, target: torch.Tensor) -> None:
        """An elementwise loss was computed without gradients."""
        if not (_readable(prediction) and _readable(target)) or target.numel() < 2:
            return
        if prediction.shape != target.shape:
            self._tensors(function, self.watch.lines.here(), prediction.detach(), target.detach())
        elif self.is_of_model(prediction):
            self._scales(function, self.watch.lines.here(), prediction.detach(), target.detach())

    def _tensors(self, operation: str, line: Location | None, left: torch.Tensor, right: torch.Tensor) -> None:
        known = self._known(operation, line)
        if known is None:
            return
        same = known.same_data or left.data_ptr() == right.data_ptr()
        counting = _counts_up(left) or _counts_up(right)
        self._note(known, left, right_shape=list(right.shape), same_data=same, counting=counting)

    def _scales(self, operation: str, line: Location | None, made: torch.Tensor, data: torch.Tensor) -> None:
        """Equal shapes: on which scale are the output and what it is compared with?"""
        known = self._known(operation, line)
        if known is not None and data.is_floating_point() and not known.right_shape:
            self._note(known, made, made=_place_and_spread(made), data=_place_and_spread(data))

    def _values(self, operation: str, line: Location | None, left: torch.Tensor, right: torch.Tensor) -> None:
        """Equal shapes: numbers of which one side is whole and the other one nowhere are never equal."""
        if not (left.is_floating_point() or right.is_floating_point()):
            return
        if _rounded(left, right) or _rounded(right, left):
            return  # are these numbers whole?
        sides = (left, right)
        whole = [_whole_share(side) for side in sides]
        known = self._known(operation, self._line_of_largest(sides) or line)
        if known is not None:
            shares = [max(pair) for pair in zip(whole, known.whole, strict=True)] if known.whole else whole
            self._note(known, left, right_shape=list(right.shape), whole=shares, used_location=line)

    def _threshold(self, operation: str, line: Location | None, output: torch.Tensor, threshold: float) -> None:
        known = self._known(operation, line)
        if known is not None:
            self._note(known, output, threshold=threshold, **_wider(known, output))

    # -- what leads to them -------------------------------------------------------------------------------------------

    def _chosen(self, args: Any, kwargs: Any, result: Any) -> None:
        """A class was chosen, or a maximum taken, over one axis of the output."""
        of, dim = args[0], args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
        if not isinstance(dim, int) or isinstance(dim, bool) or not of.dim():
            return
        if not self.is_made(of):
            if self.is_answer(of):
                self._rows.extend(weakref.ref(t) for t in (result if isinstance(result, tuple) else (result,)))
            return
        line = self.watch.lines.here()
        if isinstance(result, tuple) and isinstance(result[0], torch.Tensor):
            self._largest = weakref.ref(result[0]), line
        places = result[-1] if isinstance(result, tuple) else result
        if _readable(places):
            self._choices.append(weakref.ref(places))
        known = self._known("argmax", line)
        if known is not None and of.numel() > 1:
            self._note(known, of, axis_size=max(known.axis_size, int(of.shape[dim])), **_wider(known, of))

    def _squashed(self, of: torch.Tensor, result: Any) -> None:
        known = self._known("sigmoid", self.watch.lines.here())
        if known is not None:
            self._note(known, of, **_wider(known, of))

    def _difference(self, left: torch.Tensor, right: Any, result: torch.Tensor) -> None:
        if not _readable(right) or self.is_of_model(left) == self.is_of_model(right) or right.numel() < 2:
            return
        line, of_model = self.watch.lines.here(), self.is_of_model(left)
        made, data = (left, right) if of_model else (right, left)
        if left.shape != right.shape:
            self._tensors("-", line, left.detach(), right.detach())
        elif not any(_same(ref(), made) for ref in self._mixed):
            self._apart = weakref.ref(result), line, made.detach(), data.detach()

    def _measured(self, of: torch.Tensor) -> None:
        """The size of a difference is taken: it is an error, and no step from one to the other."""
        if self._apart is not None and _same(self._apart[0](), of):
            self._scales("-", *self._apart[1:])
            self._apart = None

    def _line_of_largest(self, sides: tuple[torch.Tensor, ...]) -> Location | None:
        values = self._largest[0]() if self._largest is not None else None
        return self._largest[1] if self._largest and any(_same(values, side) for side in sides) else None

    # -- records ------------------------------------------------------------------------------------------------------

    def _known(self, operation: str, line: Location | None) -> Comparison | None:
        """What is known of a line so far; None if no more is to be known."""
        known = self._found.get((operation, line))
        if known is None:
            new = Comparison(operation=operation, location=line, step=self.watch.step, calls=0)
            return new if len(self._found) < _MOST_LINES else None
        return known if known.calls < _MOST_CALLS else None

    def _note(self, known: Comparison, left: torch.Tensor, **facts: Any) -> None:
        noted = dataclasses.replace(known, calls=known.calls + 1, left_shape=list(left.shape), **facts)
        self._found[known.operation, known.location] = noted

    def save(self) -> None:
        """Write the records."""
        by_source = self.ranges.cut({c.location for c in self._found.values()})
        for i, comparison in enumerate((*self._found.values(), *by_source, *self.scores.found())):
            self.watch.writer.put(comparison, i)
        self.rankings.save()
        self.overlaps.save()


def _readable(value: Any) -> bool:
    """A tensor of PyTorch's own class, with an address: subclasses may have none."""
    return type(value) is torch.Tensor and is_plain_tensor(value)


def _same(one: torch.Tensor | None, other: torch.Tensor) -> bool:
    """One tensor, or views of the same elements."""
    if one is None or not one.numel():
        return False
    return one is other or (one.data_ptr(), one.numel()) == (other.data_ptr(), other.numel())


def _wider(known: Comparison, values: torch.Tensor) -> dict[str, float]:
    """The range of the values in all calls so far."""
    low, high = (float(v) for v in torch.aminmax(values.detach().float()))
    if known.minimum is not None and known.maximum is not None:
        low, high = min(low, known.minimum), max(high, known.maximum)
    return {"minimum": low, "maximum": high}


def _rounded(one: torch.Tensor, other: torch.Tensor) -> bool:
    """The other side is what the first one is rounded to."""
    return one.is_floating_point() and any(
        bool((f(one) == other).all()) for f in (torch.round, torch.floor, torch.ceil)
    )


def _place_and_spread(values: torch.Tensor) -> list[float]:
    flat = values.reshape(-1)[:_MOST_ELEMENTS].double()
    return [float(flat.mean()), float(flat.std(correction=0))]


def _whole_share(values: torch.Tensor) -> float:
    flat = values.reshape(-1)[:_MOST_ELEMENTS]
    return float((flat == flat.round()).float().mean()) if flat.is_floating_point() and flat.numel() else 1.0


def _counts_up(tensor: torch.Tensor) -> bool:
    """The tensor is 0, 1, 2 …: class numbers against labels make a table on purpose."""
    flat = tensor.reshape(-1)
    return bool((flat == torch.arange(flat.numel(), device=flat.device)).all())
