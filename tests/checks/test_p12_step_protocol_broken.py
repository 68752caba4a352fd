"""P12 step-protocol-broken: the order of zero_grad, backward and step."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.drawn_anew import DrawnAnew
from flightcheck.recording.records import Call, LoaderInfo, Location, OptimizerInfo, ParameterInfo, Plan
from flightcheck.recording.run import Run
from flightcheck.recording.signals import WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import batches

BACKWARD, STEP, ZERO, MADE = (Location("train.py", n) for n in (30, 31, 29, 5))
ADAM = OptimizerInfo(0, "Adam", MADE, parameters=[0], step_location=STEP, steps=20)
WEIGHT = ParameterInfo(0, "net.weight", 0, [4, 4], "matrix", optimizers=[0], in_graph=True)


def calls(*round_: tuple[str, dict], first: dict | None = None, times: int = 20) -> list[Call]:
    number = count()
    lines = {"backward": BACKWARD, "step": STEP, "zero_grad": ZERO}
    made = [
        Call(next(number), r, kind, -1 if kind == "backward" else 0, lines[kind], dict(data))
        for r in range(times)
        for kind, data in round_
    ]
    if first is not None:
        step = next(c for c in made if c.kind == "step")
        step.data.update(first)
    return made


def run(*records: object, **info: object) -> Run:
    return run_of(ADAM, WEIGHT, *records, **{"steps": 20, "backwards": 20, **info})


REACHES = ("backward", {"optimizers": [0]})
FRESH = ("step", {"fresh": True, "gradients": 4, "parameters": 4, "backwards": 1, "closure": False, "last": "backward"})
STALE = ("step", {**FRESH[1], "fresh": False})
EMPTY = ("step", {**FRESH[1], "gradients": 0, "last": "zero_grad"})
CLEAR, WIPE = ("zero_grad", {"optimizer": 0, "pending": False}), ("zero_grad", {"optimizer": 0, "pending": True})


def test_the_usual_order_passes() -> None:
    assert verdict_of("P12", run(*calls(CLEAR, REACHES, FRESH))).status == "pass"


def test_never_cleared_fails_at_the_backward() -> None:
    (finding,) = verdict_of("P12", run(*calls(REACHES, STALE, first={"fresh": True}))).findings
    assert finding.location == BACKWARD
    assert "never cleared" in finding.message


def test_cleared_in_a_few_rounds_fails_at_the_line_that_clears() -> None:
    made = calls(REACHES, STALE, first={"fresh": True})
    cleared = replace(made[0], seq=-1, kind="zero_grad", location=ZERO, data={"optimizer": 0, "optimizers": [0]})
    (finding,) = verdict_of("P12", run(cleared, *made)).findings
    assert finding.location == ZERO
    assert "train.py:29" in finding.message
    other = replace(cleared, data={"optimizer": 1, "optimizers": [1]})
    (finding,) = verdict_of("P12", run(other, *made)).findings
    assert finding.location == BACKWARD


def test_cleared_before_the_step_fails_at_zero_grad() -> None:
    (finding,) = verdict_of("P12", run(*calls(REACHES, WIPE, EMPTY))).findings
    assert finding.location == ZERO


def test_step_before_backward_fails_at_the_step() -> None:
    (finding,) = verdict_of("P12", run(*calls(WIPE, EMPTY, REACHES, first={"backwards": 0}))).findings
    assert finding.location == STEP


def test_backward_without_a_step_fails_at_the_backward() -> None:
    idle = replace(ADAM, steps=0)
    loop = calls(REACHES, times=60)
    (finding,) = verdict_of("P12", run_of(idle, WEIGHT, *loop, steps=60, backwards=60)).findings
    assert finding.location == BACKWARD


def test_update_by_hand_beside_an_idle_optimizer_is_no_finding() -> None:
    idle = replace(ADAM, steps=0)
    moving = {WEIGHT_NORM: [[1.0 + i / 50] for i in range(60)]}
    verdict = verdict_of("P12", run_of(idle, WEIGHT, *calls(REACHES, times=60), series=moving, steps=60, backwards=60))
    assert verdict.status == "inconclusive"


def test_a_player_that_waits_is_inconclusive() -> None:
    waiting, active = replace(ADAM, steps=0), replace(ADAM, index=1, parameters=[1])
    both = [Call(i, i, "backward", -1, BACKWARD, {"optimizers": [0, 1]}) for i in range(60)]
    run_ = run_of(waiting, active, WEIGHT, Plan(regimes=["gan"]), *both, steps=60, backwards=60)
    assert verdict_of("P12", run_).status == "inconclusive"


def test_accumulation_passes() -> None:
    accumulated = ("step", {**FRESH[1], "backwards": 4})
    loop = calls(REACHES, REACHES, REACHES, REACHES, accumulated, CLEAR)
    assert verdict_of("P12", run(*loop, backwards=80)).status == "pass"


def test_clearing_every_micro_batch_fails_with_a_batch_each() -> None:
    loop = calls(WIPE, REACHES, WIPE, REACHES, WIPE, REACHES, ("step", {**FRESH[1], "backwards": 3}))
    loader = LoaderInfo(0, batches=60, used_in_training=True)
    assert verdict_of("P12", run(loader, *loop, backwards=60)).status == "fail"
    one_batch = LoaderInfo(0, batches=20, used_in_training=True)
    assert verdict_of("P12", run(one_batch, *loop, backwards=60)).status == "pass", "per-example or per-task gradients"


def test_a_step_behind_a_whole_pass_fails_at_the_step() -> None:
    loop = calls(WIPE, REACHES, WIPE, REACHES, WIPE, REACHES, ("step", {**FRESH[1], "backwards": 3}))
    whole = LoaderInfo(0, batches=60, length=3, used_in_training=True)
    (finding,) = verdict_of("P12", run(whole, *loop, backwards=60)).findings
    assert (finding.location, finding.patch) == (STEP, "step:0")
    by_hand = Plan(steps_per_epoch=1)
    fed = [replace(b, step=i // 3) for i, b in enumerate(batches(60))]
    (finding,) = verdict_of("P12", run(by_hand, *fed, *loop, backwards=60)).findings
    assert finding.location == STEP
    one = [replace(b, shape=[1, *b.shape[1:]]) for b in fed]
    assert verdict_of("P12", run(by_hand, *one, *loop, backwards=60)).status == "pass", "examples one by one"
    same = [replace(b, digest=str(b.step)) for b in fed]
    assert verdict_of("P12", run(by_hand, *same, *loop, backwards=60)).status == "pass", "tasks on the same batch"


def test_sam_and_adversarial_training_pass() -> None:
    loop = calls(REACHES, WIPE, REACHES, ("step", {**FRESH[1], "backwards": 2}), CLEAR)
    assert (
        verdict_of("P12", run(LoaderInfo(0, batches=20, used_in_training=True), *loop, backwards=40)).status == "pass"
    )


def test_closures_pass() -> None:
    lbfgs = replace(ADAM, type="LBFGS", closure=True)
    loop = calls(("step", {"fresh": False, "gradients": 0, "backwards": 5, "closure": True}))
    assert verdict_of("P12", run_of(lbfgs, WEIGHT, *loop, steps=20)).status == "pass"


def in_parts(*order: str) -> Verdict:
    """Steps of LBFGS, each with 3 evaluations in which this is called."""
    made, seq = [], count()
    index = {"whole": [0], "pending": True, "optimizers": [0], "in_step": [0]}
    for i in range(8):
        made += [Call(next(seq), i, kind, 0, ZERO if kind == "zero_grad" else BACKWARD, index) for kind in order * 3]
        inside = {"backwards_inside": 3 * order.count("backward"), "evaluations": 3, "last_inside": "backward"}
        made.append(Call(next(seq), i, "step", 0, STEP, {"closure": True, **inside}))
    return verdict_of("P12", run_of(replace(ADAM, type="LBFGS", closure=True), WEIGHT, *made, steps=8))


def test_a_closure_that_clears_between_the_parts_of_its_loss_fails_where_it_clears() -> None:
    (finding,) = in_parts("zero_grad", "backward", "zero_grad", "backward").findings
    assert finding.location == ZERO
    assert "each of its 2 backward passes" in finding.message
    assert in_parts("zero_grad", "backward", "backward").status == "pass"
    assert in_parts("zero_grad", "zero_grad", "backward", "backward").status == "pass", (
        "the model's and the optimizer's"
    )


@pytest.mark.parametrize(("restarts", "severity"), [(19, None), (4, "warn"), (1, "info")])
def test_an_optimizer_made_again_and_again(restarts: int, severity: str | None) -> None:
    again = replace(ADAM, state_restarts=restarts)
    (finding,) = verdict_of("P12", run_of(again, WEIGHT, *calls(CLEAR, REACHES, FRESH), steps=20)).findings
    assert finding.location == MADE
    assert finding.severity == severity


def test_a_stage_with_an_optimizer_of_its_own_and_a_new_start() -> None:
    four = replace(ADAM, state_restarts=4, parameters=[WEIGHT.index])
    loop = calls(CLEAR, REACHES, FRESH)
    epoch = run_of(four, WEIGHT, *loop, Plan(steps_per_epoch=40), steps=200)
    assert [f.severity for f in verdict_of("P12", epoch).findings] == ["warn"]
    stage = run_of(four, WEIGHT, *loop, Plan(steps_per_epoch=20), steps=200)
    assert [f.severity for f in verdict_of("P12", stage).findings] == ["info"]
    start = DrawnAnew(0, MADE, [40, 80, 120, 160], [WEIGHT.index])
    assert verdict_of("P12", run_of(four, WEIGHT, *loop, start, Plan(steps_per_epoch=40), steps=200)).status == "pass"


def test_plain_sgd_has_no_state_to_lose() -> None:
    sgd = replace(ADAM, type="SGD", state_restarts=19, groups=[{"lr": 0.1, "momentum": 0}])
    assert verdict_of("P12", run_of(sgd, WEIGHT, *calls(CLEAR, REACHES, FRESH), steps=20)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P12", run(*calls(CLEAR, REACHES, FRESH, times=2))).status == "inconclusive"
    assert verdict_of("P12", run_of(WEIGHT)).status == "skipped"
