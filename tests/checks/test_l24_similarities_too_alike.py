"""L24 similarities-too-alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.recording.similarities import ScaledSimilarity, least_loss
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 22, "pair_loss", "logits = a @ b.t() * temperature")
FOUND = ScaledSimilarity(
    LINE, LINE, Location("train.py", 24), 0, scale=0.1, factor=0.1, operation="cross_entropy", items=64, calls=8
)


def test_a_temperature_that_multiplies_fails_at_its_line() -> None:
    run = run_of(FOUND, steps=8)
    (finding,) = verdict_of("L24", run).findings
    assert finding.location == LINE
    assert finding.evidence["floor"] == pytest.approx(3.962, abs=1e-3)
    assert "multiplied by 10." in finding.fix
    assert diff_of([Patch.parse(finding.patch)], finding, run).endswith("+ logits = a @ b.t() / temperature")


def test_a_loss_of_the_scripts_own_is_judged_by_what_it_prints() -> None:
    (finding,) = verdict_of("L24", run_of(replace(FOUND, operation="exp"), steps=8)).findings
    patch = Patch.parse(finding.patch)
    assert (patch.judged_by_numbers_of_the_script, patch.scored) == (True, None)
    assert Patch.parse("temperature:train.py:22").scored == Patch("score", "wrong")


def test_the_bound_is_reached_by_opposite_vectors() -> None:
    assert least_loss(0.0, 8) == pytest.approx(2.0794, abs=1e-4)  # all alike: log 8
    assert least_loss(20.0, 8) < 1e-15


@pytest.mark.parametrize(
    "healthy",
    [
        replace(FOUND, scale=10.0),
        replace(FOUND, scale=1.0),  # cosines as they are
        replace(FOUND, scale=0.7, items=8),  # a mild one over few: two thirds of the way are open
        replace(FOUND, steady=False),
    ],
)
def test_scales_with_which_a_softmax_can_tell_pass(healthy: ScaledSimilarity) -> None:
    assert verdict_of("L24", run_of(healthy, steps=8)).status == "pass"


def test_few_calls_are_inconclusive_and_no_step_is_skipped() -> None:
    assert verdict_of("L24", run_of(replace(FOUND, calls=1), steps=1)).status == "inconclusive"
    assert verdict_of("L24", run_of()).status == "skipped"
