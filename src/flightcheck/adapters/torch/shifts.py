"""Next-token training: how far ahead of the token that a model is given does the target lie?"""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.identity import ByIdentity
from flightcheck.adapters.torch.padded_outputs import BATCH_FIRST, RECURRENT
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.loss_records import TargetShift
from flightcheck.recording.records import Location

SHIFTS: Final = (1, 0, 2, 3, 4, -1)
"""Distances that are looked at. 1 is first: where it fits as well as others, it is the one that is meant."""
_FITS: Final = 0.95
"""Share of the positions that tell two shifts apart: some tokens may be replaced (noise, unknown words)."""
_TELLING: Final = 32
"""Positions at which another shift would give another target: fewer may agree by chance."""
_MASKED: Final = 0.5
"""A target at fewer positions is that of a masked language model: the token itself, at some of them."""
_HIDDEN: Final = 0.7
"""Share of the positions left out that hold one id: BERT replaces eight in ten by the mask, one by another token."""
_OPEN: Final = 0.01
"""Share of the counted positions that may hold it, too."""
_KEPT: Final = 8
_KEPT_PER_LINE: Final = 16
_MOST_LINES: Final = 32
_MOST_TOKENS: Final = 262_144
_MOST_NODES: Final = 24
_SHORTEST: Final = 4
_PASSED_OVER: Final = {
    "ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "SqueezeBackward0", "SqueezeBackward1",
    "UnsqueezeBackward0", "TransposeBackward0", "PermuteBackward0", "TBackward0", "CloneBackward0", "AliasBackward0",
    "ToCopyBackward0", "LogSoftmaxBackward0", "SoftmaxBackward0",
}  # fmt: skip
"""Nodes that leave each position where it is in its sequence, or only move axes."""


Slice = tuple[Any, int, int, int, int]


class Embedded:
    """The token ids that were looked up in this round: what a model is given, wherever its arguments come from.

    Arguments of a model may be targets (``model(x, labels=y)``); what is embedded is an input.
    """

    def __init__(self) -> None:
        self.ids: deque[torch.Tensor] = deque(maxlen=_KEPT)
        self.of_one_row: ByIdentity[bool] = ByIdentity()
        """Those of them that are views of one long row."""
        self.forward_only: deque[torch.Tensor] = deque(maxlen=_KEPT)
        """Those of them that went into a recurrent layer which goes forward in time only."""
        self._looked_up: deque[tuple[weakref.ref[torch.Tensor], torch.Tensor]] = deque(maxlen=_KEPT)

    def clear(self) -> None:
        """A round is over."""
        self.ids.clear()
        self.forward_only.clear()
        self._looked_up.clear()

    def into_layer(self, name: str, args: Any, result: Any) -> None:
        """An operation was made: a recurrent layer, or a dropout before it."""
        if not args or name not in (*RECURRENT, "dropout"):
            return
        for reference, ids in list(self._looked_up):
            if reference() is args[0] and name == "dropout":
                self._looked_up.append((weakref.ref(result), ids))
            elif reference() is args[0] and len(args) > BATCH_FIRST and args[BATCH_FIRST - 1] is False:
                self.forward_only.append(ids)

    def note(self, args: Any, kwargs: Any, result: Any = None) -> None:
        """``embedding`` was called."""
        for t in (*args[:2], kwargs.get("input")):
            if isinstance(t, torch.Tensor) and not t.is_floating_point() and is_plain_tensor(t):
                if t.dim() == 2 and min(t.shape) >= 1 and max(t.shape) >= _SHORTEST and t.numel() <= _MOST_TOKENS:
                    self.ids.append(t.detach())
                    if t._base is not None and t._base.dim() == 1:
                        self.of_one_row[self.ids[-1]] = True
                    if isinstance(result, torch.Tensor):
                        self._looked_up.append((weakref.ref(result), self.ids[-1]))
                return


