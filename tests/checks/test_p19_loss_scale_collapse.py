"""P19 loss-scale-collapse: the scaler skips and skips."""

from __future__ import annotations

from flightcheck.recording.records import Call, Location, NonFinite, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 60)


def run(skipped: list[bool], *more: object) -> Run:
    """Skips do not end a round: the step number goes on with a step only."""
    made, step, scale = [], 0, 65536.0
    for i, skip in enumerate(skipped):
        scale = scale / 2 if skip else scale
        made.append(Call(2 * i, step, "scaler_skip" if skip else "scaler_step", 0, LINE, {"scale": scale}))
        made.append(Call(2 * i + 1, step, "scaler_update", 0, None, {"scale": scale}))
        step += not skip
    return run_of(*made, *more, steps=step)


def test_every_step_skipped_fails() -> None:
    (finding,) = verdict_of("P19", run([False] * 10 + [True] * 40)).findings
    assert finding.location == LINE
    assert finding.evidence["row"] == 40


def test_an_optimizer_that_never_stepped_fails() -> None:
    # Without any step each backward ends a round, so that the step number moves on.
    skips = [Call(i, i, "scaler_skip", 0, LINE, {"scale": 65536.0}) for i in range(60)]
    assert verdict_of("P19", run_of(OptimizerInfo(0, "Adam"), *skips)).status == "fail"


def test_good_steps_that_were_not_recorded_break_the_row() -> None:
    skips = [Call(i, 10 * i, "scaler_skip", 0, LINE, {"scale": 65536.0}) for i in range(30)]
    assert verdict_of("P19", run_of(OptimizerInfo(0, "Adam", steps=5000), *skips, steps=5000)).status == "pass"


def test_a_scale_under_one_fails() -> None:
    assert verdict_of("P19", run([True, True, False] * 9 + [True])).status == "fail"


def test_many_late_skips_fail() -> None:
    assert verdict_of("P19", run([False] * 110 + [True, False, False, False] * 30)).status == "fail"


def test_the_operation_that_overflows_is_named() -> None:
    origin = NonFinite(3, "activation", "net.2", "exp", Location("train.py", 17))
    (finding,) = verdict_of("P19", run([True] * 40, origin)).findings
    assert finding.location == origin.location


def test_the_search_at_the_start_passes() -> None:
    assert verdict_of("P19", run([True] * 15 + [False] * 100)).status == "pass"
    assert verdict_of("P19", run([False] * 250 + [True] + [False] * 40)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P19", run([True] * 5)).status == "inconclusive"
    assert verdict_of("P19", run_of(Call(0, 0, "step", 0))).status == "skipped"
