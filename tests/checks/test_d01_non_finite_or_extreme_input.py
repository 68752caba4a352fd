"""D01 non-finite-or-extreme-input."""

from __future__ import annotations

import math
from dataclasses import replace

from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location, NonFinite
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import ORIGIN, batches, losses

SITE = LossSite(0, "mse_loss", Location("train.py", 50), target_origin=Location("train.py", 12))


def test_nan_that_breaks_the_loss_fails_at_the_data() -> None:
    inputs = batches(6)
    inputs[3] = replace(inputs[3], nonfinite=2)
    verdict = verdict_of("D01", run_of(*inputs, series={LOSS: [1.0, 1.0, 1.0, math.nan, math.nan, math.nan]}))
    (finding,) = verdict.findings
    assert finding.location == ORIGIN
    assert finding.onset_step == 3
    assert finding.severity is None
    assert finding.patch == "inputs:finite"


def test_masked_nan_is_information() -> None:
    inputs = batches(6, nonfinite=5)
    (finding,) = verdict_of("D01", run_of(*inputs, series={LOSS: [1.0] * 6})).findings
    assert finding.severity == "info"
    assert finding.patch == ""


def test_nan_after_the_loss_broke_is_a_consequence() -> None:
    inputs = batches(4) + [replace(b, step=b.step + 4, nonfinite=64) for b in batches(4)]
    series = {LOSS: [1.0, 1.0, math.nan, *[math.nan] * 5]}
    assert verdict_of("D01", run_of(*inputs, series=series)).status == "pass"


def test_nan_target_fails() -> None:
    targets = losses([math.nan] * 4, target_dtype="float32", target_mean=math.nan)
    (finding,) = verdict_of("D01", run_of(SITE, *batches(4), *targets)).findings
    assert finding.location == SITE.target_origin
    assert finding.patch == "targets:finite"


def test_record_of_the_first_non_finite_number_is_enough() -> None:
    record = NonFinite(5, "input", "0", detail={"rows": [3]})
    assert verdict_of("D01", run_of(record)).status == "fail"


def test_outlier_batch_is_information() -> None:
    inputs = batches(12)
    inputs[7] = replace(inputs[7], maximum=1e6)
    (finding,) = verdict_of("D01", run_of(*inputs)).findings
    assert finding.severity == "info"
    assert finding.onset_step == 7


def test_clean_inputs_pass() -> None:
    assert verdict_of("D01", run_of(*batches(6))).status == "pass"


def test_ids_pass() -> None:
    assert verdict_of("D01", run_of(*batches(6, dtype="int64"))).status == "pass"


def test_nothing_recorded_is_inconclusive() -> None:
    assert verdict_of("D01", run_of()).status == "inconclusive"
