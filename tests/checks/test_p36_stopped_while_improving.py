"""P36 stopped-while-improving: losses that still fall, that are flat, that end as planned; runs that go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from flightcheck.checks.base import Verdict
from flightcheck.checks.parameters.p36_stopped_while_improving import longer, with_more_rounds
from flightcheck.recording.experiments import Experiment, Status
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.records import LoaderInfo, Location, OptimizerInfo, Plan
from flightcheck.recording.signals import LEARNING_RATE, LOSS
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 30)
NOISE = np.random.default_rng(0).normal(0, 0.02, 400)
FALLING = 2.3 - np.linspace(0, 1.5, 400) + NOISE
FLAT = 0.4 + 1.9 * np.exp(-np.arange(400) / 40) + NOISE


def judge(losses: Any, *records: Any, ended: str = "finished", rate: Any = None) -> Verdict:
    rates = np.full(len(losses), 1e-3) if rate is None else rate
    series = {LOSS: [float(v) for v in losses], LEARNING_RATE: [[float(r)] for r in rates]}
    optimizer = OptimizerInfo(0, "Adam", steps=len(losses))
    records = records or (Plan(backward_location=LINE),)
    return verdict_of("P36", run_of(optimizer, *records, series=series, ended=ended))


def test_a_loss_that_still_falls_is_advice() -> None:
    verdict = judge(FALLING)
    (finding,) = verdict.findings
    assert finding.location == LINE
    assert finding.severity == "info"


def test_flat_and_annealed_endings_pass() -> None:
    assert judge(FLAT).status == "pass"
    assert judge(0.7 + 10 * NOISE).status == "pass"
    assert judge(FALLING, rate=1e-3 * (1 + np.cos(np.linspace(0, np.pi, 400)))).status == "pass"


def test_runs_that_cannot_be_judged() -> None:
    assert judge(FALLING, ended="stopped").status == "inconclusive"
    assert judge(FALLING[:60]).status == "inconclusive"
    assert judge(FALLING, Plan(regimes=["gan"])).status == "skipped"
    assert judge(FALLING, OptimizerInfo(1, "Adam", steps=9)).status == "skipped"


LOOP, WRITTEN = Location("train.py", 20), Location("train.py", 3, code="EPOCHS = 5")
PLANNED = Plan(backward_location=LINE, counting_loop=LOOP, counted=5, count_written=WRITTEN)
LONGER = "source:longer@8:train.py:20"


def proof(status: Status = "confirmed", patch: str = LONGER) -> Experiment:
    return Experiment("P36", patch, status=status, metric="error", before=2.1, after=0.3)


def test_few_updates_and_a_trial_of_more_are_a_warning() -> None:
    (finding,) = judge(FALLING[:60], PLANNED, proof()).findings
    assert (finding.location, finding.patch, finding.severity) == (WRITTEN, LONGER, None)
    assert "over after 60 updates: 5 rounds of 12 batches." in finding.message
    loader = LoaderInfo(0, Location("train.py", 9), used_in_training=True)
    dataset = DatasetInfo(0, 0, trained=True, batch_size=4096)
    short = np.resize(FALLING[:12], 15)
    (finding,) = judge(short, PLANNED, proof(patch="source:longer@26:train.py:20"), loader, dataset).findings
    assert finding.location == loader.location and "Smaller batches" in finding.fix
    (finding,) = judge(FALLING[:60], PLANNED, proof(), loader, dataset).findings
    assert finding.location == WRITTEN, "12 batches in an epoch are not few because they are large"


def test_without_such_a_trial_few_updates_tell_nothing() -> None:
    for told in ((), (proof("inconclusive"),), (proof(patch="source:longer@8:train.py:9"),)):
        assert judge(FALLING[:60], PLANNED, *told).status == "inconclusive"


def test_only_short_trainings_at_a_usual_rate_are_tried() -> None:
    def asked(losses: Any, *records: Any, **how: Any) -> str:
        rates = np.full(len(losses), how.pop("rate", 1e-3))
        series = {LOSS: [float(v) for v in losses], LEARNING_RATE: [[float(r)] for r in rates]}
        optimizer = OptimizerInfo(0, how.pop("type", "AdamW"), steps=len(losses))
        return longer(run_of(optimizer, *records, series=series, ended=how.pop("ended", "finished")))

    assert asked(FALLING[:60], PLANNED) == LONGER
    assert asked(FALLING[:60], PLANNED, type="SGD", rate=0.05) == LONGER
    assert asked(FALLING[:60], PLANNED, rate=1e-5) == "", "P02 asks whether the rate is too small"
    assert asked(FALLING[:60], PLANNED, type="SGD") == ""
    assert asked(FALLING, PLANNED) == asked(FALLING[:8], PLANNED) == ""
    assert asked(FALLING[:60], PLANNED, ended="stopped") == ""
    assert asked(FALLING[:60], Plan(backward_location=LINE)) == ""
    assert asked(FALLING[:60], replace(PLANNED, regimes=["finetune"])) == ""
    assert asked(FALLING[:60], PLANNED, OptimizerInfo(1, "Adam", steps=9)) == ""


def test_what_a_user_would_write() -> None:
    assert with_more_rounds(run_of(PLANNED, steps=60)) == "- EPOCHS = 5\n+ EPOCHS = 40"
    unwritten = replace(PLANNED, count_written=Location("train.py", 3, code="epochs=args.epochs"))
    assert with_more_rounds(run_of(unwritten, steps=60)) == "+ # 40 rounds in the place of 5"
