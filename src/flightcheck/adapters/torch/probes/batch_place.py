"""Does an output depend on the place of its example in the batch, and where does that place get in?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.patching.boundaries import Arguments, map_tensors
from flightcheck.adapters.torch.probes.leak_place import Here
from flightcheck.recording.records import Location

_NOISE: Final = 1e-7
_MOST_ROWS: Final = 0.75
"""Share of the rows that must move: a model that takes the first half of its batch for something else moves few."""
_MOST_ELEMENTS: Final = 20_000_000
"""Values of single operations that are kept for a comparison."""
_OTHER_SEED: Final = 1
_PLAIN: Final = (bool, int, float, str, type(None), torch.device, torch.dtype)

Call = Callable[[nn.Module, Arguments], torch.Tensor]


def place_in_batch(
    model: nn.Module, given: Arguments, output: torch.Tensor, *, dim: int, call: Call, here: Here
) -> dict[str, Any]:
    """How far outputs move when all examples change places, and the line at which the place gets in.

    The outputs of examples in another order are the outputs in that order. Four rotations are tried: members of an
    ensemble that lie in turn in one batch come to their own place again under one of them.

    Args:
        model: in eval mode and float64.
        given: its arguments.
        output: what it gives for them.
        dim: the axis that holds the examples.
        call: calls the model, always from the same state of the random generator of PyTorch.
        here: tells the innermost line of the user's code.

    Returns:
        ``place``: the smallest of the largest movements over the rotations, relative to the size of the output, and
        ``place_at``, the line. Empty where the question cannot be asked: the model draws random numbers, or its
        arguments are not all laid out by example.
    """
    n = int(output.shape[dim])
    if n < 4 or not _is_by_example(given, dim, n) or _draws(model, given, output):
        return {}
    moved = [_moved(model, given, output, dim=dim, by=by, call=call) for by in sorted({1, 2, 3, n // 2})]
    if min(moved) <= _NOISE:
        return {"place": min(moved)}
    line = _line(model, given, dim=dim, n=n, call=call, here=here)
    return {"place": min(moved)} | ({"place_at": dataclasses.asdict(line)} if line is not None else {})


def _is_by_example(given: Arguments, dim: int, n: int) -> bool:
    """Every argument has the examples on this axis, or nothing to do with them."""
    return all(_is_known(v, dim, n) for v in (*given[0], *given[1].values()))


def _is_known(value: Any, dim: int, n: int) -> bool:
    if isinstance(value, torch.Tensor):
        if value.dim() > dim and value.shape[dim] == n:
            # a square may be a mask of time as well
            return value.layout is torch.strided and not (value.dim() == 2 and value.shape[0] == value.shape[1])
        return n not in value.shape
    if isinstance(value, dict):
        return all(_is_known(v, dim, n) for v in value.values())
    if isinstance(value, (list, tuple)):  # numbers in a list are lengths, say: one per example
        return all(isinstance(v, (torch.Tensor, dict, list, tuple)) and _is_known(v, dim, n) for v in value)
    return isinstance(value, _PLAIN)


def _draws(model: nn.Module, given: Arguments, output: torch.Tensor) -> bool:
    """Outputs are random in eval mode: such numbers belong to places, too. `output` is from another seed."""
    torch.manual_seed(_OTHER_SEED)
    other = first_tensor(model(*given[0], **given[1]))
    return other is None or not _same(output, other)


def _rolled(given: Arguments, dim: int, n: int, by: int) -> Arguments:
    changed: Arguments = map_tensors(
        given, lambda t: torch.roll(t, by, dim) if t.dim() > dim and t.shape[dim] == n else t
    )
    return changed


def _moved(model: nn.Module, given: Arguments, output: torch.Tensor, *, dim: int, by: int, call: Call) -> float:
    """The largest movement of a row, 0 where most rows stay."""
    n = int(output.shape[dim])
    after = call(model, _rolled(given, dim, n, by))
    wanted = torch.roll(output, by, dim)
    rows = (after - wanted).abs().movedim(dim, 0).reshape(n, -1).amax(1)
    moves = rows / max(float(output.abs().max()), 1e-30)
    return float(moves.max()) if float((moves > _NOISE).double().mean()) >= _MOST_ROWS else 0.0


class _Trace(TorchFunctionMode):
    """What single operations gave, in order."""

    def __init__(self, n: int, here: Here) -> None:
        super().__init__()
        self.results: list[tuple[torch.Tensor | None, Location | None]] = []
        self._n, self._here, self._left = n, here, _MOST_ELEMENTS

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") not in ("__get__", "size", "dim"):
            made = first_tensor(result)
            if made is not None and (not made.is_floating_point() or self._n not in made.shape):
                made = None
            self._left -= made.numel() if made is not None else 0
            kept = made.detach().clone() if made is not None and self._left > 0 else None
            self.results.append((kept, self._here() if kept is not None else None))
        return result


def _line(model: nn.Module, given: Arguments, *, dim: int, n: int, call: Call, here: Here) -> Location | None:
    """The first operation whose result follows the examples no longer, although it is not the same for all orders."""
    traces: list[list[tuple[torch.Tensor | None, Location | None]]] = []
    for arguments in (given, _rolled(given, dim, n, 1)):
        trace = _Trace(n, here)
        with trace:
            call(model, arguments)
        traces.append(trace.results)
    if len(traces[0]) != len(traces[1]):
        return None
    for (before, line), (after, _) in zip(traces[0], traces[1], strict=True):
        if before is None or after is None or before.shape != after.shape or _same(before, after):
            continue
        at: Location | None = line
        axes = [i for i, size in enumerate(before.shape) if size == n]
        if not any(_same(torch.roll(before, 1, axis), after) for axis in axes):
            return at
    return None


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    scale = max(float(one.abs().max()), 1e-30)
    return float((one.double() - other.double()).abs().max()) <= _NOISE * scale
