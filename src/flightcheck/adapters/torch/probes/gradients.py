"""Is the backward of the user's own autograd functions the derivative of their forward?"""

from __future__ import annotations

import inspect
from typing import Any, Final

import torch

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.probes.sources import as_written, file_of
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe

_MOST: Final = 3
"""Calls of each function that are asked."""
_STEP: Final = 1e-6
_ROWS: Final = 3


class _Asked:
    def __init__(self) -> None:
        self.calls: dict[type, list[tuple[Any, ...]]] = {}

    def note(self, function: type, given: tuple[Any, ...]) -> None:
        calls = self.calls.setdefault(function, [])
        if len(calls) < _MOST:
            calls.append(tuple(g.detach().clone() if isinstance(g, torch.Tensor) else g for g in given))


def install(b: Boundaries, patch: Patch) -> None:
    """Keep the arguments of a few calls of each function; compare derivatives when the trial ends."""
    asked = _Asked()

    def make(original: Any) -> Any:
        def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
            if b.observer.watch.mine() and b.observer.lines.is_user(file_of(cls)) and not kwargs:
                asked.note(cls, args)
            return original.__func__(cls, *args, **kwargs)

        return classmethod(apply)

    function = torch.autograd.Function
    own = function.__dict__.get("apply")
    if own is not None:
        setattr(function, "apply", make(own))  # noqa: B010 – the process ends with the trial

    def told() -> Probe | None:
        with b.unwatched():
            found = [f for cls, calls in asked.calls.items() for f in [compare(cls, calls)] if f]
        return Probe("gradients", {"functions": found}) if found else None

    b.probes.append(told)
    b.acted(patch)


def compare(cls: Any, calls: list[tuple[Any, ...]]) -> dict[str, Any]:
    """The median relative error of the directional derivative over the calls (a kink spoils single ones).

    Args:
        cls: a subclass of `torch.autograd.Function`.
        calls: arguments of forward.

    Returns:
        ``name``, ``file``, ``line`` of the backward, ``error``, ``same`` (forward is the identity, or flat almost
        everywhere: then its backward is another one on purpose); empty if it could not be asked.
    """
    errors, flat = [], []
    for given in calls:
        try:
            error, derivative = _error(cls, given)
        except Exception:  # not for float64, or with effects: no answer
            continue
        errors.append(error)
        flat.append(derivative)
    if not errors:
        return {}
    try:
        line = inspect.getsourcelines(cls.backward)[1]
    except (OSError, TypeError):
        line = 0
    return {
        "name": cls.__name__,
        "file": as_written(file_of(cls)),
        "line": line,
        "error": sorted(errors)[len(errors) // 2],
        "on_purpose": all(flat),
    }


def _error(cls: Any, given: tuple[Any, ...]) -> tuple[float, bool]:
    torch.manual_seed(0)
    inputs = [g.double()[:_ROWS] if isinstance(g, torch.Tensor) and g.is_floating_point() else g for g in given]
    leaves = [i for i, g in enumerate(inputs) if isinstance(g, torch.Tensor) and g.is_floating_point()]
    for i in leaves:
        inputs[i] = inputs[i].clone().requires_grad_()
    output = first_tensor(cls.apply(*inputs))
    if output is None:
        raise ValueError("no tensor")
    cotangent = torch.randn_like(output)
    gradients = torch.autograd.grad(output, [inputs[i] for i in leaves], cotangent, allow_unused=True)
    directions = [torch.randn_like(inputs[i]) for i in leaves]
    analytic = sum(float((g * v).sum()) for g, v in zip(gradients, directions) if g is not None)

    def at(h: float) -> float:
        moved = list(inputs)
        for i, v in zip(leaves, directions):
            moved[i] = (inputs[i] + h * v).detach()
        with torch.no_grad():
            result = first_tensor(cls.apply(*moved))
        assert result is not None
        return float((result * cotangent).sum())

    numeric = (at(_STEP) - at(-_STEP)) / (2 * _STEP)
    scale = max(abs(analytic), abs(numeric), 1e-10)
    with torch.no_grad():
        identity = any(
            inputs[i].shape == output.shape and torch.allclose(output.detach(), inputs[i].detach()) for i in leaves
        )
    # Rounding, sign and argmax have no derivative; reversal and scaling act on the gradient alone.
    return abs(analytic - numeric) / scale, abs(numeric) < 1e-8 or identity
