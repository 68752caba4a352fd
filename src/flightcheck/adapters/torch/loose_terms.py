"""Terms of a loss that were made by a model and have no graph: what they add to the gradient is nothing.

Numbers that come from a model outside of its graph are followed through the user's operations: what ``detach`` gives,
what is computed under ``no_grad`` from the output of a model. Where one is added to a number with a graph, and
backward is called on the sum, it is a loose term.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch.distributions import Distribution

from flightcheck.adapters.torch.graph import nodes_of
from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor
from flightcheck.recording.loss_records import LooseTerm
from flightcheck.recording.records import Location

_SUMS: Final = {"add", "__add__", "__radd__", "add_", "__iadd__"}
_DIFFERENCES: Final = {"sub", "__sub__", "rsub", "__rsub__", "sub_", "__isub__", "subtract"}
_CUTS: Final = {"detach", "detach_", "clone", "__get__"}
_MOST_FOLLOWED: Final = 4000
_MOST_SOURCES: Final = 4
_MOST_VALUES: Final = 16
_DEPTH: Final = 2


@dataclass(frozen=True)
class _Origin:
    """Where a tensor without a graph comes from."""

    sources: frozenset[tuple[str, Location | None]]
    """What took it, or what it was computed from, out of the graph, and where."""
    step: int
    """The earliest round in which that happened."""
    parameters: frozenset[int]
    made: Location | None = None
    """The line that made a number of it."""
    direct: bool = False
    """It is what a cut gave, and nothing was computed with it."""


class LooseTerms:
    """Follows tensors without a graph in the learning pass."""

    def __init__(self, watch: Watch, index: Callable[[torch.Tensor], int | None]) -> None:
        self.watch = watch
        self._index = index
        """Of a parameter."""
        self._origins: dict[int, tuple[weakref.ref[torch.Tensor], _Origin]] = {}
        self._sums: dict[Any, tuple[_Origin, float, Location | None]] = {}
        """Node of a sum of this round → the operand without a graph, its value, the line of the sum."""
        self._whole: dict[Any, Location | None] = {}
        self._found: dict[tuple[Location | None, Location | None], LooseTerm] = {}
        self._connected: set[Location | None] = set()
        """Lines of sums all of whose operands had graphs in some round."""
        self._entered_whole: set[Location | None] = set()
        self._entered_loose: set[Location | None] = set()
        """The same, this round: a line may add up three terms, and only one of them is loose."""

    def end_round(self) -> None:
        """Forget the graph of this round; tensors without one may be used in the next."""
        self._connected |= self._entered_whole - self._entered_loose
        self._entered_whole.clear()
        self._entered_loose.clear()
        self._sums.clear()
        self._whole.clear()
        self._origins = {i: held for i, held in self._origins.items() if held[0]() is not None}

    def left(self, operation: str, line: Location | None, parameters: Iterable[int], results: Any) -> None:
        """These tensors without a graph come from a model with these parameters."""
        origin = _Origin(frozenset({(operation, line)}), self.watch.step, frozenset(parameters), line, direct=True)
        for tensor in tensors_of(results):
            if not tensor.requires_grad and tensor.is_floating_point():
                self._follow(tensor, origin)

    def follows(self, tensor: Any) -> bool:
        """A tensor without a graph comes from a model."""
        return self._origin(tensor) is not None

    def look(self, name: str, args: Any, result: Any) -> None:
        """The user's code computed `result`."""
        if type(result) is not torch.Tensor or not result.is_floating_point() or hands_off():
            return
        if result.requires_grad:
            if result.numel() == 1 and len(args) > 1 and (name in _SUMS or name in _DIFFERENCES):
                self._added(name, args[0], args[1], result)
            return
        if not self._origins or name in _CUTS:
            known = self._origin(args[0]) if name in _CUTS and args else None
        else:
            known = self._joined([o for t in tensors_of(args) if (o := self._origin(t)) is not None])
        if known is None:
            return
        number = result.numel() == 1
        if number and not any(t.numel() == 1 and self._origin(t) is not None for t in tensors_of(args)):
            known = replace(known, made=self.watch.lines.here())
        self._follow(result, known if name in _CUTS else replace(known, direct=False))

    def entered(self, node: Any) -> None:
        """A sum enters a backward by constant factors and sums alone."""
        if node in self._whole:
            self._entered_whole.add(self._whole[node])
        if node not in self._sums:
            return
        origin, value, line = self._sums[node]
        self._entered_loose.add(line)
        first = min(origin.sources, key=str)
        one = len(origin.sources) == 1
        key = (origin.made, line)
        known = self._found.get(key) or LooseTerm(
            location=origin.made or line,
            sum_location=line,
            operation=first[0] if one else "",
            cut_location=first[1] if one else None,
            beside=self._behind(node),
        )
        self._found[key] = replace(
            known,
            parameters=sorted({*known.parameters, *origin.parameters}),
            rounds=known.rounds + 1,
            values=[*known.values, value][:_MOST_VALUES],
        )

    def _behind(self, node: Any) -> list[int]:
        leaves = (getattr(n, "variable", None) for n in nodes_of(node))
        return sorted({i for leaf in leaves if leaf is not None and (i := self._index(leaf)) is not None})

    def save(self) -> None:
        """Write what was found."""
        for i, found in enumerate(f for f in self._found.values() if f.sum_location not in self._connected):
            self.watch.writer.put(found, i)

    def _added(self, name: str, left: Any, right: Any, result: torch.Tensor) -> None:
        both = [t for t in (left, right) if isinstance(t, torch.Tensor)]
        if len(both) != 2 or any(t.numel() != 1 for t in both):
            return
        if left.requires_grad and right.requires_grad:
            self._whole[result.grad_fn] = self.watch.lines.here()
            return
        loose = right if left.requires_grad else left
        origin = self._origin(loose)
        if origin is None or not is_plain_tensor(loose):
            return
        # A baseline, an exact zero with a gradient, a value put in the place of another one
        if name in _DIFFERENCES and (origin.direct or origin.step < self.watch.step):
            return
        self._sums[result.grad_fn] = (origin, float(loose), self.watch.lines.here())

    def _origin(self, tensor: Any) -> _Origin | None:
        held = self._origins.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None

    def _joined(self, origins: list[_Origin]) -> _Origin | None:
        if not origins:
            return None
        sources: frozenset[tuple[str, Location | None]] = frozenset().union(*(o.sources for o in origins))
        if len(sources) > _MOST_SOURCES:
            sources = origins[0].sources
        made = [o.made for o in origins if o.made is not None]
        return _Origin(
            sources,
            min(o.step for o in origins),
            frozenset().union(*(o.parameters for o in origins)),
            made[-1] if made else None,
        )

    def _follow(self, tensor: torch.Tensor, origin: _Origin) -> None:
        if len(self._origins) < _MOST_FOLLOWED:
            self._origins[id(tensor)] = (weakref.ref(tensor), origin)


def tensors_of(value: Any, depth: int = _DEPTH) -> Iterator[torch.Tensor]:
    """Tensors of arguments or results, those of distributions and of short containers too."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth >= 0 and isinstance(value, (list, tuple)):
        for item in value[:256]:
            yield from tensors_of(item, depth - 1)
    elif depth >= 0 and isinstance(value, dict):
        for item in list(value.values())[:64]:
            yield from tensors_of(item, depth - 1)
    elif isinstance(value, Distribution):
        yield from tensors_of([v for v in vars(value).values() if isinstance(v, (torch.Tensor, Distribution))], depth)
