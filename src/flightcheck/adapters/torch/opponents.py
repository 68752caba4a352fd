"""Two models, one of which judges what the other makes: which way does the loss of each push the judgements?"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor
from flightcheck.recording.opponents import Opponents
from flightcheck.recording.ranges import RANGES
from flightcheck.recording.records import Location

_MOST_MADE: Final = 8
"""Last outputs of models that are remembered."""
_MOST_LABELS: Final = 65_536
_LARGEST: Final = 4_000_000
"""Elements of such an output: its memory is held."""
_MOST_COMPARED: Final = 8
"""Calls of a judge whose inputs are compared with what the maker can make."""
_BEYOND: Final = 0.5
"""Of that range, or of 1: noise that is put on the data, as against a judge that learns too fast, ends there."""
_MOST_CALLS: Final = 32
"""Last calls of judging models whose gradients are read."""


@dataclass(eq=False)
class _Judged:
    """One call of a judging model, and the signs of the gradient that reached its output."""

    judge: int
    maker: int
    """The model that made its input; -1 for other inputs."""
    signs: torch.Tensor | None = None
    other_labels: bool | None = None
    """It was given labels, and not those that the maker was given."""
    line: Location | None = None

    def reached(self, gradient: torch.Tensor) -> None:
        """A hook of the output: nothing of the gradient is changed or kept."""
        try:
            plain = gradient.detach()
            signs = torch.stack([(plain > 0).sum(), (plain < 0).sum()])
            self.signs = signs if self.signs is None else self.signs + signs
        except Exception:  # a gradient without numbers: this call is not known
            self.signs = None


@dataclass
class _Pair:
    judge_steps: int = 0
    maker_steps: int = 0
    made_by_judge: list[int] = field(default_factory=lambda: [0, 0])
    others_by_judge: list[int] = field(default_factory=lambda: [0, 0])
    made_by_maker: list[int] = field(default_factory=lambda: [0, 0])
    maker_backward: int = -1
    joint_steps: int = 0
    made_by_joint: list[int] = field(default_factory=lambda: [0, 0])
    labelled: int = 0
    other_labels: int = 0
    judged_location: Location | None = None
    made_by: str = ""
    made_range: list[float] = field(default_factory=list)
    others_range: list[float] = field(default_factory=list)
    others: int = 0
    others_outside: int = 0


@dataclass(frozen=True)
class _Made:
    """What a model made: without its graph, known again by its memory, which is held for that."""

    output: torch.Tensor
    root: int
    labels: list[torch.Tensor]
    operation: str


class OpposedModels:
    """Told of outermost calls and of steps in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._made: list[_Made] = []
        self._calls: list[_Judged] = []
        self._roots: set[int] = set()
        self._judges: set[int] = set()
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._shapes: dict[tuple[int, int], tuple[int, torch.Size]] = {}
        """The place among the judge's arguments of what the maker of a pair made, and the shape of one example."""
        self._looks: dict[tuple[int, int], int] = {}
        """Calls of the judge of a pair on other inputs whose range was looked at."""

    def called(self, root: int, inputs: Sequence[Any], output: torch.Tensor) -> None:
        """A model was called in training, and returned `output`."""
        if not self.watch.learning or hands_off() or not is_plain_tensor(output) or not output.is_floating_point():
            return
        self._roots.add(root)
        if len(self._roots) < 2:
            return
        given = [t for t in inputs if isinstance(t, torch.Tensor)]
        places = [(i, m) for i, t in enumerate(given) if (m := self._maker_of(t)) is not None and m.root != root]
        known = [made for _, made in places]
        makers = {made.root for made in known}
        self._judges |= {root} if makers else set()
        others = root in self._judges and not makers and not any(t.requires_grad for t in given)
        if output.requires_grad and (len(makers) == 1 or others):
            call = _Judged(root, makers.pop() if makers else -1, line=self.watch.lines.here())
            call.other_labels = _others(_labels(given), known[0].labels) if known else None
            self._calls = [*self._calls[1 - _MOST_CALLS :], call]
            output.register_hook(call.reached)  # type: ignore[no-untyped-call]
        if output.numel() <= _LARGEST:
            made = _Made(output.detach(), root, _labels(given), _operation(output))
            self._made = [*self._made[1 - _MOST_MADE :], made]
        self._compare(root, given, places)

    def stepped(self, roots: Collection[int], backward: int) -> None:
        """An optimizer that holds parameters of these models stepped, after so many backwards."""
        calls = [c for c in self._calls if c.signs is not None]
        self._calls = [c for c in self._calls if c.signs is None]
        for judge, maker in {(c.judge, c.maker) for c in calls if c.maker >= 0}:
            if judge not in roots and maker not in roots:
                continue  # of a third player
            pair = self._pairs.setdefault((judge, maker), _Pair())
            made = [c for c in calls if (c.judge, c.maker) == (judge, maker)]
            if judge in roots and maker in roots:
                pair.joint_steps += 1
                _add(pair.made_by_joint, made)
            elif judge in roots:
                pair.judge_steps += 1
                _add(pair.made_by_judge, made)
                _add(pair.others_by_judge, [c for c in calls if c.judge == judge and c.maker < 0])
            else:
                pair.maker_steps += 1
                pair.maker_backward = backward
                _add(pair.made_by_maker, made)
                told = [c for c in made if c.other_labels is not None]
                pair.labelled += len(told)
                pair.other_labels += sum(c.other_labels is True for c in told)
                pair.judged_location = told[-1].line if told else pair.judged_location

    def _compare(self, judge: int, given: list[torch.Tensor], known: list[tuple[int, _Made]]) -> None:
        """What a judge is given of a maker, and what it is given of others: do they lie in the same range?"""
        for place, made in known[:1]:
            pair = self._pairs.setdefault((judge, made.root), _Pair())
            if made.operation in RANGES and self._looks.get((judge, made.root), 0) < _MOST_COMPARED:
                pair.made_by = made.operation
                pair.made_range = _wider(pair.made_range, made.output)
                self._shapes[judge, made.root] = place, made.output.shape[1:]
        for (who, maker), pair in self._pairs.items() if not known else ():
            place, shape = self._shapes.get((who, maker), (len(given), None))
            data = [t for t in given[place : place + 1] if t.shape[1:] == shape and t.is_floating_point()]
            looks = self._looks.get((who, maker), 0)
            if who != judge or not data or looks >= _MOST_COMPARED or any(t.requires_grad for t in data):
                continue
            self._looks[who, maker] = looks + 1
            low, high = RANGES[pair.made_by]
            margin = _BEYOND * (high - low if math.isfinite(high) else 1.0)
            pair.others_range = _wider(pair.others_range, data[0])
            pair.others += data[0].numel()
            pair.others_outside += int(((data[0] < low - margin) | (data[0] > high + margin)).sum())

    def forget(self) -> None:
        """The learning pass is over: give the memory back."""
        self._made.clear()
        self._calls.clear()

    def save(self) -> None:
        """Write what was seen."""
        moved = {k: p for k, p in self._pairs.items() if p.judge_steps or p.maker_steps or p.joint_steps}
        for i, ((judge, maker), pair) in enumerate(moved.items()):
            self.watch.writer.put(Opponents(judge, maker, **vars(pair)), i)

    def _maker_of(self, given: torch.Tensor) -> _Made | None:
        for known in reversed(self._made):
            made = known.output
            if given.numel() == made.numel() and given.device == made.device and given.data_ptr() == made.data_ptr():
                return known
        return None


