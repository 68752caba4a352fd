"""C32: a reshape where the axes had to be moved."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.layouts import CrossedRows, Move, Reshape, crossing, nested, same_sizes
from flightcheck.recording.loss_records import TargetShift
from flightcheck.recording.run import Run


@check(
    "C32",
    "axes-mixed-by-reshape",
    severity="error",
    evidence="X",
    needs=("reshapes", "CrossedRows"),
    fix="Move axes with transpose or permute; view and reshape only merge and split neighbours.",
    patch="axes:permute",
)
class AxesMixedByReshape(Check):
    """A view or reshape stands where axes had to be moved: numbers of different examples or positions are mixed.

    ## What it checks
    Calls of `view` and `reshape` in the script's own lines, on data and on activations, by their shapes. A reshape
    keeps the order of the numbers, so an axis of the shape before that stands at the other side of another axis
    afterwards has not been moved but cut up. Told only where this is no coincidence: there are no finer axes of
    which both shapes are made by merging neighbours; or the size is written as that of the axis (`T` of `B, T, C =
    x.shape`); or it changes from call to call and the axis with it; or three axes keep their sizes; or a list of
    pairs is turned; or the last axis stands on axis 1 where a convolution has its channels; or the tensor is a last
    hidden state of a recurrent layer; or outputs depend on other examples of the batch (C03). And losses whose
    prediction and target were flattened from axes of the same sizes in different orders, (batch, time) and (time,
    batch): row by row they do not belong together. And rows that were made of one long row of tokens, if time goes
    across them: the model's next token lies as many places further on as there are examples (`data.view(-1, batch)`
    where `data.view(batch, -1).t()` was meant).
    ## Why it matters
    Shapes fit and nothing fails, but a row of the result holds pieces of several examples, positions or channels. What
    the next layers are to find is torn apart.
    ## How to fix
    `x.transpose(0, 1)` for time and batch, `x.permute(0, 3, 1, 2)` for images with the channels last,
    `edges.t()`, `x.view(B, T, H, D).transpose(1, 2)` for heads, `h.transpose(0, 1).reshape(B, -1)` for last states.
    ## Source
    PyTorch documentation of `Tensor.view` and `torch.permute`; Karpathy, A Recipe for Training Neural Networks.
    ## Known false alarms
    Layers that keep to the mixed order of another implementation (Darknet's reorganization), random numbers whose order
    means nothing. Prediction and target that are mixed in the same way, results that are at once brought back to the
    shape before, and parameters are not flagged; what reaches a loss over classes is L06's.
    """

    axes = Param(3, "three axes do not keep their sizes at other places by coincidence, two may: (N, H·D) to (N·H, D)")
    pair = Param(4, "an edge list or points: a whole tensor of so few columns that is made to so few rows")
    ratio = Param(8, "rows of such a list per column; below, batches cut in pieces may look like it")
    pairs = Param(3, "calls of a loss: by their sizes they are no coincidence, but one may be the rest of the data")
    moved = Param(1e-7, "the limit of C03: far above what float64 rounds, far below what a leak moves")

    def __call__(self, run: Run) -> Iterator[Finding]:
        across = [s for s in run.target_shifts if s.stream and s.stream_location is not None]
        if len(across) >= self.pairs.value and len(across) == len(run.target_shifts):
            yield self._across(across)
            return
        crossed = [c for c in run.recorded(CrossedRows) if c.calls >= self.pairs.value]
        if crossed:
            yield from map(self._crossed, crossed)
            return
        if not run.reshapes:
            if not run.info.steps and not run.info.backwards:
                raise NotApplicable("no training step was seen")
            return
        lines: dict[str, list[Reshape]] = {}
        for r in run.reshapes:
            lines.setdefault(str(r.location), []).append(r)
        unsure = told = 0
        for here in lines.values():
            moves = [crossing(tuple(r.before), tuple(r.after)) for r in here]
            if None in moves or any(r.undone for r in here) or self._told_elsewhere(run, here[0]):
                continue
            if all(self._same_on_both_sides(run.reshapes, r) for r in here):
                continue
            reason = self._certain(run, here)
            if reason:
                told += 1
                shown = next((r for r in here if not nested(tuple(r.before), tuple(r.after))), here[0])
                yield self._finding(shown, here, reason)
            unsure += not reason
        if unsure and not told:
            raise NotEnoughEvidence(f"{unsure} reshapes may move axes or merge and split them: the sizes fit both")

    @staticmethod
    def _across(shifts: list[TargetShift]) -> Finding:
        at, apart = shifts[-1].stream_location, shifts[-1].stream
        assert at is not None
        return Finding(
            f"Of one long row of tokens rows of {apart} are made, and time goes from row to row: what the model "
            f"is given as two tokens in a row lies {apart} places apart in the text.",
            location=at,
            evidence={"apart": apart, "calls": len(shifts)},
            onset_step=shifts[0].step,
            fix="Let each example be a piece of the text: data.view(batch, -1).t(), with time first.",
            patch=f"axes:stream:{PurePath(at.file).name}:{at.line}",
        )

    @staticmethod
    def _crossed(found: CrossedRows) -> Finding:
        """Prediction and target of a loss are flattened in different orders."""
        predicted, wanted, shape = tuple(found.prediction_axes), tuple(found.target_axes), tuple(found.target_shape)
        at, left = found.location, [i for i, size in enumerate(shape) if size > 1]
        order = [left.pop(next(k for k, i in enumerate(left) if shape[i] == size)) for size in predicted]
        order += [i for i in range(len(shape)) if i not in order]
        permuted = f".permute({', '.join(map(str, order))})"
        return Finding(
            f"The rows of the prediction are flattened from axes of sizes {predicted}, those of its target from "
            f"{wanted}: row by row, the two do not belong together.",
            location=at or found.prediction_location,
            evidence={
                "prediction_axes": found.prediction_axes,
                "target_axes": found.target_axes,
                "prediction_line": str(found.prediction_location),
                "moved": permuted,
            },
            onset_step=found.step,
            fix=f"Bring both into the same order before they are flattened: target{permuted} here, or no transpose "
            "of the prediction.",
            patch=f"axes:target={'.'.join(map(str, order))}:{PurePath(at.file).name}:{at.line}" if at else "",
        )

    def _certain(self, run: Run, here: Sequence[Reshape]) -> str:
        """Why the sizes cannot be a coincidence; empty if they can."""
        for r in here:
            before, after = tuple(r.before), tuple(r.after)
            pairs = same_sizes(before, after)
            if not nested(before, after):
                return "there are no finer axes of which both shapes could be made"
            if any(j < len(r.written) and r.written[j] == i for i, j in pairs):
                return "its size is written as that of the axis"
            if r.state and any(i == 1 for i, _ in pairs):
                return "axis 1 of a last hidden state holds the examples"
            move = crossing(before, after)
            kept = [i for i, j in (move.kept if move else ()) if (i, j) in pairs]
            if len(kept) >= self.axes.value:
                return f"{len(kept)} axes keep their sizes"
            if self._list_of_pairs(before, after):
                return "rows and columns keep their sizes"
            if r.channels and _channels_first(before, after):
                return "the convolution behind it takes axis 1 for channels"
            if r.in_module and any(0 in p for p in pairs) and self._leaks(run):
                return "the outputs depend on other examples of the batch"
        return "its size changes from call to call, and the axis with it" if _follows(here) else ""

    def _list_of_pairs(self, before: Sequence[int], after: Sequence[int]) -> bool:
        """(E, 2) to (2, E)."""
        return (
            len(before) == 2
            and list(before) == [*after][::-1]
            and before[1] <= self.pair.value
            and before[0] >= self.ratio.value * before[1]
        )

    def _leaks(self, run: Run) -> bool:
        """An output depends on the other examples of its batch (C03)."""
        found = next((p.result for p in run.probes if p.name == "leaks"), {})
        return float(found.get("examples", 0.0)) > self.moved.value

    @staticmethod
    def _told_elsewhere(run: Run, r: Reshape) -> bool:
        """L06 names this line: classes torn apart in front of the loss."""
        return any(
            a.relation == "mixed"
            and a.producer_classes in a.input_shape[1:2]
            and str(a.view_location) == str(r.location)
            for a in run.loss_axes
        )

    @staticmethod
    def _same_on_both_sides(reshapes: Sequence[Reshape], r: Reshape) -> bool:
        """Prediction and target are mixed in the same way before they are compared: no number meets another one."""
        if r.in_module:
            return False
        same = [o for o in reshapes if not o.in_module and o.before == r.before and o.after == r.after]
        return any(o.from_model for o in same) and any(o.plain for o in same)

    @staticmethod
    def _finding(shown: Reshape, here: Sequence[Reshape], reason: str) -> Finding:
        before, after = tuple(shown.before), tuple(shown.after)
        move = crossing(before, after)
        assert move is not None
        at, to = _axis(before, after, move)
        count = _mixed(before, after, at, to) if at >= 0 else 0
        what = f"axis {at} ({before[at]}) cannot get to place {to}" if at >= 0 else "no axis can pass another"
        held = f", and index 0 there holds numbers of {count} different indices" if count > 1 else ""
        return Finding(
            f"{shown.operation} makes {after} of {before}. It keeps the order of the numbers, so {what}{held} "
            f"({reason}).",
            location=shown.location,
            evidence={
                "before": shown.before,
                "after": shown.after,
                "reason": reason,
                "calls": sum(r.calls for r in here),
                "order": list(move.order),
                "in_module": shown.in_module,
            },
            onset_step=min(r.step for r in here),
            fix=_fix(before, after, move),
            patch=f"axes:permute:{PurePath(shown.location.file).name}:{shown.location.line}" if shown.location else "",
        )


def _channels_first(before: Sequence[int], after: Sequence[int]) -> bool:
    """(N, T, C) to (N, C, T): whoever piles steps up, (N, T/k, k·C), has no channels on axis 1."""
    return len(before) > 2 and [before[0], before[-1], *before[1:-1]] == [*after]


def _follows(here: Sequence[Reshape]) -> bool:
    """An axis has another size in another call, and stands at the same new place in both.

    There and back on one line are two calls, and no habit.
    """

    def sizes(r: Reshape) -> dict[tuple[int, int], int]:
        return {(i, j): r.before[i] for i, j in same_sizes(tuple(r.before), tuple(r.after))}

    return any(
        one.before != other.after
        and (len(one.before), len(one.after)) == (len(other.before), len(other.after))
        and any(sizes(other).get(p, size) != size for p, size in sizes(one).items())
        for one, other in itertools.combinations(here, 2)
    )


def _axis(before: Sequence[int], after: Sequence[int], move: Move) -> tuple[int, int]:
    """The axis that the message speaks of: of those that had to pass another one, the one that goes farthest."""
    pairs = set(same_sizes(tuple(before), tuple(after)))
    moved = [p for p in move.kept if p in pairs]
    return max(moved, key=lambda p: (abs(p[0] - p[1]), before[p[0]]), default=(-1, -1))


def _mixed(before: Sequence[int], after: Sequence[int], i: int, j: int) -> int:
    """How many indices of the axis i before lie at index 0 of the axis j after."""
    inner_i, inner_j = math.prod(before[i + 1 :]), math.prod(after[j + 1 :])
    most = min(inner_j, 20_000)
    blocks = range(min(math.prod(after[:j]), max(1, 20_000 // most)))
    return len({(b * after[j] * inner_j + r) // inner_i % before[i] for b in blocks for r in range(most)})


def _fix(before: tuple[int, ...], after: tuple[int, ...], move: Move) -> str:
    split = "" if move.split == before else f".reshape{move.split}"
    merged = "" if move.moved == after else f".reshape{after}"
    return f"Write {split}{move.code}{merged} there: permute and transpose move axes."
