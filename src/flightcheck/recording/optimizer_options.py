"""Values of an optimizer's options that stand in the place of another option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NO_AVERAGE: Final = 0.05
"""A decay rate below this averages over 1.05 steps: it is none. Weight decays have such values."""
A_MOMENTUM: Final = 0.5
"""Decay rates that are meant begin here (they average over two steps or more); weight decays are far below."""
AN_EPSILON: Final = 1e-7
"""Decays nothing in any training: at a learning rate of 1 it takes ten million steps."""
NO_EPSILON: Final = 1e-5
"""Epsilons go up to this (agents), and weight decays down to it."""

_AVERAGING: Final = {"Adam", "AdamW", "NAdam", "RAdam"}
_WITH_EPSILON: Final = {*_AVERAGING, "RMSprop", "Adagrad", "Adadelta"}


def misplaced(kind: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """What the options of a group would be with each value in its own place; empty where none is misplaced.

    Args:
        kind: class of the optimizer: those of PyTorch whose positional arguments are known.
        group: its options by name.
    """
    decay, momentum = _number(group, "weight_decay"), _number(group, "momentum")
    if kind == "SGD" and momentum < NO_AVERAGE and _number(group, "dampening") >= A_MOMENTUM:
        return {"momentum": group["dampening"], "dampening": 0.0, "weight_decay": momentum or decay}
    if kind in ("SGD", "RMSprop") and 0 < momentum < NO_AVERAGE and decay >= A_MOMENTUM:
        return {"momentum": decay, "weight_decay": momentum}
    if kind == "RMSprop" and 0 < _number(group, "alpha", 0.99) < NO_AVERAGE:
        return {"alpha": 0.99, "weight_decay": decay or group["alpha"]}
    if kind in _WITH_EPSILON and 0 < decay <= AN_EPSILON and _number(group, "eps") >= NO_EPSILON:
        return {"eps": decay, "weight_decay": group["eps"]}
    betas = group.get("betas")
    if kind in _AVERAGING and isinstance(betas, (tuple, list)) and len(betas) == 2:
        first, second = (float(b) for b in betas)
        if first > second > 0 and first**2 > second**0.5:
            return {"betas": (second, first)}
    return {}


def _number(group: Mapping[str, Any], name: str, default: float = 0.0) -> float:
    value = group.get(name, default)
    return float(value) if isinstance(value, (int, float)) else default
