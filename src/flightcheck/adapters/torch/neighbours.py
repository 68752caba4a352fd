"""Labels that an evaluation looks up among the farthest of others, where the nearest are meant.

``topk``, ``max`` and ``argmax`` give the largest: of distances these are the farthest. What is followed is a table of
distances, from the line that computes it to the line that picks labels by the places of its largest elements.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections import deque
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.neighbours import FarthestLabels
from flightcheck.recording.records import Location

DIFFERENCES: Final = {"sub", "__sub__", "rsub", "__rsub__", "subtract"}
RANKINGS: Final = {"topk", "argmax", "max"}
_LOOKUPS: Final = {"__getitem__", "index_select", "take", "gather"}
_SIZES: Final = {"abs", "pow", "__pow__", "square", "mul", "__mul__"}
_OVER_FEATURES: Final = {"sum", "mean", "norm", "linalg_norm", "linalg_vector_norm", "vector_norm"}
_AS_THEY_ARE: Final = {"float", "to", "cpu", "cuda", "clone", "detach", "squeeze", "flatten", "view", "reshape", "long"}
_RISING: Final = {"sqrt", "pow", "__pow__", "square", *_AS_THEY_ARE}
"""Of distances: what is farther stays farther."""
_KEEPING: Final = {"distances": _RISING, "places": _AS_THEY_ARE}
_FALLING: Final = {"neg", "__neg__", "negative"}
_MOST_FOLLOWED: Final = 16
_MOST_LINES: Final = 16


@dataclasses.dataclass(frozen=True)
class _Followed:
    tensor: weakref.ref[torch.Tensor]
    what: str
    """``gaps``: differences of all pairs. ``distances``, and ``nearness``: minus the distances. ``places``: of what
    is farthest."""
    line: Location | None = None
    operation: str = ""


class Rankings:
    """Told of the operations of the script itself, outside of all models."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._followed: deque[_Followed] = deque(maxlen=_MOST_FOLLOWED)
        self._found: dict[tuple[Location | None, Location | None], FarthestLabels] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation returned `result`."""
        if torch.is_grad_enabled() or not args:
            return
        if name == "cdist":
            self._note(result, "distances")
        elif name in DIFFERENCES:
            if _of_all_pairs(args, result):
                self._note(result, "gaps")
        elif self._followed:
            self._follow(name, args, kwargs, result)

    def _follow(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        if name in _LOOKUPS:
            self._picked(args, kwargs)
            return
        known = self._known(args[0])
        if known is None:
            return
        if known.what == "gaps":
            if name in _OVER_FEATURES and isinstance(result, torch.Tensor) and result.dim() == args[0].dim() - 1:
                self._note(result, "distances")
            elif name in _SIZES:
                self._note(result, "gaps")
        elif name in RANKINGS:
            if known.what != "places" and farthest(name, args, kwargs, known.what == "distances"):
                self._note(_places(result), "places", self.watch.lines.here(), name)
        elif name in _FALLING and known.what != "places":
            self._note(result, "nearness" if known.what == "distances" else "distances")
        elif name in _KEEPING.get(known.what, ()) and _numel(result) == args[0].numel():
            self._note(result, known.what, known.line, known.operation)

    def _picked(self, args: Any, kwargs: Any) -> None:
        """Are labels picked by the places of what is farthest?"""
        table, rest = args[0], [*args[1:], *kwargs.values()]
        known = next((k for a in rest if (k := self._known(a)) is not None and k.what == "places"), None)
        if known is None or not isinstance(table, torch.Tensor) or table.is_floating_point() or table.dim() != 1:
            return
        here = self.watch.lines.here()
        key = (known.line, here)
        before = self._found.get(key)
        if before is None and len(self._found) < _MOST_LINES:
            before = FarthestLabels(known.operation, known.line, here, self.watch.step, 0)
        if before is not None:
            self._found[key] = dataclasses.replace(before, calls=before.calls + 1)

    def _note(self, tensor: Any, what: str, line: Location | None = None, operation: str = "") -> None:
        if isinstance(tensor, torch.Tensor):
            self._followed.append(_Followed(weakref.ref(tensor), what, line, operation))

    def _known(self, tensor: Any) -> _Followed | None:
        if not isinstance(tensor, torch.Tensor):
            return None
        return next((f for f in reversed(self._followed) if f.tensor() is tensor), None)

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._found.values()):
            self.watch.writer.put(found, i)


def farthest(name: str, args: Any, kwargs: Any, of_distances: bool) -> bool:
    """Whether this ranking along an axis gives the places of what is farthest."""
    largest = kwargs.get("largest", args[3] if name == "topk" and len(args) > 3 else True)
    along = name == "topk" or len(args) > 1 or "dim" in kwargs or "axis" in kwargs
    return (
        along
        and not isinstance(kwargs.get("dim", args[1] if len(args) > 1 else 0), torch.Tensor)
        and (bool(largest) == of_distances)
    )


def _numel(result: Any) -> int:
    return result.numel() if isinstance(result, torch.Tensor) else 0


def _places(result: Any) -> Any:
    return result[1] if isinstance(result, tuple) and len(result) > 1 else result


def _of_all_pairs(args: Any, result: Any) -> bool:
    """``a[:, None] - b[None]``: each row of one with each row of the other, over the features in the last axis."""
    if len(args) < 2 or not all(isinstance(a, torch.Tensor) for a in args[:2]) or not isinstance(result, torch.Tensor):
        return False
    one, other = args[0].shape, args[1].shape
    if result.dim() != 3 or one[-1:] != other[-1:] or result.shape[-1] < 2:
        return False
    return all(result.numel() > a.numel() for a in args[:2])
