"""P17 gradient-clipping-misuse: after the step, on nothing, per micro-batch, or down to nothing."""

from __future__ import annotations

from flightcheck.checks.parameters.p17_gradient_clipping_misuse import clips_hard
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Call, Location, OptimizerInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 40)
SGD = OptimizerInfo(0, "SGD", steps=80)
WEIGHT = ParameterInfo(0, "net.weight", 0, [4, 4], "matrix", optimizers=[0])


def clip(**data: object) -> tuple[str, dict]:
    return "clip", {"norm": 2.0, "max_norm": 1.0, "scaled": False, "after_step": False, "parameters": 4, **data}


def run(*round_: tuple[str, dict], losses: list[float] | None = None, move: float = 1e-2, times: int = 80) -> Run:
    order = [
        Call(i, i // len(round_), kind, 0, LINE if kind == "clip" else None, data)
        for i, (kind, data) in enumerate(list(round_) * times)
    ]
    losses = losses or [2.0 - i / 50 for i in range(80)]
    series = {LOSS: losses, UPDATE_NORM: [[move]] * len(losses), WEIGHT_NORM: [[1.0]] * len(losses)}
    return run_of(SGD, WEIGHT, *order, series=series)


BACKWARD, STEP, ZERO = ("backward", {}), ("step", {}), ("zero_grad", {})


def test_between_backward_and_step_passes() -> None:
    assert verdict_of("P17", run(BACKWARD, clip(), STEP)).status == "pass"


def test_after_the_step_fails() -> None:
    (finding,) = verdict_of("P17", run(BACKWARD, STEP, clip(after_step=True), ZERO)).findings
    assert finding.location == LINE
    assert finding.severity is None


def test_a_used_up_generator_fails() -> None:
    assert "no parameters" in verdict_of("P17", run(BACKWARD, clip(parameters=0, norm=0.0), STEP)).findings[0].message


def test_per_micro_batch_fails() -> None:
    assert verdict_of("P17", run(BACKWARD, clip(), BACKWARD, clip(), BACKWARD, clip(), STEP, ZERO)).status == "fail"
    per_example = run(BACKWARD, clip(), ZERO, BACKWARD, clip(), ZERO, BACKWARD, clip(), STEP, ZERO)
    assert verdict_of("P17", per_example).status == "pass"


def test_several_parts_clipped_at_one_line_pass() -> None:
    assert verdict_of("P17", run(BACKWARD, clip(), clip(), STEP)).status == "pass"


def test_clipping_that_strangles_warns_and_harmless_clipping_is_info() -> None:
    strangled = run(BACKWARD, clip(norm=500.0, max_norm=0.01), STEP, losses=[2.0] * 80, move=1e-6)
    assert [f.severity for f in verdict_of("P17", strangled).findings] == [None]
    learning = run(BACKWARD, clip(norm=500.0, max_norm=0.01), STEP)
    assert [f.severity for f in verdict_of("P17", learning).findings] == ["info"]


def test_a_trial_without_clipping_proves_it() -> None:
    learning = run(BACKWARD, clip(norm=500.0, max_norm=0.01), STEP)
    values = {"before": 1.9, "after": 0.2, "start": 2.0, "steps": 300, "metric": "error"}
    learning.records["Experiment"] = [Experiment("P17", "clip:off", status="confirmed", **values)]
    (finding,) = verdict_of("P17", learning).findings
    assert finding.severity is None
    assert "Without clipping the error after 300 steps is 0.2 and not 1.9." in finding.message


def test_which_clipping_is_worth_a_trial() -> None:
    assert clips_hard(run(BACKWARD, clip(norm=500.0, max_norm=0.01), STEP))
    assert not clips_hard(run(BACKWARD, clip(norm=5.0), STEP))
    assert not clips_hard(run(BACKWARD, STEP))


def test_clipping_in_every_step_passes() -> None:
    assert verdict_of("P17", run(BACKWARD, clip(norm=5.0), STEP, losses=[2.0] * 80)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P17", run(BACKWARD, clip(), STEP, times=3)).status == "inconclusive"
    assert verdict_of("P17", run(BACKWARD, STEP)).status == "skipped"
