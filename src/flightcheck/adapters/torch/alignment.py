"""Does a mask lie over its image? Targets as large as the input, compared with it as they are and turned over.

What the target has to do with the image is taken from the examples themselves, by a linear fit of the target at a place
on the image around it. Where a part of the images was turned over without their targets, the fit of the other part
shows for each example which way its target lies.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F

from flightcheck.adapters.torch.point_alignment import PointImages
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.alignments import MapAlignment
from flightcheck.recording.provenance.turned import turning_lines
from flightcheck.recording.records import Location

_SMALLEST: Final = 8
_SIZE: Final = 32
"""Maps are made this large at most."""
_PER_CALL: Final = 32
_MOST: Final = 256
_FEWEST: Final = 16
_FIT: Final = 0.5
"""Correlation of a target with what the fit says: below, the image says nothing about it."""
_MARGIN: Final = 0.25
"""By so much the better way has to be better, or the example is symmetric."""
_NEAR: Final = 3
"""A target that fits after a shift by so many places is not turned over but moved, as in the next frame of a film."""
_SAMPLES: Final = 200_000
_SAID: Final = {
    "left to right": re.compile(r"-1\b|fliplr|hflip|horizontal", re.IGNORECASE),
    "upside down": re.compile(r"-2\b|flipud|vflip|vertical", re.IGNORECASE),
}
"""Names and axes of turns in a line."""

Inputs = Sequence[tuple[str, "weakref.ref[torch.Tensor]"]]
TURNS: Final[dict[str, Callable[[torch.Tensor], torch.Tensor]]] = {
    "left to right": lambda y: y.flip(-1),
    "upside down": lambda y: y.flip(-2),
    "by 180 degrees": lambda y: y.flip(-1, -2),
    "by 90 degrees": lambda y: y.rot90(1, (-2, -1)),
    "by 270 degrees": lambda y: y.rot90(3, (-2, -1)),
    "about the diagonal": lambda y: y.transpose(-1, -2),
}


class Alignment:
    """Small copies of images and of their targets, of the first training calls of each loss."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._kept: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        self._points = PointImages()

    def observed(self, site: int, target: torch.Tensor, inputs: Inputs) -> None:
        """A loss is called in training; the model was given `inputs` last."""
        self._points.observed(site, target, inputs)
        kept = self._kept.setdefault(site, [])
        if sum(len(y) for _, y in kept) >= _MOST or len(self._kept) > 8:
            return
        y = target.detach()
        y = y[:, 0] if y.dim() == 4 and y.shape[1] <= 4 else y
        if y.dim() != 3 or min(y.shape[-2:]) < _SMALLEST:
            return
        for _, ref in inputs:
            x = ref()
            if x is None or not is_plain_tensor(x) or not x.is_floating_point() or x.dim() not in (3, 4):
                continue
            if x.shape[0] == y.shape[0] and x.shape[-2:] == y.shape[-2:] and x.data_ptr() != target.data_ptr():
                kept.append(_small(x.detach(), y))
                return

    def save(self, files: set[str], locations: dict[int, Location | None]) -> None:
        """Compare, and write what was found."""
        for site, kept in self._kept.items():
            if sum(len(y) for _, y in kept) < _FEWEST or len({x.shape[1:] for x, _ in kept}) != 1:
                continue
            found = compared(torch.cat([x for x, _ in kept]), torch.cat([y for _, y in kept]))
            if found is None:
                continue
            examples, aligned, moved = found
            lines = [at for file in sorted(files) for at in turning_lines(file)] if moved else []
            line = self._line(lines, locations.get(site))
            self.watch.writer.put(MapAlignment(site, line, examples, aligned, moved), site)
        for i, point in enumerate(self._points.found()):
            lines = [at for file in sorted(files) for at in turning_lines(file)] if point.mirrored else []
            line = self._line(lines, locations.get(point.site), point.turn)
            self.watch.writer.put(replace(point, location=line, turning=bool(lines)), i)

    def _line(self, turning: list[tuple[str, int]], loss: Location | None, turn: str = "") -> Location | None:
        """The only line that turns images over, or the only one that says that it turns them so; else the loss."""
        lines = [self.watch.lines.of(*at) for at in turning]
        if len(lines) > 1 and turn in _SAID:
            lines = [at for at in lines if _SAID[turn].search(at.code.replace("::-1", ""))]
        return lines[0] if len(lines) == 1 else loss


def _small(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = (x if x.dim() == 4 else x[:, None])[:_PER_CALL, :3].to("cpu", torch.float32)
    y = y[:_PER_CALL].to("cpu")
    if not y.is_floating_point():
        y = y != y.flatten().mode().values  # what is no background
    y = y.to(torch.float32)
    size = min(_SIZE, y.shape[-2]), min(_SIZE, y.shape[-1])
    return F.adaptive_avg_pool2d(x, size), F.adaptive_avg_pool2d(y[:, None], size)[:, 0]


def compared(x: torch.Tensor, y: torch.Tensor) -> tuple[int, int, dict[str, int]] | None:
    """How many examples there are, how many are aligned, and how many turned over in which way."""
    if not bool(x.isfinite().all() and y.isfinite().all()):
        return None
    varied = (y.flatten(1).std(1) > 1e-6) & (x.flatten(1).std(1) > 1e-6)
    x, y = x[varied], _standard(y[varied])
    if len(y) < _FEWEST:
        return None
    said = _standard(_fitted(x, y))
    here = _nearby(said, y)
    square = y.shape[-1] == y.shape[-2]
    turned = {n: (said * t(y)).mean((-1, -2)) for n, t in TURNS.items() if square or n in list(TURNS)[:3]}
    best, which = torch.stack(list(turned.values())).max(0)
    as_it_is = (said * y).mean((-1, -2))
    aligned = int(((as_it_is >= _FIT) & (as_it_is - best >= _MARGIN)).sum())
    moved = (best >= _FIT) & (best - here >= _MARGIN)
    counts = {n: int((moved & (which == i)).sum()) for i, n in enumerate(turned)}
    return len(y), aligned, {n: c for n, c in counts.items() if c}


def _nearby(said: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The largest correlation over small shifts."""
    shifts = range(-_NEAR, _NEAR + 1)
    rolled = ((said * y.roll((i, j), (-2, -1))).mean((-1, -2)) for i in shifts for j in shifts)
    return torch.stack(list(rolled)).max(0).values


def _fitted(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What the image around each place says of the target there, as far as a linear fit over all examples tells."""
    parts = [x, F.avg_pool2d(F.pad(x, (1, 1, 1, 1), "replicate"), 3, 1)]
    parts += [(parts[0] - parts[1]).abs(), x.square()]
    features = torch.cat([_standard(p) for p in parts], 1)
    flat, wanted = features.transpose(0, 1).flatten(1).T.double(), y.flatten().double()
    stride = max(1, len(wanted) // _SAMPLES) | 1
    given, goal = flat[::stride], wanted[::stride]
    gram = given.T @ given + 1e-3 * len(given) * torch.eye(given.shape[1], dtype=torch.float64)
    weights: torch.Tensor = torch.linalg.solve(gram, given.T @ goal)
    return (flat @ weights).reshape(y.shape).float()


def _standard(maps: torch.Tensor) -> torch.Tensor:
    centred: torch.Tensor = maps - maps.mean((-1, -2), keepdim=True)
    spread: torch.Tensor = centred.std((-1, -2), keepdim=True).clamp_min(1e-6)
    return centred.div(spread)
