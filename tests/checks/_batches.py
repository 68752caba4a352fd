"""Training inputs as an adapter records them, for the tests of the data checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flightcheck.recording.batches import Batch
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.records import Location, ModuleInfo

CALL = Location("train.py", 40, "main", "out = model(x)")
ORIGIN = Location("train.py", 10, "", "X = torch.tensor(X) / 16.0 * 255")
BATCH = Batch(
    0, True, 0, "0", [64, 20], "float32", "d0", -3.0, 3.0, 0.0, 1.0, 0, 0.0, distinct=1280,
    feature_mean_max=0.3, feature_std_min=0.8, feature_std_max=1.2, feature_offset_max=0.3,
    location=CALL, origin=ORIGIN, first_module="linear",
)  # fmt: skip
LINEAR = ModuleInfo(0, "model.0", "Linear", "linear", 0, order=0, trainable=True)
CROSS_ENTROPY = LossCall(
    0, 0, True, [64, 10], [64], [], "float32", "int64", 2.3, -1.0, 1.0, 0, 9, classes=10,
)  # fmt: skip


def batches(n: int, **changes: Any) -> list[Batch]:
    """`n` training batches, one a step, with different digests."""
    return [replace(BATCH, **{"step": i, "digest": f"d{i}", **changes}) for i in range(n)]


def losses(values: list[float], every: int = 5, **changes: Any) -> list[LossCall]:
    """Observed cross-entropy calls with these values."""
    return [replace(CROSS_ENTROPY, **{"step": i * every, "value": v, **changes}) for i, v in enumerate(values)]