def _operation(output: torch.Tensor) -> str:
    """The operation that made the values, in lower case: ``tanh``."""
    node = behind_views(output.grad_fn)
    return str(node.name()).lower().rstrip("0123456789").removesuffix("backward") if node is not None else ""


def _wider(known: list[float], values: torch.Tensor) -> list[float]:
    if not values.numel():
        return known
    low, high = (float(v) for v in torch.aminmax(values.detach()))
    return [min([low, *known[:1]]), max([high, *known[1:]])]


def _labels(given: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Whole numbers, one for each example."""
    whole = [t for t in given if t.dim() == 1 and not t.is_floating_point() and is_plain_tensor(t)]
    return [t for t in whole if 1 < len(t) <= _MOST_LABELS]


def _others(asked: Sequence[torch.Tensor], made_for: Sequence[torch.Tensor]) -> bool | None:
    """Whether one set of labels differs from the other; None unless each is one, of as many examples."""
    if len(asked) != 1 or len(made_for) != 1 or asked[0].shape != made_for[0].shape:
        return None
    return not bool((asked[0] == made_for[0].to(asked[0].device)).all())


def _add(counts: list[int], calls: Sequence[_Judged]) -> None:
    for call in calls:
        positive, negative = call.signs.tolist() if call.signs is not None else (0, 0)
        counts[0] += positive
        counts[1] += negative
