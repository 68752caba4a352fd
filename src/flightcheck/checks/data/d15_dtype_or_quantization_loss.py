"""D15: a conversion took the information out of the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._inputs import FIRST_LAYERS, REGRESSION, first_layer, line_of, main_inputs
from flightcheck.checks.data._lost_digits import (
    Rounded,
    cancelled,
    coarse_angles,
    cut_in_buffer,
    rounded_inputs,
)
from flightcheck.recording.batches import Batch
from flightcheck.recording.cancellations import Cancellation
from flightcheck.recording.coarse_angles import CoarseAngles
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_INTEGER = re.compile(r"\b(u?int\d*|long|byte|short|uint8|LongTensor|IntTensor|ByteTensor|int_)\b")
_CONVERTS = re.compile(r"/|\.(long|int|short|char|astype)\(|\.(to|type)\([^)]*(int|long|short)|\bint\(")
"""What may take fractions from a target; outcomes of games and ratings are whole from the start."""
_DIVISION = re.compile(r"/")
_PIXELS = 100
"""Divisors below put no pixels between 0 and 1."""
_GROUPS = 8
"""Divisors below make groups of a few numbers, on purpose."""
_CUT = "is written into an array of whole numbers"
_FLOOR = re.compile(r"//")


@check(
    "D15",
    "dtype-or-quantization-loss",
    severity="error",
    evidence="X",
    needs=("batches",),
    fix="Convert to float once, before any division, and scale once.",
)
class DtypeOrQuantizationLoss(Check):
    """A conversion left almost nothing of the input.

    ## What it checks
    Inputs of a linear, convolutional or recurrent first layer that are all zero in every batch; that never exceed
    1/255 (divided by 255 twice); or that hold at most 3 different values although the line that computes them
    divides and converts to whole numbers (`//`, `.long()`, `uint8`), or an earlier one that divides the data by 8
    or more. Also regression targets of integer type with a handful of values around 0, whose line divides or
    converts, or with few values of a line that does both (warn). Also whole numbers around 0, almost all of them 0
    (in most examples all), that a line writes, divided, into the elements of an array that was made with the type
    of another (`zeros_like`) or with an integer type. Also a float32 input, of any layer, whose neighbouring
    numbers lie more than 0.001 of its standard deviation apart, odd multiples of that spacing as often as even
    ones: more digits were there before (a warning where the spacing is 1 or a simple fraction, on which numbers may
    lie by nature). Also differences within a float32 tensor, taken before the first step, of numbers far from zero
    whose spacing is a tenth of the differences' spread or more. Also sines and cosines of half-precision numbers so
    large that neighbouring ones lie 1 rad apart or more (128 and above in bfloat16): a warning where that is half
    of them, and one line of the script made large numbers half precision; information from 5 % on.
    ## Why it matters
    Pixels divided as integers become 0 or 1, and a second division by 255 leaves less than 0.004: the network sees
    noise, learns the class shares and looks like a bad model. Julian dates, seconds since 1970 and coordinates with an
    offset have more digits than float32 holds: hours become days, and neighbours one point. bfloat16 has none between
    128 and 129: positions and times in it lose their place on the circle.
    ## How to fix
    `x.float() / 255`, once; `np.zeros(x.shape, dtype=np.float32)`; `(t - t.min()).astype(np.float32)`; keep regression
    targets as float.
    ## Source
    Integer division truncates; UMLAUT "input not floating", TheDeepChecker "double normalization".
    ## Known false alarms
    Outcomes of games (-1, 0, 1) and ratings that a line only collects are silent.
    Binary images and one-hot inputs are not flagged: their lines do not divide. Times on a grid of quarter days, or
    coordinates on one of half metres, that float32 just holds.
    """

    batches = Param(5, "a rare feature can be 0 in one batch")
    distinct = Param(3, "integer division of a normalized range leaves 0, 1 and perhaps -1")
    coarse = Param(
        0.5, "of the angles: of those of a rotary embedding in bfloat16 most have digits left, and it learns"
    )
    twice = Param(1 / 255, "the largest value that [0, 255] pixels have after two divisions by 255")

    def __call__(self, run: Run) -> Iterator[Finding]:
        lost = cancelled(run)
        yield from (self._cancelled(c) for c in lost[:1])
        if lost:
            return
        yield from (self._coarse(a) for a in coarse_angles(run)[:1])
        checked = too_few = 0
        for root, batches in main_inputs(run).items():
            kind = first_layer(run, batches[-1])
            if kind not in (*FIRST_LAYERS, "norm") or len(batches[0].shape) < 2:
                continue
            checked += 1
            if len(batches) < self.batches.value:
                too_few += 1
                continue
            others = [b for b in run.batches if b.training and b.root == root and b not in batches]
            reason = self._reason(batches, any(b.maximum > b.minimum for b in others))
            if reason:
                line = (batches[0].buffer if _CUT in reason else None) or line_of(batches[0])
                line = (_cuts_off(batches[0]) if "whole numbers only" in reason else None) or line
                line = (_divided_last(batches[0]) if "twice" in reason else None) or line
                yield Finding(
                    f"The inputs of {self._name(run, root)} {reason}.",
                    location=line,
                    # What was only made small comes back; what was cut off does where the line did not.
                    patch="inputs:x255" if "twice" in reason else _kept(line),
                    evidence={
                        "minimum": min(b.minimum for b in batches),
                        "maximum": max(b.maximum for b in batches),
                        "distinct": max(b.distinct or 0 for b in batches),
                        "dtype": batches[0].dtype,
                    },
                    fix="Make the array with dtype=np.float32 before it is filled." if _CUT in reason else "",
                )
        rounded = rounded_inputs(run, round(self.batches.value))
        yield from (self._rounded(r) for r in rounded)
        targets = list(self._targets(run))
        yield from targets
        if rounded or targets:
            return
        if not checked:
            raise NotApplicable("no model whose first layer weighs plain numbers")
        if too_few == checked:
            raise NotEnoughEvidence(f"fewer than {self.batches.value:.0f} observed batches")

    def _reason(self, batches: list[Batch], fed_otherwise: bool) -> str:
        low, high = min(b.minimum for b in batches), max(b.maximum for b in batches)
        distinct = max((b.distinct if b.distinct is not None else 4097) for b in batches)
        if low == high == 0 and all(b.zeros == 1.0 for b in batches):
            return "" if fed_otherwise else f"are 0 in all {len(batches)} observed batches"
        if low >= 0 and 0.5 * self.twice.value < high <= 1.001 * self.twice.value and distinct > self.distinct.value:
            return f"never exceed {high:.5f}, which is 1/255: they were divided by 255 twice"
        if cut_in_buffer(batches):
            return f"hold only {distinct} different values ({low:g} to {high:g}), because what is divided {_CUT}"
        if distinct <= self.distinct.value and _cuts_off(batches[0]) is not None:
            return (
                f"hold only {distinct} different values ({low:g} to {high:g}), because the line divides and keeps "
                "whole numbers only"
            )
        return ""

    def _targets(self, run: Run) -> Iterator[Finding]:
        for site in run.loss_sites:
            calls: list[LossCall] = [c for c in run.training_calls(*REGRESSION) if c.site == site.index]
            whole = all(c.target_dtype.startswith(("int", "uint")) for c in calls)
            written = _divides_whole(site.target_origin) and all(c.target_integral for c in calls)
            if len(calls) < self.batches.value or not (whole or written):
                continue
            low, high = min(c.target_min for c in calls), max(c.target_max for c in calls)
            values = float(np.max([c.target_distinct or 99 for c in calls]))
            around_zero = low < 0 < high and high - low <= 8 and 3 <= values <= 9
            converted = site.target_origin is None or bool(_CONVERTS.search(_code(site.target_origin)))
            if (around_zero and converted) or (low == high and whole) or (written and values <= self.distinct.value):
                yield Finding(
                    f"The targets of {site.function} are {'' if whole else 'whole numbers in '}{calls[0].target_dtype} "
                    f"with {values:.0f} different values ({low:g} to {high:g}): their fractions were cut off.",
                    location=site.target_origin or site.location,
                    evidence={"dtype": calls[0].target_dtype, "distinct": values},
                    severity="warn",
                    fix="Keep the targets as float: y.float(), not y.long() or astype(int).",
                    patch=_kept(site.target_origin),
                )

    def _rounded(self, found: Rounded) -> Finding:
        first = found.batches[0]
        which = f" in feature {found.feature}" if len(first.shape) > 1 else ""
        natural = " If they were measured so coarsely, nothing is lost." if found.natural else ""
        return Finding(
            f"The inputs (argument {first.argument}) are float32 numbers around {first.maximum:.9g}{which}, where "
            f"neighbouring ones lie {found.spacing:g} apart: {found.spacing / found.spread:.2g} of their standard "
            f"deviation ({found.spread:.3g}), so what is finer was rounded away.{natural}",
            location=line_of(first),
            evidence={"feature": found.feature, "spacing": found.spacing, "spread": found.spread},
            severity="warn" if found.natural else None,
            fix="Subtract the offset (the smallest value) in float64, before the conversion to float32.",
            patch=_rule("from-zero", line_of(first)),
        )

    def _cancelled(self, found: Cancellation) -> Finding:
        return Finding(
            f"Numbers around {found.largest:.9g} are float32 before their differences are taken (line "
            f"{found.difference.line}). Neighbouring ones lie {found.spacing:g} apart there, and the differences "
            f"spread by {found.spread:.3g}: most of what they hold was rounded away.",
            location=found.location,
            evidence={"spacing": found.spacing, "spread": found.spread, "largest": found.largest},
            fix="Take the differences in float64, and make them float32 then: torch.tensor(t, dtype=torch.float64).",
            patch=_rule("double", found.location) if found.converted else "",
        )

    def _coarse(self, found: CoarseAngles) -> Finding:
        made = f" Line {found.halved.line} made them {found.dtype}." if found.halved is not None else ""
        return Finding(
            f"Line {found.location.line} takes the sine or cosine of {found.dtype} numbers up to {found.largest:.5g}, "
            f"where neighbouring ones lie {found.spacing:g} rad apart; {found.coarse / found.elements:.0%} of its "
            f"angles have no digits left for a place on the circle.{made}",
            location=found.halved or found.location,
            evidence={"dtype": found.dtype, "largest": found.largest, "spacing": found.spacing, "coarse": found.coarse},
            severity="warn" if found.halved and found.coarse >= self.coarse.value * found.elements else "info",
            fix="Compute angles in float32, from positions and times in float32; convert to half precision afterwards.",
            patch=_rule("single", found.halved),
        )

    def _name(self, run: Run, root: int) -> str:
        return next((r.name or r.type for r in run.roots if r.index == root), "the model")


def _divided_last(batch: Batch) -> Location | None:
    """The last division by a large number on the way of the data."""
    pairs = zip(batch.divisions, batch.divided_by, strict=False)
    return next((at for at, number in pairs if number >= _PIXELS), None)


def _code(line: Location | None) -> str:
    """The statement without its indices, in which whole numbers are right, and its comment; none with a modulo."""
    code = re.sub(r"\[[^][]*\]", "", line.code if line else "").split("#")[0]
    return "" if "%" in code else code


def _divides_whole(line: Location | None) -> bool:
    """The line divides and then converts to whole numbers."""
    code = _code(line)
    return bool(_DIVISION.search(code) and _INTEGER.search(re.sub(r"^.*?/", "", code, count=1)))


def _cuts_off(batch: Batch) -> Location | None:
    """The line that computes the input, or divides on the way to it, if it keeps whole numbers only."""
    far = (at for at, number in zip(batch.divisions, batch.divided_by, strict=False) if number >= _GROUPS)
    lines = [line_of(batch), *far]
    return next((at for at in lines if _divides_whole(at) or _FLOOR.search(_code(at))), None)


def _kept(line: Location | None) -> str:
    """The trial in which the line keeps fractions."""
    return _rule("fractions", line)


def _rule(rule: str, line: Location | None) -> str:
    """The trial in which the statement at a line is written anew."""
    return f"source:{rule}:{PurePath(line.file).name}:{line.line}" if line is not None else ""
