"""Do coordinates lie on the side of the image on which the thing is? Targets of a few numbers, held against images.

Where images are turned over and their coordinates are not, a coordinate follows the place of what is bright, dark or
sharp in a part of the images, and runs against it in the others, equally strongly in both.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Final

import torch
import torch.nn.functional as F

from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.alignments import PointAlignment

_SMALLEST: Final = 8
_SIZE: Final = 32
"""Images are made this large at most."""
_PER_CALL: Final = 64
_MOST: Final = 512
_FEWEST: Final = 48
_COLUMNS: Final = 32
_EXPLAINED: Final = 0.75
"""Share of the variance that the place explains, its direction chosen for each example. Of numbers that have nothing to
do with it, the best choice of directions explains (2/π)² = 0.41."""
_FAR: Final = 0.5
"""Standard deviations from the middle, by the place, from which the direction of an example can be told."""
_ROUNDS: Final = 5
_STILL: Final = 1e-9
_AXES: Final = {"left to right": -1, "upside down": -2}

Inputs = Sequence[tuple[str, "weakref.ref[torch.Tensor]"]]


class PointImages:
    """Small copies of images and their coordinates, of the first training calls of each loss."""

    def __init__(self) -> None:
        self._kept: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def observed(self, site: int, target: torch.Tensor, inputs: Inputs) -> None:
        """A loss is called in training; the model was given `inputs` last."""
        kept = self._kept.setdefault(site, [])
        y = target.detach()
        if sum(len(y) for _, y in kept) >= _MOST or len(self._kept) > 8 or not y.is_floating_point():
            return
        if not 1 < y.dim() <= 3 or not 1 < y[0].numel() <= _COLUMNS or len(y) < 2:
            return
        for _, ref in inputs:
            x = ref()
            if x is None or not is_plain_tensor(x) or not x.is_floating_point() or x.dim() != 4:
                continue
            if len(x) == len(y) and min(x.shape[-2:]) >= _SMALLEST:
                kept.append((_small(x.detach()), y[:_PER_CALL].flatten(1).to("cpu", torch.float64)))
                return

    def found(self) -> Iterator[PointAlignment]:
        """For each loss and axis, the coordinate that the images explain best."""
        for site, kept in self._kept.items():
            if len({(x.shape[1:], y.shape[1:]) for x, y in kept}) != 1:
                continue
            images, targets = torch.cat([x for x, _ in kept]), torch.cat([y for _, y in kept])
            for how, column, aligned, mirrored in compared(images, targets):
                yield PointAlignment(site, None, how, column, len(targets), aligned, mirrored)


def _small(x: torch.Tensor) -> torch.Tensor:
    gray = x[:_PER_CALL].mean(1, keepdim=True).to("cpu", torch.float32)
    size = min(_SIZE, gray.shape[-2]), min(_SIZE, gray.shape[-1])
    return F.adaptive_avg_pool2d(gray, size)[:, 0]


def compared(images: torch.Tensor, targets: torch.Tensor) -> list[tuple[str, int, int, int]]:
    """For each axis along which images explain a number of the target: the turn, the column of the number, and how many
    examples lie as they are and how many turned over.

    Args:
        images: gray, ``(examples, height, width)``.
        targets: ``(examples, columns)``.
    """
    if len(images) < _FEWEST or not bool(images.isfinite().all() and targets.isfinite().all()):
        return []
    found = []
    for how, axis in _AXES.items():
        places, best = list(_places(images, axis)), _EXPLAINED
        told: tuple[str, int, int, int] | None = None
        for column in range(targets.shape[1]):
            y = targets[:, column]
            for place in places if float(y.std()) > _STILL else ():
                share, direction = _directions(place, y)
                if share > best:
                    one, other = int((direction > 0).sum()), int((direction < 0).sum())
                    best, told = share, (how, column, max(one, other), min(one, other))
        found += [told] if told is not None else []
    return found


def _places(images: torch.Tensor, axis: int) -> Iterator[torch.Tensor]:
    """Along an axis, how far from the middle lies what is bright, dark, or sharp in each image: ``(examples,)``."""
    flat = images.flatten(1)
    down = (images[:, 1:, 1:] - images[:, :-1, 1:]).abs()
    edges = F.pad(down + (images[:, 1:, 1:] - images[:, 1:, :-1]).abs(), (0, 1, 0, 1))
    for share in (0.02, 0.1):
        high, low = (flat.quantile(q, 1)[:, None, None] for q in (1 - share, share))
        for weights in ((images - high).clamp_min(0), (low - images).clamp_min(0)):
            yield _centre(weights, axis)
        sharp = edges.flatten(1).quantile(1 - share, 1)[:, None, None]
        yield _centre((edges - sharp).clamp_min(0), axis)


def _centre(weights: torch.Tensor, axis: int) -> torch.Tensor:
    profile = weights.sum(-2 if axis == -1 else -1).double()
    positions = torch.linspace(-1, 1, profile.shape[1], dtype=torch.float64)
    return (profile @ positions) / profile.sum(1).clamp_min(1e-12)


def _directions(place: torch.Tensor, y: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The share of the variance of `y` that ``middle ± factor · place`` explains with the best sign for each example,
    and these signs, 0 where the place is too near the middle to tell.
    """
    middle, total = y.mean(), float((y - y.mean()).square().sum())
    signs = torch.ones_like(y)
    factor = torch.zeros(())
    for i in range(_ROUNDS):
        away = y - middle
        if i == 0:
            signs = torch.sign(place * away)
        given = signs * place
        centred = given - given.mean()
        factor = (centred * (y - y.mean())).sum() / centred.square().sum().clamp_min(1e-12)
        middle = y.mean() - factor * given.mean()
        away = y - middle
        nearer = (away - factor * place).abs() <= (away + factor * place).abs()
        signs = torch.where(nearer, 1.0, -1.0).double()
    left = float((y - middle - factor * signs * place).square().sum())
    told = (factor * place).abs() > _FAR * y.std()
    return 1 - left / total, torch.where(told, signs, 0.0)
