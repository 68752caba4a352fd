"""The records of a small network, for tests of checks."""

from __future__ import annotations

from typing import Any

from flightcheck.recording.batches import Batch
from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo


def line(number: int) -> Location:
    return Location("train.py", number)


OPTIMIZER = OptimizerInfo(0, "Adam", line(90), [{"lr": 1e-3, "parameters": 99}], steps=100, step_location=line(99))
BATCHES = [
    Batch(step, True, 0, "0", [64, 8], "float32", f"digest{step}", -3, 3, 0, 1, 0, 0, feature_offset_max=0.3)
    for step in range(8)
]


def network(
    depth: int, width: int = 32, activation: str = "ReLU", optimizer: OptimizerInfo = OPTIMIZER, **changes: Any
) -> list[Any]:
    """`depth` linear layers with activations between them: layer i is module 2i, its weight parameter i.

    Args:
        depth: number of linear layers.
        width: units per layer.
        activation: type of the modules between.
        optimizer: holds all weights.
        changes: fields of every `ParameterInfo`.
    """
    healthy: dict[str, Any] = {
        "optimizers": [0], "in_graph": True, "gradients_seen": 20, "gradients_nonzero": 20, "gradient_checks": 20,
        "update_checks": 20, "updates_nonzero": 20, "numel": width * width,
    }  # fmt: skip
    records: list[Any] = [RootInfo(0, "net", "Sequential", line(1)), optimizer]
    for i in range(depth):
        place = 2 * i
        records.append(ModuleInfo(place, f"net.{place}", "Linear", "linear", 0, line(10 + place), order=place))
        records.append(ParameterInfo(i, f"net.{place}.weight", place, [width, width], "matrix", **(healthy | changes)))
        if i < depth - 1:
            records.append(
                ModuleInfo(
                    place + 1, f"net.{place + 1}", activation, "activation", 0, line(11 + place), order=place + 1
                )
            )
    return records


def with_parameters(records: list[Any], *indices: int, **changes: Any) -> list[Any]:
    """The records, with some parameters changed."""
    from dataclasses import replace

    return [replace(r, **changes) if isinstance(r, ParameterInfo) and r.index in indices else r for r in records]
