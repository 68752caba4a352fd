"""What a reshape does to the axes of a tensor: which it keeps, and which it cuts up.

In row-major order ``view`` and ``reshape`` keep the order of the numbers. Axes can be merged with their neighbours and
split; none can pass another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location

_MOST_AXES: Final = 5
"""Of one group: the search is over all assignments."""

Shape = tuple[int, ...]


@frozen
class Reshape:
    """A line that reshapes, and one pair of shapes: only pairs in which neither side only merges or splits axes."""

    operation: str
    location: Location | None
    before: list[int]
    after: list[int]
    step: int = 0
    calls: int = 1
    from_model: bool = False
    """The tensor has a history: it was computed from parameters."""
    plain: bool = False
    """A tensor without history was reshaped here, too."""
    in_module: bool = False
    undone: bool = False
    """The result was at once brought back to the shape before: data that are stored in the other order."""
    written: list[int] = field(default_factory=list)
    """Per argument in the source: the axis of the tensor whose size it is, by its name; -1 where that is not known."""
    state: bool = False
    """The tensor is a last hidden state, (layers, batch, features)."""
    channels: bool = False
    """A convolution takes axis 1 of the result, or of its rows, for channels."""


@frozen
class CrossedRows:
    """A loss whose prediction and target were flattened from the same axes in different orders, before it saw them."""

    site: int
    step: int
    prediction_axes: list[int]
    """Sizes of the axes that became the rows of the prediction, outer ones first; axes of size 1 left out."""
    target_axes: list[int]
    """The same of the target."""
    target_shape: list[int]
    """Shape of the target before it was flattened."""
    location: Location | None = None
    """The line that flattened the target."""
    prediction_location: Location | None = None
    calls: int = 1


RECORDS.update({"Reshape": Reshape, "CrossedRows": CrossedRows})


@frozen
class Move:
    """How the axes would have to be moved: ``x.reshape(split).permute(order).reshape(after)``."""

    split: Shape
    order: tuple[int, ...]
    kept: tuple[tuple[int, int], ...]
    """Axes that keep their size: (number before, number after)."""

    @property
    def code(self) -> str:
        """The call that moves the axes."""
        swapped = [k for k, axis in enumerate(self.order) if axis != k]
        if len(swapped) == 2:
            return f".transpose({swapped[0]}, {swapped[1]})"
        return f".permute({', '.join(map(str, self.order))})"

    @property
    def moved(self) -> Shape:
        """The shape after the move, before anything is merged."""
        return tuple(self.split[k] for k in self.order)


@frozen
class _Group:
    """Neighbouring axes before and after that hold the same numbers, as few as possible; axes of size 1 left out."""

    before: tuple[int, ...]
    after: tuple[int, ...]


def merged_axes(before: Shape, rows: int) -> Shape | None:
    """The leading axes that were merged into so many rows, without those of size 1; None if none make this number."""
    for k in range(1, len(before) + 1):
        if math.prod(before[:k]) == rows:
            return tuple(size for size in before[:k] if size > 1)
    return None


@lru_cache(maxsize=4096)
def regroups(before: Shape, after: Shape) -> bool:
    """Somewhere several axes become several others: more than merging, splitting and axes of size 1."""
    if before == after or 0 in before or math.prod(before) != math.prod(after):
        return False
    return any(len(g.before) > 1 and len(g.after) > 1 for g in _groups(before, after))


@lru_cache(maxsize=1024)
def nested(before: Shape, after: Shape) -> bool:
    """There are finer axes of which both shapes are made by merging neighbours."""
    strides = sorted({*_strides(before), *_strides(after)})
    return all(b % a == 0 for a, b in itertools.pairwise(strides))


@lru_cache(maxsize=1024)
def crossing(before: Shape, after: Shape) -> Move | None:
    """The move of axes that leads to the shape after, where the reshape cuts axes up that keep their size.

    None where no axis (and no block of neighbours) keeps its size and changes its place.
    """
    if not regroups(before, after):
        return None
    split: list[list[int]] = [[s] for s in before]
    place: dict[int, list[tuple[int, int]]] = {j: [] for j in range(len(after))}
    kept: list[tuple[int, int]] = []
    for group in _groups(before, after):
        found = _best(before, after, group)
        if found is None:
            return None
        pieces, placed = found
        for i in group.before:
            split[i] = pieces[i]
        for j in group.after:
            place[j] = placed[j]
        kept += [(p[0][0], j) for j, p in placed.items() if len(p) == 1 and len(pieces[p[0][0]]) == 1]
    start = list(itertools.accumulate([0, *(len(s) for s in split)]))
    order = [start[i] + k for j in range(len(after)) for i, k in place[j]]
    ones = [n for n, s in enumerate(s for part in split for s in part) if n not in order]
    if order == sorted(order):
        return None
    return Move(tuple(s for part in split for s in part), (*order, *ones), tuple(sorted(kept)))


def same_sizes(before: Shape, after: Shape) -> list[tuple[int, int]]:
    """Axes that may be the same one at another place: (number before, number after), within groups that are cut up."""
    return [
        (i, j)
        for g in _groups(before, after)
        if len(g.before) > 1 and len(g.after) > 1
        for i in g.before
        for j in g.after
        if before[i] == after[j]
    ]


def _strides(shape: Shape) -> list[int]:
    return list(itertools.accumulate(reversed(shape), lambda a, b: a * b, initial=1))


@lru_cache(maxsize=1024)
def _groups(before: Shape, after: Shape) -> tuple[_Group, ...]:
    found: list[_Group] = []
    left: list[int] = []
    right: list[int] = []
    a = b = 1
    i = j = 0
    while i < len(before) or j < len(after):
        if a <= b and i < len(before):
            a, i = a * before[i], i + 1
            left += [i - 1] if before[i - 1] > 1 else []
        elif j < len(after):
            b, j = b * after[j], j + 1
            right += [j - 1] if after[j - 1] > 1 else []
        else:
            a, i = a * before[i], i + 1
            left += [i - 1] if before[i - 1] > 1 else []
        if a == b and left and right:
            found.append(_Group(tuple(left), tuple(right)))
            left, right, a, b = [], [], 1, 1
    return tuple(found)


_Pieces = dict[int, list[int]]
_Places = dict[int, list[tuple[int, int]]]
"""Number of an axis after → the pieces that make it: (number of the axis before, number of its piece)."""


def _best(before: Shape, after: Shape, group: _Group) -> tuple[_Pieces, _Places] | None:
    """The pieces of the axes before, and where they lie after, with as many whole axes as possible."""
    if len(group.before) == 1 or len(group.after) == 1:
        return _refined(before, after, list(group.before), list(group.after))
    if max(len(group.before), len(group.after)) > _MOST_AXES:
        return None
    solutions = [*_merged(before, after, group), *_split(before, after, group), *_surviving(before, after, group)]
    return max(solutions, key=lambda s: _likelihood(group, *s), default=None)


def _likelihood(group: _Group, pieces: _Pieces, placed: _Places) -> tuple[int, int, int]:
    """What is meant keeps most axes whole, gives these another place, and else moves as little as it can."""
    whole = [(p[0][0], j) for j, p in placed.items() if len(p) == 1 and len(pieces[p[0][0]]) == 1]
    moved = sum(group.before.index(i) != group.after.index(j) for i, j in whole)
    order = [piece for j in group.after for piece in placed[j]]
    return len(whole), moved, -sum(a > b for a, b in itertools.combinations(order, 2))


def _merged(before: Shape, after: Shape, group: _Group) -> Iterator[tuple[_Pieces, _Places]]:
    """Each axis after is a product of axes before."""
    for assignment in itertools.product(group.after, repeat=len(group.before)):
        placed: _Places = {j: [] for j in group.after}
        for i, j in zip(group.before, assignment, strict=True):
            placed[j].append((i, 0))
        if all(math.prod(before[i] for i, _ in p) == after[j] for j, p in placed.items()):
            yield {i: [before[i]] for i in group.before}, placed


def _split(before: Shape, after: Shape, group: _Group) -> Iterator[tuple[_Pieces, _Places]]:
    """Each axis before is a product of axes after."""
    for assignment in itertools.product(group.before, repeat=len(group.after)):
        pieces: _Pieces = {i: [] for i in group.before}
        placed: _Places = {}
        for j, i in zip(group.after, assignment, strict=True):
            placed[j] = [(i, len(pieces[i]))]
            pieces[i].append(after[j])
        if all(math.prod(p) == before[i] for i, p in pieces.items()):
            yield pieces, placed


def _surviving(before: Shape, after: Shape, group: _Group) -> Iterator[tuple[_Pieces, _Places]]:
    """One axis keeps its size, and the others are regrouped in their order."""
    for i, j in itertools.product(group.before, group.after):
        if before[i] == after[j]:
            rest = [k for k in group.before if k != i], [k for k in group.after if k != j]
            found = _refined(before, after, *rest)
            if found is not None:
                yield {**found[0], i: [before[i]]}, {**found[1], j: [(i, 0)]}


def _refined(before: Shape, after: Shape, left: Sequence[int], right: Sequence[int]) -> tuple[_Pieces, _Places] | None:
    """The common pieces of two rows of axes, in their order; None where one's borders do not fit the other's."""
    pieces: _Pieces = {i: [] for i in left}
    placed: _Places = {j: [] for j in right}
    sources, targets = [*left], [*right]
    a = before[sources[0]] if sources else 1
    b = after[targets[0]] if targets else 1
    while sources and targets:
        if a % b and b % a:
            return None
        # The outer piece is what the smaller of the two needs: both are counted from the outside.
        piece = min(a, b)
        i, j = sources[0], targets[0]
        placed[j].append((i, len(pieces[i])))
        pieces[i].append(piece)
        a, b = a // piece, b // piece
        if a == 1:
            sources.pop(0)
            a = before[sources[0]] if sources else 1
        if b == 1:
            targets.pop(0)
            b = after[targets[0]] if targets else 1
    return (pieces, placed) if not sources and not targets else None
