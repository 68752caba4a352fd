"""C12 weights-not-updating."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import flightcheck
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LEARNING_RATE, UPDATE_NORM, WEIGHT_NORM
from flightcheck.recording.wiring import ReboundParameter
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import OPTIMIZER, line, network, with_parameters


def test_identical_weights_with_gradients_fail_at_the_step() -> None:
    (finding,) = verdict_of("C12", run_of(*with_parameters(network(3), 0, 1, updates_nonzero=0))).findings
    assert finding.location == line(99)
    assert finding.parameters == (0, 1)


def test_changing_weights_pass() -> None:
    assert verdict_of("C12", run_of(*network(3))).status == "pass"


def test_a_still_bias_passes() -> None:
    assert verdict_of("C12", run_of(*with_parameters(network(3), 1, updates_nonzero=0, role="bias"))).status == "pass"


def test_no_gradient_is_left_to_another_check() -> None:
    assert verdict_of("C12", run_of(*network(3, gradients_nonzero=0, updates_nonzero=0))).status == "skipped"


def test_few_comparisons_are_inconclusive() -> None:
    assert verdict_of("C12", run_of(*network(3, update_checks=2, updates_nonzero=0))).status == "inconclusive"


def test_a_group_frozen_by_its_learning_rate_passes() -> None:
    groups = [{"lr": 0.0, "parameters": 2}, {"lr": 1e-3, "parameters": 1}]
    optimizer = replace(OPTIMIZER, groups=groups, parameters=[0, 1, 2])
    records = with_parameters(network(3, optimizer=optimizer), 0, 1, updates_nonzero=0)
    assert verdict_of("C12", run_of(*records)).status == "pass"
    alone = replace(OPTIMIZER, groups=[{"lr": 0.0, "parameters": 3}], parameters=[0, 1, 2])
    assert verdict_of("C12", run_of(*network(3, optimizer=alone, updates_nonzero=0))).status == "fail"


def standing(still: int = 12, gradient: float = -1.0, rate: float = 0.1, closure: bool = False) -> Run:
    """20 steps in which all three weights move, then so many in which none does."""
    phases = [([0.1] * 3, [1.0] * 3, [0.1])] * 20 + [([0.0] * 3, [gradient] * 3, [rate])] * still
    updates, gradients, rates = (list(rows) for rows in zip(*phases, strict=True))
    records = network(3, optimizer=replace(OPTIMIZER, closure=closure))
    return run_of(*records, series={UPDATE_NORM: updates, GRAD_NORM: gradients, LEARNING_RATE: rates})


def test_nothing_moves_any_more() -> None:
    (finding,) = verdict_of("C12", standing()).findings
    assert finding.onset_step == 20 and "no gradient" in finding.message
    (finding,) = verdict_of("C12", standing(gradient=0.5)).findings
    assert "not zero" in finding.message
    assert verdict_of("C12", standing(still=9)).status == "pass"


def test_a_standstill_that_is_explained_is_neither_found_nor_passed() -> None:
    for run in (standing(rate=1e-5), standing(gradient=0.0), standing(gradient=float("inf")), standing(closure=True)):
        verdict = verdict_of("C12", run)
        assert verdict.status == "inconclusive" and "nothing has moved since step 20" in verdict.reason


def test_models_that_are_made_anew_so_often_that_they_are_not_followed_are_inconclusive() -> None:
    run = standing(gradient=0.5)
    run.records["OptimizerInfo"] = [replace(OPTIMIZER, stands_for_later=True)]
    verdict = verdict_of("C12", run)
    assert verdict.status == "inconclusive" and "later models" in verdict.reason


def test_a_loop_that_moves_names_and_no_parameters_fails_where_it_does() -> None:
    records = [r for r in network(3, optimizers=[]) if r is not OPTIMIZER]
    still = {WEIGHT_NORM: [[1.0, 2.0, 3.0]] * 20}
    renamed = ReboundParameter("param", line(40))
    (finding,) = verdict_of("C12", run_of(*records, renamed, series=still)).findings
    assert finding.location == line(40)
    moving = {WEIGHT_NORM: [[1.0 + 0.1 * i, 2.0, 3.0] for i in range(20)]}
    assert verdict_of("C12", run_of(*records, renamed, series=moving)).status == "skipped"
    assert verdict_of("C12", run_of(*records, series=still)).status == "skipped"


def test_optimizers_that_are_made_anew_in_each_round_are_told_apart_up_to_a_number(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(70):
            model = nn.Linear(3, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            model(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
    assert watched.run is not None
    assert [o.stands_for_later for o in watched.run.optimizers] == [False] * 63 + [True]
