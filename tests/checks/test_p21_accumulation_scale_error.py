"""P21 accumulation-scale-error: sums, means and means of means of micro-batches; one backward per step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.checks.parameters import p21_accumulation_scale_error as module
from flightcheck.recording.batches import Batch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.provenance import in_every_nth_round
from flightcheck.recording.provenance.shares import divided_before
from flightcheck.recording.records import Call, Location, OptimizerInfo, Plan
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 30)
SGD = OptimizerInfo(0, "SGD", steps=6)


def judge(divisor: float, k: int = 4, *, same: bool = False, reduction: str = "mean", rounds: int = 6,
          plan: Plan | None = None, optimizer: OptimizerInfo = SGD, tried: str = "confirmed",
          losses: list[float] | None = None) -> Verdict:  # fmt: skip
    records: list[Any] = [
        optimizer, plan or Plan(counted_steps=True), LossSite(0, "mse_loss", LINE, {"reduction": reduction}),
        Experiment("P21", f"accumulate:x{1 / k:g}", status=tried),
    ]  # fmt: skip
    sequence = 0
    for step in range(rounds):
        for i in range(k):
            value = 1.0 + 0.1 * i + step
            digest = "same" if same else f"{step}-{i}"
            records += [
                Batch(step, True, 0, "0", [8, 4], "float32", digest, -2, 2, 0, 1, 0, 0.0),
                LossCall(0, step, True, [8], [8], [], "float32", "float32", value, -1, 1, -2, 2),
                Call(sequence, step, "backward", -1, LINE, {"value": value / divisor}),
            ]
            sequence += 1
        records.append(Call(sequence, step, "step", 0, LINE, {"fresh": True}))
        sequence += 1
    return verdict_of("P21", run_of(*records, steps=rounds, series={LOSS: losses} if losses else None))


def test_a_sum_fails() -> None:
    (finding,) = judge(1).findings
    assert finding.location == LINE
    assert finding.severity is None
    assert "(loss / 4)" in finding.fix


@pytest.mark.parametrize("tried", ["refuted", "inconclusive", "untested"])
def test_a_sum_that_may_be_divided_elsewhere_is_information(tried: str) -> None:
    (finding,) = judge(1, tried=tried).findings
    assert finding.severity == "info"


def test_a_sum_is_a_warning_where_the_loss_ends_above_its_start() -> None:
    grown, fallen = [1.5] * 10 + [9.0] * 10, [1.5] * 10 + [0.2] * 10
    for losses, tried, severity in (
        (grown, "untested", None), (grown, "refuted", "info"), (fallen, "untested", "info"), (fallen, "confirmed", None),
    ):  # fmt: skip
        (finding,) = judge(1, tried=tried, losses=losses).findings
        assert finding.severity == severity


def test_a_division_made_twice_fails() -> None:
    (finding,) = judge(16).findings
    assert finding.evidence["divisor"] == 16


@pytest.mark.parametrize("divisor", [4, 2, 0.5])
def test_a_mean_and_a_weight_of_the_loss_pass(divisor: float) -> None:
    assert judge(divisor).status == "pass"


def test_a_sum_without_a_counter_is_information() -> None:
    assert [f.severity for f in judge(1, plan=Plan()).findings] == ["info"]


def test_what_accumulates_nothing_is_skipped() -> None:
    assert judge(1, k=1).status == "skipped"
    assert judge(1, same=True).status == "skipped"
    assert judge(1, plan=Plan(counted_steps=True, regimes=["gan"])).status == "skipped"
    assert judge(1, plan=Plan(counted_steps=True, regimes=["second-order"])).status == "skipped"
    assert verdict_of("P21", run_of(steps=9)).status == "skipped"


def test_sums_and_few_rounds_are_inconclusive() -> None:
    assert judge(1, reduction="sum").status == "inconclusive"
    assert judge(1, rounds=2).status == "inconclusive"


KD, CE = (LossSite(i, f, LINE, {"reduction": r}) for i, f, r in ((0, "kl_div", "batchmean"), (1, "nll_loss", "mean")))


def distilled(weights: tuple[float, float], tried: str = "confirmed", *, first: int = 0, bent: float = 0.0) -> Verdict:
    """Two losses with weights, accumulated four times by an optimizer that begins after another one is done."""
    records: list[Any] = [
        replace(SGD, index=1), Plan(counted_steps=True), KD, CE, Experiment("P21", "accumulate:x0.25", status=tried),
    ]  # fmt: skip
    if first:
        records += [SGD, *(Call(i, i, "step", 0, LINE, {"fresh": True}) for i in range(first))]
    for step in range(first, first + 6):
        for i in range(4):
            one, other = 1.0 + 0.1 * i + step, 2.0 + 0.3 * ((i * step) % 5)
            seq = 10 * (step + 100) + i
            records += [
                Batch(step, True, 0, "0", [8, 4], "float32", f"{step}-{i}", -2, 2, 0, 1, 0, 0.0),
                LossCall(0, step, True, [8], [8], [], "float32", "float32", one, -1, 1, -2, 2),
                LossCall(1, step, True, [8], [8], [], "float32", "float32", other, -1, 1, -2, 2),
                Call(
                    seq, step, "backward", -1, LINE, {"value": weights[0] * one + weights[1] * other + bent * i * step}
                ),
            ]
        records.append(Call(10 * (step + 100) + 9, step, "step", 1, LINE, {"fresh": True}))
    return verdict_of("P21", run_of(*records, steps=first + 6))


@pytest.fixture(autouse=True)
def _undivided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of these records is in no file."""
    monkeypatch.setattr(module, "divided_before", lambda file, line: False)