class CutIds:
    """Parts that the script cut out of ids by an index, and the lines that did: a target is found again among them."""

    def __init__(self) -> None:
        self._parts: dict[Location, deque[torch.Tensor]] = {}

    def note(self, part: torch.Tensor, line: Location | None) -> None:
        """An index gave these ids."""
        if line is None or part.dim() not in (1, 2) or part.dtype is torch.bool or not is_plain_tensor(part):
            return
        if (
            part.shape[-1] >= _SHORTEST
            and part.numel() <= _MOST_TOKENS
            and (line in self._parts or len(self._parts) < _MOST_LINES)
        ):
            self._parts.setdefault(line, deque(maxlen=_KEPT_PER_LINE)).append(part.detach())

    def line_of(self, rows: torch.Tensor) -> Location | None:
        """The last line that cut out these rows, all of them or one."""
        for line, parts in reversed(self._parts.items()):
            for part in parts:
                if part.device == rows.device and part.shape[-1] == rows.shape[1]:
                    whole = part.dim() == 2 and torch.equal(part, rows)
                    if whole or (part.dim() == 1 and bool((rows == part).all(1).any())):
                        return line
        return None

    def clear(self) -> None:
        """Forget them."""
        self._parts.clear()


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a target lies beside the ids of a model."""

    ids: torch.Tensor
    """Rows of sequences, time last."""
    target: torch.Tensor
    """The target of the same rows."""
    start: int
    """Position in the sequence of the first output that is compared."""
    axis: int
    """Axis of time in the ids as the model is given them."""


def shift_of(
    target: torch.Tensor,
    made: Any,
    inputs: Iterable[torch.Tensor],
    *,
    site: int,
    step: int,
    ignored: int,
    lines: Mapping[Any, Location],
    cut: CutIds,
    forward_only: Sequence[torch.Tensor] = (),
    stream_line: Callable[[torch.Tensor], Location | None] = lambda ids: None,
) -> TargetShift | None:
    """The shift between embedded ids and a target that is made of the same tokens; None if none fits.

    Args:
        target: class ids, in the shape of the positions or flattened.
        made: the node that made the prediction; slices of its axis of time are read from the graph.
        inputs: ids that were embedded in this round.
        site: of the loss.
        step: of the training.
        ignored: the class id that the loss leaves out.
        lines: node → line.
        cut: where the script cut ids to pieces.
        forward_only: those of `inputs` that a layer sees up to each position only.
        stream_line: where rows were made of the one row that ids are a view of.
    """
    if target.is_floating_point() or not is_plain_tensor(target) or not 0 < target.numel() <= _MOST_TOKENS:
        return None
    slices = slices_of(made)
    found: list[TargetShift] = []
    for ids in inputs:
        for layout in layouts(ids, target.detach(), slices):
            fits = fitting(layout, ignored)
            if fits is not None:
                shift, telling, share = fits
                node = next((n for n, dim, *_ in slices if _is_time(dim, layout.axis)), None)
                line = lines.get(node) if node is not None else None
                made_at = None if shift == 1 or line is not None else cut.line_of(layout.target)
                past = any(ids is one for one in forward_only)
                hidden = hidden_id(layout, ignored) if shift == 0 else None
                apart = across(ids, layout.axis) if shift == 1 else 0
                cut_at = stream_line(ids) if apart else None
                apart = apart if cut_at is not None else 0
                told = TargetShift(site, step, shift, telling, share, layout.start, line, made_at, past)
                found.append(dataclasses.replace(told, hidden=hidden, stream=apart, stream_location=cut_at))
    return min(found, key=lambda f: SHIFTS.index(f.shift), default=None)


def slices_of(node: Any) -> list[Slice]:
    """The slices between an output and the loss: node, axis, first index, how many (-1 for a stride), of how many."""
    found: list[Slice] = []
    for _ in range(_MOST_NODES):
        if node is None or not node.next_functions:
            break
        if node.name() == "SliceBackward0":
            dim, sizes = int(node._saved_dim), list(node._saved_self_sym_sizes)
            first, last, _ = slice(_signed(node._saved_start), _signed(node._saved_end), 1).indices(int(sizes[dim]))
            step = int(node._saved_step)
            if step != 1 or last - first != sizes[dim]:
                found.append((node, dim, first, (last - first) if step == 1 else -1, int(sizes[dim])))
        elif node.name() not in _PASSED_OVER:
            break
        node = node.next_functions[0][0]
    return found


def _signed(value: Any) -> int:
    """PyTorch keeps indices as unsigned numbers."""
    number = int(value)
    return number - 2**64 if number >= 2**63 else number


def _is_time(dim: int, axis: int) -> bool:
    return dim == 0 if axis == 0 else dim >= 1


def layouts(ids: torch.Tensor, target: torch.Tensor, slices: Sequence[Slice]) -> Iterator[Layout]:
    """The ways in which a target can belong to the ids: with time second, or first."""
    for axis in (1, 0):
        length, rows = ids.shape[axis], ids.shape[1 - axis]
        of_time = [s for s in slices if _is_time(s[1], axis)]
        if len(of_time) != len(slices) or len(of_time) > 1 or length < _SHORTEST:
            continue
        start, wanted = 0, length
        if of_time:
            _, _, start, wanted, size = of_time[0]
            if size != length:
                continue
        shape = (rows, wanted) if axis == 1 else (wanted, rows)
        if wanted < 1 or target.numel() != math.prod(shape) or (target.dim() > 1 and tuple(target.shape) != shape):
            continue
        y = target.reshape(shape)
        yield Layout(ids if axis == 1 else ids.T, y if axis == 1 else y.T, start, axis)


def fitting(layout: Layout, ignored: int) -> tuple[int, int, float] | None:
    """The shift that fits, the positions that tell it from the others, and the share of them that agree.

    Where a sequence equals itself moved by one, both shifts fit: only positions count at which its neighbours differ.
    """
    for shift in SHIFTS:
        pairs = _pairs(layout, shift)
        if pairs is None:
            continue
        given, y, at = pairs
        counted = y != ignored
        telling = torch.ones_like(counted)
        for other in (0, 1, 2):
            if other != shift:
                # the ids at another distance, or the end of the sequence: there nothing can be told apart
                there = (at + other).clamp(0, layout.ids.shape[1] - 1)
                telling &= (layout.ids[:, there] != given) & (at + other < layout.ids.shape[1])
        telling &= counted
        n = int(telling.sum())
        if n < _TELLING or (shift == 0 and int(counted.sum()) < _MASKED * counted.numel()):
            continue
        share = float((given == y)[telling].double().mean())
        if share >= _FITS and (shift == 1 or float((given == y)[counted].double().mean()) >= _FITS):
            return shift, n, share
    return None


def across(ids: torch.Tensor, axis: int) -> int:
    """How far apart in memory the ids lie that follow each other in time (`axis`), where the others are neighbours."""
    if ids.dim() != 2 or min(ids.shape) < 2:
        return 0
    in_time, across_rows = ids.stride(axis), ids.stride(1 - axis)
    return in_time if across_rows == 1 < in_time else 0


def hidden_id(layout: Layout, ignored: int) -> int | None:
    """The id that the model is given at the positions which the loss leaves out, and nearly nowhere else; None if
    there is none, or if it may be padding.
    """
    given = layout.ids[:, layout.start : layout.start + layout.target.shape[1]]
    counted = layout.target.to(given.device) != ignored
    if given.shape != counted.shape:
        return None
    behind = counted.flip(1).long().cumsum(1).flip(1) > 0
    left_out = ~counted & behind & (counted.long().cumsum(1) > 0)  # padding has nothing on one side
    if int(left_out.sum()) < _TELLING:
        return None
    values, counts = torch.unique(given[left_out], return_counts=True)
    most = int(values[counts.argmax()])
    if most == ignored or int(counts.max()) < _HIDDEN * int(left_out.sum()):
        return None
    return most if float((given[counted] == most).double().mean()) <= _OPEN else None


def _pairs(layout: Layout, shift: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """Ids at a distance, the targets that would be those, and the positions of the outputs."""
    at = layout.start + torch.arange(layout.target.shape[1], device=layout.ids.device)
    inside = (at + shift >= 0) & (at + shift < layout.ids.shape[1])
    if not bool(inside.any()):
        return None
    at = at[inside]
    target = layout.target.to(layout.ids.device)
    return layout.ids[:, at + shift], target[:, inside], at
