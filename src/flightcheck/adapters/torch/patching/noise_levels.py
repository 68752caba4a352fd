"""Patch of the coefficients with which data and noise are added up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flightcheck.adapters.torch.noising import SUMS, Mixture, Noising, coefficients, place_of
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch

_ROUNDING = 1.2e-7


def noise_level(b: Boundaries, patch: Patch) -> None:
    """``noise-root:train.py:17``: at the line of the sum, the coefficient of the noise is its root.

    ``data-root`` and ``both-roots`` likewise; ``product`` takes that of the cumulative product for a single step's.
    """
    kind, _, place = patch.value.partition(":")
    file, _, line = place.rpartition(":")
    noising = Noising(b.observer.watch)

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        with b.unwatched():
            parts = noising.parts(args, kwargs) if name in SUMS else None
            at = b.observer.lines.here() if parts is not None else None
            if parts is not None and at is not None and (Path(at.file).name, str(at.line)) == (file, line):
                data, noise = sorted(parts, key=lambda p: p.is_noise)
                factors = _factors(kind, Mixture(data, noise, at), noising)
                if factors is not None:
                    args = (*_scaled(name, args, [factors[p.is_noise] for p in parts]), *args[2:])
                    b.acted(patch)
        result = function(*args, **kwargs)
        with b.unwatched():
            noising.look(name, args, kwargs, result)
        return result

    b.at_operations(operation)
    b.after_backward(noising.end_round)


def _factors(kind: str, mixture: Mixture, noising: Noising) -> list[torch.Tensor] | None:
    """By what the data and the noise, as they are, must be multiplied; one number for each example, or one for all."""
    data, noise = (torch.from_numpy(c) for c in coefficients(mixture))
    if kind == "product":
        for table in noising.products:
            at = place_of(data.numpy() ** 2, table.factors, _ROUNDING)
            if len(at):
                meant = torch.from_numpy(table.values[at])
                return [_ratio(meant.sqrt(), data), _ratio((1 - meant).sqrt(), noise)]
        return None
    return [
        _ratio(data.sqrt(), data) if kind in ("data-root", "both-roots") else torch.ones(1),
        _ratio(noise.sqrt(), noise) if kind in ("noise-root", "both-roots") else torch.ones(1),
    ]


def _ratio(meant: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    return torch.where(given > 0, meant / given, 1.0)


def _scaled(name: str, args: Any, factors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Both sides of the sum; the one that is written in place stays the same tensor."""
    in_place = name.endswith("_") and (not name.startswith("__") or name.startswith("__i"))
    sides = []
    for i, (side, factor) in enumerate(zip(args[:2], factors, strict=True)):
        by = factor.to(side).reshape(-1, *[1] * (side.dim() - 1))
        sides.append(side.mul_(by) if in_place and i == 0 else side * by)
    return sides
