"""Data and a normal draw, each times a coefficient, added up and given to a model: what are the coefficients?

Products of data and of draws with one number for each example are followed in the learning pass to their sum, and the
sum through views to the first operation that has a gradient. What made the coefficients is followed, too: they are
picked out of tables, which may be cumulative products.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import torch

from flightcheck.adapters.torch.fresh_targets import COMPARED
from flightcheck.adapters.torch.loose_terms import tensors_of
from flightcheck.adapters.torch.similarities import DIVISIONS, FACTORS
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.noising import NoisedData
from flightcheck.recording.provenance.noise_schedules import samples_from_noise, schedule_origin
from flightcheck.recording.records import Location

_DRAWS: Final = {"randn", "randn_like", "normal_", "normal"}
_ADDS: Final = {"add", "__add__", "__radd__", "add_", "__iadd__"}
SUMS: Final = _ADDS | {"sub", "__sub__", "__rsub__", "rsub", "subtract", "sub_", "__isub__"}
_JOINS: Final = {"cat", "concat"}
_PASSES: Final = {
    "view", "reshape", "unsqueeze", "squeeze", "expand", "expand_as", "view_as", "flatten", "unflatten", "clone",
    "contiguous", "detach", "to", "float", "double", "half", "type", "cuda", "cpu", "permute", "transpose", "movedim",
    "neg", "__neg__", *_JOINS,
}  # fmt: skip
"""What leaves a sum of data and noise one, up to its sign."""
_PICKS: Final = _PASSES | {"__getitem__", "gather", "index_select", "take", "select", "take_along_dim"}
"""What takes coefficients out of a table."""
_COMPUTES: Final = {
    "sqrt", "pow", "__pow__", "rsqrt", "exp", "cos", "sin", "sigmoid", "square", "clamp", "clip", *SUMS,
    *FACTORS,
}  # fmt: skip
_PRODUCTS: Final = {"cumprod"}
"""What they give is a schedule as it should be: the line that lacks a root is where it is used."""
OPERATIONS: Final = _DRAWS | SUMS | FACTORS | _PICKS | _COMPUTES | _PRODUCTS
_TABLE: Final = (8, 100_000)
"""Values of a schedule, at least and at most."""
_MOST: Final = 400
_MOST_TABLES: Final = 4
_MOST_EXAMPLES: Final = 64
"""Of one call."""
_MOST_KEPT: Final = 512
_FEWEST_EXAMPLES: Final = 32
"""From which is told what the data vary by."""
_MOST_FEATURES: Final = 256
_FLOAT32: Final = float(torch.finfo(torch.float32).eps)
_SAME: Final = 4.0
"""Roundings by which a coefficient differs from the value of a table that it was computed of."""


@dataclass(eq=False)
class Part:
    """Data or a draw, and what it was multiplied with."""

    is_noise: bool
    coefficient: torch.Tensor | float = 1.0
    line: Location | None = None

    @property
    def is_bare(self) -> bool:
        """It was multiplied with nothing."""
        return not isinstance(self.coefficient, torch.Tensor) and self.coefficient == 1


@dataclass(eq=False)
class Mixture:
    """Data and a draw, added up."""

    data: Part
    noise: Part
    location: Location | None
    values: torch.Tensor | None = None
    """Some features of the data, where each example has a noise level of its own."""
    used: bool = False
    """Something that is trained was given it."""

    @property
    def is_data(self) -> bool:
        """Some noise was added to data that are as they were: such are many made ones, before they are noised."""
        return not isinstance(self.noise.coefficient, torch.Tensor) and self.data.is_bare


class Product(NamedTuple):
    """A cumulative product: what was multiplied, and the result."""

    factors: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    line: Location | None = None


@dataclass
class _Site:
    found: NoisedData
    of_product: set[str] = field(default_factory=set)
    values: list[torch.Tensor] = field(default_factory=list)

    def spread(self) -> float | None:
        """`NoisedData.spread`."""
        same = [v for v in self.values if v.shape[1:] == self.values[0].shape[1:]]
        rows = torch.cat(same) if same else torch.empty(0, 0)
        return float(rows.std(0).max()) if len(rows) >= _FEWEST_EXAMPLES else None


_Held: TypeAlias = "Part | Mixture"


class Noising:
    """Follows data, draws and their sums in the learning pass; told of each operation by `Operations`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._held: dict[int, tuple[weakref.ref[torch.Tensor], _Held]] = {}
        self._lines: dict[int, tuple[weakref.ref[torch.Tensor], Location | None]] = {}
        """Small tensors, and the line that computed each."""
        self.products: list[Product] = []
        self._mixtures: list[Mixture] = []
        self._sites: dict[Location | None, _Site] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation returned `result`."""
        if type(result) is torch.Tensor and result.requires_grad and torch.is_grad_enabled():
            self._trained(name, args, kwargs)
            return
        if name not in OPERATIONS:
            if name == "__setitem__" or (name.endswith("_") and not name.endswith("__")):
                self._held.pop(id(args[0]) if args else 0, None)
            return
        if name in _PRODUCTS:
            self._multiplied_up(args, result)
        if type(result) is not torch.Tensor or not is_plain_tensor(result) or not result.is_floating_point():
            return
        self._made(name, args, result)
        held = self._of_result(name, args, kwargs, result)
        self._held.pop(id(result), None)  # it may have been written in place
        if held is not None and len(self._held) < _MOST:
            self._held[id(result)] = (weakref.ref(result), held)

    def mixture(self, tensor: Any) -> Mixture | None:
        """The sum that a tensor holds."""
        held = self._of(tensor)
        return held if isinstance(held, Mixture) else None

    def end_round(self) -> None:
        """Count this round's sums, and forget its tensors."""
        for mixture in self._mixtures:
            if mixture.used:
                self._count(mixture)
        self._mixtures.clear()
        self._held.clear()
        self._lines = {key: held for key, held in self._lines.items() if held[0]() is not None}

    def save(self) -> None:
        """Write the lines with what was seen."""
        for i, site in enumerate(self._sites.values()):
            (of,) = site.of_product if len(site.of_product) == 1 else ("",)
            found = replace(site.found, of_product=of, spread=site.spread())
            line = next((p.line for p in self.products if of and float(p.values[-1]) == found.lowest_product), None)
            if line is not None:
                origin = schedule_origin(line.file, line.line)
                made = self._watch.lines.of(*origin) if origin is not None else line
                found = replace(found, schedule_location=made, samples=samples_from_noise(line.file))
            self._watch.writer.put(found, i)

    # -- following ----------------------------------------------------------------------------------------------

    def _of(self, tensor: Any) -> _Held | None:
        held = self._held.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None

    def _of_result(self, name: str, args: Any, kwargs: Any, result: torch.Tensor) -> _Held | None:
        if name in _DRAWS:
            standard = name != "normal" and (name != "normal_" or not (args[1:] or set(kwargs) - {"generator"}))
            return Part(is_noise=True) if standard and result.dim() > 1 else None
        if name in FACTORS:
            return self._times(name, args, result)
        if name in SUMS:
            return self._added(args, kwargs)
        if name in _PASSES:
            known = [held for t in tensors_of(args) if (held := self._of(t)) is not None]
            if name in _JOINS:  # a sum is still known as one beside others, numbers of their levels for example
                known = [held for held in known if isinstance(held, Mixture)]
            if len(known) == 1:
                return known[0]
        return None

    def _times(self, name: str, args: Any, result: torch.Tensor) -> _Held | None:
        if len(args) < 2:
            return None
        for whole, factor in ((args[0], args[1]), (args[1], args[0])):
            if name in DIVISIONS and whole is args[1]:
                continue
            if not is_plain_tensor(whole) or whole.shape != result.shape or result.dim() < 2:
                continue
            coefficient = _coefficient(factor, result)
            if coefficient is None:
                continue
            by = 1 / coefficient if name in DIVISIONS and not _is_zero(coefficient) else coefficient
            held, line = self._of(whole), self._line(factor)
            if isinstance(held, Mixture) and not held.is_data:
                return self._mixed(_multiplied(held.data, by, line), _multiplied(held.noise, by, line))
            return _multiplied(held if isinstance(held, Part) else Part(is_noise=False), by, line)
        return None

    def parts(self, args: Any, kwargs: Any) -> list[Part] | None:
        """The data and the draw that a sum adds up, in its order; None where it adds up something else."""
        pair = args[:2]
        if len(pair) < 2 or kwargs.get("alpha", 1) != 1 or not all(isinstance(t, torch.Tensor) for t in pair):
            return None
        if pair[0].shape != pair[1].shape or any(t.requires_grad for t in pair):
            return None
        held = [Part(False) if h is None or (isinstance(h, Mixture) and h.is_data) else h for h in map(self._of, pair)]
        parts = [h for h in held if isinstance(h, Part)]  # what is noised again is a chain of steps
        return parts if len(parts) == 2 and parts[0].is_noise != parts[1].is_noise else None

    def _added(self, args: Any, kwargs: Any) -> Mixture | None:
        parts = self.parts(args, kwargs)
        if parts is None:
            return None
        mixture = self._mixed(*sorted(parts, key=lambda p: p.is_noise))
        mixture.values = self._before(args[parts[0].is_noise], mixture)
        return mixture

    def _before(self, product: torch.Tensor, mixture: Mixture) -> torch.Tensor | None:
        """What the data were before they were multiplied: rows that are all equal are one example."""
        factor = mixture.data.coefficient
        levels = [c for c in (factor, mixture.noise.coefficient) if isinstance(c, torch.Tensor) and c.dim()]
        if not levels or len(product) < _TABLE[0] or not self._watch.reads(product):
            return None
        with torch.no_grad():
            data = (product / factor).flatten(1)
            data = data[:_MOST_EXAMPLES, :: -(-data.shape[1] // _MOST_FEATURES)].double().cpu()
            return data[:1] if torch.allclose(data, data[:1].expand_as(data), rtol=1e-5, atol=0) else data

    def _mixed(self, data: Part, noise: Part) -> Mixture:
        mixture = Mixture(data, noise, self._watch.lines.here())
        if len(self._mixtures) < _MOST:
            self._mixtures.append(mixture)
        return mixture

    def _trained(self, name: str, args: Any, kwargs: Any) -> None:
        """An operation with a gradient: whoever is given a sum there, and does not compare with it, learns of it."""
        if not self._mixtures or name in COMPARED:
            return
        for tensor in tensors_of((*args, *kwargs.values())):
            if (mixture := self.mixture(tensor)) is not None:
                mixture.used = True

    # -- coefficients -------------------------------------------------------------------------------------------

    def _made(self, name: str, args: Any, result: torch.Tensor) -> None:
        """Remember the line that computed a few numbers; picking some of them is no computation."""
        small = result.dim() == 1 or result.numel() == max(result.shape, default=1)
        if not small or result.numel() > _TABLE[1]:
            return
        if len(self._lines) >= 2 * _MOST:
            self._lines = dict(list(self._lines.items())[_MOST:])
        if name in _COMPUTES:
            self._lines[id(result)] = (weakref.ref(result), self._watch.lines.here())
        elif name in _PICKS and args and (line := self._line(args[0])) is not None:
            self._lines[id(result)] = (weakref.ref(result), line)

    def _line(self, tensor: Any) -> Location | None:
        held = self._lines.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None

    def _multiplied_up(self, args: Any, result: Any) -> None:
        given: Any = args[0] if args else None
        if not (is_plain_tensor(given) and is_plain_tensor(result) and result.dim() == 1 and self._watch.reads(result)):
            return
        if _TABLE[0] <= len(result) <= _TABLE[1] and len(self.products) < _MOST_TABLES:
            factors, values = (t.detach().double().cpu().numpy() for t in (given, result))
            if factors.min() > 0 and factors.max() < 1:
                self.products.append(Product(factors, values, self._watch.lines.here()))

    def _count(self, mixture: Mixture) -> None:
        parts = (mixture.data.coefficient, mixture.noise.coefficient)
        tensors = [p for p in parts if isinstance(p, torch.Tensor)]
        if not all(self._watch.reads(t) for t in tensors):
            return
        data, noise = coefficients(mixture)
        site = self._sites.get(mixture.location)
        if site is None:
            if len(self._sites) >= _MOST_TABLES:
                return
            precision = max((float(torch.finfo(t.dtype).eps) for t in tensors), default=_FLOAT32)
            found = NoisedData(
                mixture.location, mixture.data.line, mixture.noise.line, self._watch.step, precision=precision
            )
            site = self._sites[mixture.location] = _Site(found)
        known = site.found
        of, lowest = self._of_product(data, known.precision)
        site.of_product.add(of)
        data, noise = data[:_MOST_EXAMPLES], noise[:_MOST_EXAMPLES]
        more = len(known.data) + len(data) <= _MOST_KEPT
        if mixture.values is not None and more:
            site.values.append(mixture.values)
        site.found = replace(
            known,
            calls=known.calls + 1,
            data=known.data + data.tolist() if more else known.data,
            noise=known.noise + noise.tolist() if more else known.noise,
            lowest_product=lowest,
        )

    def _of_product(self, data: np.ndarray[Any, Any], precision: float) -> tuple[str, float]:
        for table in self.products:
            ways = (
                ("product", data, table.values),
                ("factor", data**2, table.factors),
                ("root", data**2, table.values),
            )
            for of, values, known in ways:
                if len(place_of(values, known, precision)):
                    return of, float(table.values[-1])
        return "", 1.0


def place_of(values: np.ndarray[Any, Any], known: np.ndarray[Any, Any], precision: float) -> np.ndarray[Any, Any]:
    """Where each of the values stands in a table; nothing unless all of them do, to rounding."""
    order = np.argsort(known)
    after = np.clip(np.searchsorted(known[order], values), 1, len(known) - 1)
    nearer = np.abs(known[order][after - 1] - values) < np.abs(known[order][after] - values)
    at = order[after - nearer]
    near = np.abs(known[at] - values) <= _SAME * precision * np.maximum(np.abs(values), 1e-3)
    return at if bool(near.all()) else np.empty(0, dtype=int)


def coefficients(mixture: Mixture) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Of the data and of the noise, without their signs, one for each example."""
    both = [torch.as_tensor(p.coefficient).double().cpu().abs() for p in (mixture.data, mixture.noise)]
    data, noise = torch.broadcast_tensors(*both)  # type: ignore[no-untyped-call]
    return data.reshape(-1).numpy(), noise.reshape(-1).numpy()


def _multiplied(part: Part, by: torch.Tensor | float, line: Location | None) -> Part:
    """The part multiplied once more."""
    return Part(part.is_noise, by * part.coefficient, line or part.line)


def _coefficient(factor: Any, result: torch.Tensor) -> torch.Tensor | float | None:
    """A number for each example, or one for all; None where the elements of an example have several."""
    if isinstance(factor, (int, float)) and not isinstance(factor, bool):
        return float(factor)
    if not is_plain_tensor(factor) or not factor.is_floating_point():
        return None
    if factor.numel() == 1:
        return factor.detach().reshape(()).clone()  # type: ignore[no-any-return]
    alone = factor.dim() == result.dim() and len(factor) == len(result) == factor.numel() < result.numel()
    return factor.detach().clone() if alone else None


def _is_zero(coefficient: torch.Tensor | float) -> bool:
    return not isinstance(coefficient, torch.Tensor) and coefficient == 0
