"""C05 dead-units."""

from __future__ import annotations

from typing import Any

import numpy as np

from flightcheck.recording.batches import Batch
from flightcheck.recording.records import NonFinite
from flightcheck.recording.signals import ACTIVATION_DEAD, GRAD_NORM_TOTAL, NOT_THERE
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import BATCHES, line, network


def rows(shares: Any) -> list[list[float]]:
    return [[NOT_THERE, share] for share in shares]


def verdict(shares: Any, *more: Any, batches: Any = BATCHES, width: int = 32, **series: Any) -> Any:
    signals = {ACTIVATION_DEAD: rows(shares), GRAD_NORM_TOTAL: series.get("norms", [1.0] * 20)}
    return verdict_of("C05", run_of(*network(2, width), *batches, *more, series=signals))


def test_a_layer_that_dies_is_an_error_at_its_line_and_step() -> None:
    result = verdict([0.05] * 5 + [0.97] * 15)
    (finding,) = result.findings
    assert (finding.severity, finding.location, finding.onset_step) == ("error", line(11), 5)


def test_partial_death_that_grew_is_information() -> None:
    (finding,) = verdict(np.linspace(0.05, 0.5, 20)).findings
    assert finding.severity == "info"


def test_a_constant_share_of_silent_units_passes() -> None:
    assert verdict([0.4] * 20).status == "pass"


def test_a_single_look_is_inconclusive() -> None:
    assert verdict([0.95]).status == "inconclusive"


def test_without_relu_it_is_skipped() -> None:
    assert verdict([NOT_THERE] * 20).status == "skipped"


def test_after_the_first_nan_nothing_counts() -> None:
    assert verdict([0.05] * 18 + [1.0] * 6, NonFinite(18, "loss", "")).status == "pass"


def test_four_points_in_full_batches_are_inconclusive() -> None:
    xor = [Batch(s, True, 0, "0", [4, 2], "float32", "same", 0, 1, 0, 1, 0, 0) for s in range(8)]
    assert verdict(np.linspace(0, 0.6, 20), batches=xor).status == "inconclusive"


def test_a_narrow_layer_counts_only_when_training_stopped() -> None:
    assert verdict([1.0] * 20, width=4).status == "pass"
    assert verdict([1.0] * 20, width=4, norms=[0.0] * 20).status == "fail"
