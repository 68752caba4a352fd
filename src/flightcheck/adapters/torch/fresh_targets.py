"""Targets that are random numbers, drawn in the same round, which no input of the model has seen."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.fresh_targets import FreshTarget
from flightcheck.recording.records import Location

DRAWS: Final = {"randn", "randn_like", "rand", "rand_like", "normal", "normal_", "uniform_"}
COMPARED: Final = {
    "sub", "subtract", "__sub__", "rsub", "__rsub__", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss",
}  # fmt: skip
_FACTS: Final = {"size", "dim", "numel", "__len__", "stride", "is_floating_point", "ndimension", "nelement"}
"""Asked of a tensor, these tell nothing of its numbers."""
_FIRST: Final = 4
"""Numbers by which two draws from one seed are known."""
_MOST: Final = 256
"""Draws of one round that are followed."""

Inputs = Sequence[tuple[str, "weakref.ref[torch.Tensor]"]]


@dataclass(eq=False)
class _Draw:
    """Numbers of one draw, wherever views and constant factors took them."""

    location: Location | None
    shape: tuple[int, ...]
    first: tuple[float, ...]
    mixed: bool = False
    """Something else than a loss was given them."""


@dataclass
class _Site:
    calls: int = 0
    fresh: int = 0
    location: Location | None = None
    others: set[Location | None] = field(default_factory=set)


class FreshTargets:
    """Follows draws through the operations of a round; told of each in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._draws: list[_Draw] = []
        self._of: dict[int, tuple[weakref.ref[torch.Tensor], _Draw]] = {}
        """Identity of a tensor → itself, and the draw whose numbers it holds."""
        self._sites: dict[int, _Site] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation returned `result`."""
        if name in DRAWS:
            self._drawn(name, args, kwargs, result)
            return
        if not self._of or name in _FACTS:
            return
        given = list(_tensors((*args, *kwargs.values())))
        draws = {draw for t in given if (draw := self._draw_of(t)) is not None}
        if not draws or (name == "__get__" and not isinstance(result, torch.Tensor)):
            return
        others = [t for t in given if self._draw_of(t) is None]
        if name in COMPARED and len(draws) == len(others) == 1 and others[0].requires_grad:
            return
        results = list(_tensors((result,)))
        if others or len(draws) > 1 or not results:
            for draw in draws:
                draw.mixed = True
            return
        for tensor in results:
            self._note(tensor, next(iter(draws)))

    def answered(self, site: int, target: torch.Tensor, inputs: Inputs) -> None:
        """A loss was called in training; the model was given `inputs` last."""
        if not self.watch.learning:
            return
        known = self._sites.setdefault(site, _Site())
        known.calls += 1
        draw = self._draw_of(target)
        # A model that is given nothing but a draw is tried out, or is a generator.
        if draw is None or draw.mixed or any(self._draw_of(ref()) is not None for _, ref in inputs):
            return
        known.fresh += 1
        known.location = draw.location
        known.others |= {d.location for d in self._draws if d is not draw and d.shape == draw.shape and d.mixed}

    def end_round(self) -> None:
        """Forget this round's draws: what is drawn once and used in many rounds can be learnt."""
        self._draws.clear()
        self._of.clear()

    def save(self) -> None:
        """Write what was seen."""
        for index, site in self._sites.items():
            if site.fresh:
                other = next(iter(site.others)) if len(site.others) == 1 else None
                self.watch.writer.put(FreshTarget(index, site.location, site.calls, site.fresh, other), index)

    def _drawn(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        around = () if name.endswith(("_like", "_")) else (*args, *kwargs.values())
        if not is_plain_tensor(result) or any(True for _ in _tensors(around)) or len(self._draws) >= _MOST:
            return
        first = tuple(result.detach().reshape(-1)[:_FIRST].tolist())
        draw = _Draw(self.watch.lines.here(), tuple(result.shape), first)
        for same in (d for d in self._draws if d.first == first and len(first) > 1):
            same.mixed = draw.mixed = True  # one seed, twice
        self._draws.append(draw)
        self._note(result, draw)

    def _note(self, tensor: torch.Tensor, draw: _Draw) -> None:
        self._of[id(tensor)] = (weakref.ref(tensor), draw)

    def _draw_of(self, tensor: Any) -> _Draw | None:
        known = self._of.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (v for v in value if isinstance(v, torch.Tensor))
