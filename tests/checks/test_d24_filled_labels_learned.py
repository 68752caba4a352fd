"""D24 filled-labels-learned: told when a trial without them shows it, open before, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.data.d24_filled_labels_learned import filled_labels
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import losses

FILL = Location("work/train.py", 10, "", "y = np.nan_to_num(y)")
SITE = LossSite(0, "binary_cross_entropy_with_logits", Location("work/train.py", 50), fills=[FILL])
CALLS = losses([0.5] * 12, target_binary=True, target_mean=0.15, target_shape=[64, 5], input_shape=[64, 5])
PROOF = Experiment("D24", "targets:known=train.py:10", status="confirmed", before=0.9, after=0.4, steps=120)


def verdict(*records: Any, calls: Any = CALLS) -> Any:
    return verdict_of("D24", run_of(*records, *calls))


def test_it_is_told_when_a_trial_shows_it() -> None:
    (finding,) = verdict(SITE, PROOF).findings
    assert finding.location == FILL and finding.patch == PROOF.patch
    assert finding.severity is None and "0.4 after 120 steps and not 0.9" in finding.message


def test_before_a_trial_it_is_open_and_after_another_outcome_silent() -> None:
    assert verdict(SITE).status == "inconclusive"
    assert verdict(SITE, replace(PROOF, status="untested")).status == "pass"
    assert verdict(replace(SITE, fills=[])).status == "pass"


@pytest.mark.parametrize(
    ("site", "calls"),
    [
        (replace(SITE, settings={"reduction": "none"}), CALLS),
        (replace(SITE, settings={"handmade": True}), CALLS),
        (SITE, CALLS[:4]),
        (SITE, [replace(c, target_binary=False) for c in CALLS]),
        (SITE, [replace(c, target_mean=1.0) for c in CALLS]),
    ],
    ids=["masked", "own", "few", "soft", "ones"],
)
def test_what_cannot_be_meant_is_not_suspected(site: LossSite, calls: Any) -> None:
    assert filled_labels(run_of(site, *calls)) == []


def test_other_losses_are_skipped() -> None:
    assert verdict(replace(SITE, function="mse_loss"), calls=()).status == "skipped"