@pytest.mark.parametrize(
    ("way", "divided"),
    [
        ("loss = a + 2 * b\n    loss.backward()", False),
        ("loss = f(x)\n    loss.backward()", False),
        ("loss = a + b\n    (loss / 4).backward()", True),
        ("loss = (a + b) / 4\n    loss.backward()", True),
        ("loss = a\n    loss /= 4\n    loss.backward()", True),
        ("part = 1 / 4\n    loss = part * (a + b)\n    loss.backward()", True),
        ("total = a + b\n    loss = total / k\n    scaler.scale(loss).backward()", True),
    ],
)
def test_divisions_on_the_way_to_backward(tmp_path: Path, way: str, divided: bool) -> None:
    file = tmp_path / "train.py"
    file.write_text(f"def train(a, b, f, x, k):\n    {way}\n    print(a / 3)\n")
    assert divided_before(str(file), way.count("\n") + 2) is divided
    assert divided_before(str(tmp_path / "gone.py"), 1)


def test_several_losses_with_weights() -> None:
    (finding,) = distilled((2.8, 0.3)).findings
    assert (finding.severity, finding.patch, finding.evidence["accumulation"]) == (None, "accumulate:x0.25", 4)
    assert [f.severity for f in distilled((2.8, 0.3), "untested").findings] == ["info"], (
        "the weights alone are no proof"
    )
    assert distilled((0.7, 0.075)).status == "pass", "divided by 4"
    assert distilled((2.8, 0.3), bent=0.5).status == "pass", "there is more in it"


def test_an_optimizer_that_begins_when_another_is_done() -> None:
    (finding,) = distilled((2.8, 0.3), first=200).findings
    assert finding.onset_step == 200
    together = [replace(SGD, index=1), SGD, *(Call(i, i // 2, "step", i % 2, LINE, {}) for i in range(20))]
    assert verdict_of("P21", run_of(*together, steps=10)).status == "skipped"


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("for i in x:\n    go()\n    if (i + 1) % 4 == 0:\n        step()\n", 4, True),
        ("for i in x:\n    last = (i + 1) % 4 == 0\n    if last:\n        step()\n", 4, True),
        ("for i in x:\n    step()\n    if i % 4 == 0:\n        log()\n", 2, False),
        ("for e in range(9):\n    if e % 2:\n        for i in x:\n            step()\n", 4, False),
        ("for i in x:\n    if i > 3:\n        step()\n", 3, False),
    ],
)
def test_steps_under_a_counter(tmp_path: Path, text: str, line: int, expected: bool) -> None:
    file = tmp_path / "loop.py"
    file.write_text(text)
    assert in_every_nth_round(str(file), line) is expected
