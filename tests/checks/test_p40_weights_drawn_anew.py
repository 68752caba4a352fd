"""P40 weights-drawn-anew: an initialization in the loop over the epochs."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.drawn_anew import DrawnAnew
from flightcheck.recording.kept_states import KeptState
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo, Plan
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 20, code="net.apply(reset)")
SGD = OptimizerInfo(0, "SGD", parameters=[0, 1, 2], steps=60)
MATRICES = [ParameterInfo(i, f"net.{i}.weight", 0, [4, 4], "matrix", optimizers=[0]) for i in range(3)]
DRAWN = DrawnAnew(0, LINE, [20, 40], [0, 1, 2])
PLAN = Plan(steps_per_epoch=20)


def test_once_per_epoch_fails_at_the_line() -> None:
    (finding,) = verdict_of("P40", run_of(SGD, *MATRICES, DRAWN, PLAN, steps=60)).findings
    assert finding.location == LINE
    assert finding.onset_step == 20


def test_folds_and_single_layers_pass() -> None:
    fold = replace(DRAWN, rounds=[200, 400])
    assert verdict_of("P40", run_of(SGD, *MATRICES, fold, PLAN, steps=600)).status == "pass"
    head = replace(DRAWN, parameters=[2])
    assert verdict_of("P40", run_of(SGD, *MATRICES, head, PLAN, steps=60)).status == "pass"
    assert verdict_of("P40", run_of(SGD, *MATRICES, PLAN, steps=60)).status == "pass"


def test_several_starts_of_which_the_best_is_kept_pass() -> None:
    restarted, kept = replace(SGD, state_restarts=2), KeptState(0, "saved", LINE, kept_at=[20, 40])
    assert verdict_of("P40", run_of(restarted, kept, *MATRICES, DRAWN, PLAN, steps=60)).status == "pass"
    later = replace(SGD, index=1, created_at_step=40)
    assert verdict_of("P40", run_of(restarted, later, kept, *MATRICES, DRAWN, PLAN, steps=60)).status == "pass"
    never = replace(kept, kept_at=[])
    assert verdict_of("P40", run_of(restarted, never, *MATRICES, DRAWN, PLAN, steps=60)).status == "fail"
    assert verdict_of("P40", run_of(restarted, *MATRICES, DRAWN, PLAN, steps=60)).status == "fail"
    assert verdict_of("P40", run_of(SGD, kept, *MATRICES, DRAWN, PLAN, steps=60)).status == "fail"


def test_inconclusive_and_skipped() -> None:
    once = replace(DRAWN, rounds=[20])
    assert verdict_of("P40", run_of(SGD, *MATRICES, once, PLAN, steps=60)).status == "inconclusive"
    assert verdict_of("P40", run_of(*MATRICES, DRAWN, PLAN)).status == "skipped"
