"""C33 depends-on-place-in-batch."""

from __future__ import annotations

from flightcheck.recording.experiments import Probe
from flightcheck.recording.records import Location, Plan, RootInfo
from flightcheck.testing import run_of, verdict_of

ROOT = RootInfo(0, "model", "Net", Location("train.py", 20), train_calls=10)
LINE = {"file": "train.py", "line": 12, "function": "forward", "code": "x = x + self.pe[: x.size(0)]"}


def place(moved: float, **more: object) -> Probe:
    return Probe("leaks", {"examples": 1e-14, "dim": 0, "batch": 32, "apart": True, "place": moved, **more})


def test_the_line_at_which_the_place_gets_in_is_named() -> None:
    (finding,) = verdict_of("C33", run_of(ROOT, place(0.1, place_at=LINE))).findings
    assert finding.location == Location(**LINE)


def test_without_it_the_model_is_named() -> None:
    (finding,) = verdict_of("C33", run_of(ROOT, place(0.1))).findings
    assert finding.location == ROOT.location


def test_outputs_that_follow_their_examples_pass() -> None:
    assert verdict_of("C33", run_of(ROOT, place(1e-13))).status == "pass"


def test_a_model_that_could_not_be_asked_is_inconclusive() -> None:
    assert verdict_of("C33", run_of(ROOT, Probe("leaks", {"examples": 0.3}))).status == "inconclusive"
    assert verdict_of("C33", run_of(ROOT)).status == "inconclusive"


def test_rows_that_belong_together_are_skipped() -> None:
    assert verdict_of("C33", run_of(ROOT, place(0.1), Plan(regimes=["contrastive"]))).status == "skipped"
