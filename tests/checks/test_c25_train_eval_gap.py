"""C25 train-eval-gap: thinning that changes the mean, statistics that lag, and gaps that are meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.experiments import Probe
from flightcheck.recording.records import Location, ModuleInfo, Plan, RootInfo
from flightcheck.testing import run_of, verdict_of

ROOT = RootInfo(0, "model", "Net", Location("train.py", 30), train_calls=120)
DROP = ModuleInfo(3, "model.body.2", "DropUnits", "other", 0, Location("train.py", 22), settings={"reads_mode": True})
NORM = ModuleInfo(4, "model.norm", "BatchNorm1d", "batchnorm", 0, Location("train.py", 23))
TRAIN = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.1]
WORSE = [x + 0.8 + 0.01 * i for i, x in enumerate(TRAIN)]
OWN: dict[str, Any] = {
    "name": "DropUnits", "closes": 0.98, "path": "body.2", "own": True, "before": "body.3", "scale": 0.5,
    "likeness": 0.94, "file": "train.py", "line": 17,
}  # fmt: skip
STATISTICS: dict[str, Any] = {"name": "batchnorm", "closes": 1.0, "path": "norm", "own": False}


def modes(*groups: dict[str, Any], **changes: Any) -> Probe:
    values = {"calls": 120, "train": TRAIN, "eval": WORSE, "examples": 512, "groups": list(groups)}
    return Probe("modes", {**values, **changes})


def verdict(*records: Any) -> Verdict:
    return verdict_of("C25", run_of(ROOT, DROP, NORM, *records))


def test_thinning_that_changes_the_mean_fails_at_its_line() -> None:
    (finding,) = verdict(modes(OWN)).findings
    assert (finding.severity, finding.module) == (None, "model.body.2")
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("train.py", 17)
    assert "leaves 0.50 times the mean of eval mode before body.3" in finding.message
    # by a library: the line that constructed it
    (finding,) = verdict(modes({k: v for k, v in OWN.items() if k not in ("file", "line")})).findings
    assert finding.location == DROP.location


def test_it_comes_before_a_norm_that_follows_it() -> None:
    (finding,) = verdict(modes({**STATISTICS, "closes": 1.1}, OWN, recalibrated=0.9)).findings
    assert finding.evidence["module"] == "DropUnits"


@pytest.mark.parametrize("changes", [{"scale": 1.04}, {"likeness": 0.4}, {"before": None, "scale": None}])
def test_other_code_that_asks_for_the_mode_is_a_note(changes: dict[str, Any]) -> None:
    """Noise, teacher forcing, hard choices: worse in eval mode on purpose."""
    group = {k: v for k, v in {**OWN, **changes}.items() if v is not None}
    (finding,) = verdict(modes(group)).findings
    assert finding.severity == "info"


def test_statistics_are_a_note_that_tells_whether_they_lag() -> None:
    (finding,) = verdict(modes(STATISTICS, recalibrated=0.1)).findings
    assert (finding.severity, finding.location) == ("info", NORM.location)
    assert "Statistics of these batches alone would close 10%." in finding.message
    (finding,) = verdict(modes(STATISTICS, recalibrated=0.95)).findings
    assert finding.severity == "info"
    assert "they lag behind the weights" in finding.message


def test_dropout_and_what_no_kind_makes_alone_are_notes() -> None:
    dropout = {"name": "dropout", "closes": 0.9, "path": "body.2", "own": False}
    assert verdict(modes(dropout)).findings[0].severity == "info"
    (finding,) = verdict(modes({**OWN, "closes": 0.5})).findings
    assert finding.severity == "info"
    assert "No kind of module makes that alone." in finding.message


@pytest.mark.parametrize(
    "evaluating",
    [
        [x - 0.3 for x in TRAIN],  # without its noise dropout is better
        [x + 0.08 for x in TRAIN],
        [x + (2.0 if i < 3 else -0.05) for i, x in enumerate(TRAIN)],  # not in every batch
    ],
    ids=["better", "a little", "now and then"],
)
def test_small_and_uncertain_gaps_pass(evaluating: list[float]) -> None:
    assert verdict(modes(OWN, eval=evaluating)).status == "pass"


def test_small_losses_need_more_than_their_tenth() -> None:
    small = [0.001 * x for x in TRAIN]
    assert verdict(modes(OWN, train=small, eval=[x + 0.01 for x in small])).status == "pass"


def test_too_little_is_known() -> None:
    assert verdict().status == "inconclusive"
    assert verdict(modes(OWN, calls=30)).status == "inconclusive"
    assert verdict(modes(OWN, eval=[float("nan")] * 8)).status == "inconclusive"


def test_where_the_mode_makes_no_difference_or_the_loss_says_nothing() -> None:
    plain = replace(DROP, settings={})
    assert verdict_of("C25", run_of(ROOT, plain, modes(OWN))).status == "skipped"
    for regime in ("gan", "reinforcement", "contrastive", "self-supervised"):
        assert verdict(modes(OWN), Plan(regimes=[regime])).status == "skipped"
