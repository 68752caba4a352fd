"""C30 mode-mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import flightcheck
from flightcheck.recording.batches import Batch, Evaluation
from flightcheck.recording.dropouts import DropoutUse
from flightcheck.recording.records import Call, Location, ModuleInfo, OptimizerInfo, ParameterInfo, Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line, network

NETWORK = [*network(3), ModuleInfo(60, "net.drop", "Dropout", "dropout", 0, order=3)]
EVALUATION = Evaluation(
    10, 0, 4, line(80), {"dropout": "train"}, losses=4, loss_value=1.0, training_flag=True,
)  # fmt: skip


def forwards(modes: str, root: int = 0) -> list[Call]:
    """One forward per step: t is train mode, e eval mode, f train mode with frozen parts."""
    data = {
        "t": {"training": True, "grad": True, "dropout": "train"},
        "e": {"training": False, "grad": True, "dropout": "eval"},
        "f": {"training": True, "grad": True, "dropout": "eval"},
    }
    return [Call(10 * i, i, "forward", root, line(70), data[m]) for i, m in enumerate(modes)]


def verdict(*records: Any, steps: int = 100) -> Any:
    return verdict_of("C30", run_of(*NETWORK, *records, steps=steps))


def test_training_that_stays_in_eval_mode_fails() -> None:
    modes = [Call(0, 0, "train_mode", 0, line(60)), Call(99, 10, "eval_mode", 0, line(85))]
    (finding,) = verdict(*forwards("tttttttttteeeeeeeeee"), *modes).findings
    assert finding.location == line(70)
    assert finding.onset_step == 10
    assert "train.py:85" in finding.message
    assert finding.severity is None


def test_a_later_phase_that_trains_no_normalization_keeps_its_statistics() -> None:
    norm = ModuleInfo(61, "net.norm", "BatchNorm1d", "batchnorm", 0, order=4)
    weights = [
        ParameterInfo(0, "net.norm.weight", 61, [3], "gain"),
        ParameterInfo(1, "net.lens.weight", 0, [3, 3], "matrix"),
    ]
    first = OptimizerInfo(0, "Adam", parameters=[0, 1], steps=10)
    second = OptimizerInfo(1, "Adam", parameters=[1], steps=10, created_at_step=10)
    calls = forwards("tttttttttteeeeeeeeee")
    assert verdict(norm, *weights, first, second, *calls).status == "pass"
    for changed in ({"parameters": [0, 1]}, {"created_at_step": 0}):
        assert verdict(norm, *weights, first, replace(second, **changed), *calls).status == "fail"


def test_a_later_phase_with_an_optimizer_of_its_own_may_be_fine_tuned_in_eval_mode() -> None:
    norm = ModuleInfo(61, "net.norm", "BatchNorm1d", "batchnorm", 0, order=4)
    weights = [ParameterInfo(0, "net.norm.weight", 61, [3], "gain")]
    first = OptimizerInfo(0, "Adam", parameters=[0], steps=10)
    second = OptimizerInfo(1, "Adam", parameters=[0], steps=10, created_at_step=10)
    calls = forwards("tttttttttteeeeeeeeee")
    before = replace(line(65), function="")
    switch = Call(99, 10, "eval_mode", 0, before)
    assert verdict(norm, *weights, first, second, switch, *calls).status == "pass"
    elsewhere = replace(switch, location=replace(before, function="evaluate"))
    behind = replace(switch, location=replace(before, line=85))
    for records in (
        [first, second, elsewhere], [first, second, behind], [first, second, replace(switch, seq=5), switch],
        [first, replace(second, created_at_step=0), switch],
    ):  # fmt: skip
        assert verdict(norm, *weights, *records, *calls).status == "fail"


def test_a_pass_that_renews_statistics_before_an_evaluation_is_none(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x, y = torch.randn(64, 4), torch.randint(2, (64,))
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        average = torch.optim.swa_utils.AveragedModel(model)
        for _ in range(12):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            average.update_parameters(model)
        torch.optim.swa_utils.update_bn([x, x], average)
        for net in (model, average):
            with torch.no_grad():
                net.eval()
                (net(x).argmax(1) == y).float().mean().item()
    assert watched.run is not None
    assert all(e.modes == {"batchnorm": "eval"} for e in watched.run.evaluations)
    assert len(watched.run.evaluations) == 2


def test_an_evaluation_before_the_first_step_that_does_not_restore_the_mode_fails() -> None:
    switch = Call(0, 0, "eval_mode", 0, line(85))
    calls = [replace(c, seq=c.seq + 1) for c in forwards("eeeeee")]
    evaluation = replace(EVALUATION, step=0, modes={"dropout": "eval"}, training_flag=False)
    (finding,) = verdict(*calls, switch, evaluation).findings
    assert (finding.location, finding.severity) == (line(70), None)
    assert "eval() in train.py:85 was never undone" in finding.message


def test_eval_mode_from_the_start_warns_at_the_call() -> None:
    (finding,) = verdict(
        *[replace(c, seq=c.seq + 1) for c in forwards("eeeeee")], Call(0, 0, "eval_mode", 0, line(20))
    ).findings
    assert finding.location == line(20)
    assert finding.severity == "warn"


def test_evaluation_in_train_mode_fails() -> None:
    (finding,) = verdict(*forwards("tttttttt"), EVALUATION).findings
    assert finding.location == line(80)
    assert finding.onset_step == 10


def test_right_modes_pass() -> None:
    good = replace(EVALUATION, modes={"dropout": "eval"}, training_flag=False)
    assert verdict(*forwards("ttttttttt"), good).status == "pass"


def test_frozen_modules_and_attacks_pass() -> None:
    assert verdict(*forwards("ffffffff")).status == "pass"
    attacks = [replace(c, seq=c.seq + 1) for c in forwards("eeeeeeee")]
    assert verdict(*forwards("tttttttt"), *attacks, Call(0, 0, "eval_mode", 0, line(20))).status == "pass"


def test_monte_carlo_dropout_and_recalibration_pass() -> None:
    assert verdict(*forwards("tttt"), replace(EVALUATION, same_input=True)).status == "pass"
    assert verdict(*forwards("tttt"), replace(EVALUATION, losses=0)).status == "pass"


def test_phases_in_most_steps_pass_but_not_when_every_step_is_an_epoch() -> None:
    teacher = [replace(EVALUATION, step=i) for i in range(9)]
    assert verdict(*forwards("ttttttttt"), *teacher, steps=10).status == "pass"
    whole = [Batch(i, True, 0, "0", [150, 4], "float32", "same", 0, 1, 0, 1, 0, 0) for i in range(8)]
    assert verdict(*forwards("ttttttttt"), *teacher, *whole, steps=10).status == "fail"


def test_gans_pass() -> None:
    assert verdict(*forwards("tttttttt"), EVALUATION, Plan(regimes=["gan"])).status == "pass"


def test_nothing_recorded_is_inconclusive() -> None:
    assert verdict().status == "inconclusive"


def test_models_without_modes_are_skipped() -> None:
    assert verdict_of("C30", run_of(*network(3), *forwards("tttt"))).status == "skipped"


def test_functional_dropout_that_stays_on_fails_at_its_line() -> None:
    wrong = replace(EVALUATION, modes={}, training_flag=False, functional_dropout=line(33))
    (finding,) = verdict_of("C30", run_of(*network(3), *forwards("tttttttt"), wrong, steps=100)).findings
    assert finding.location == line(33)
    right = replace(wrong, functional_dropout=None)
    assert verdict_of("C30", run_of(*network(3), *forwards("tttttttt"), right, steps=100)).status == "skipped"


def test_dropout_that_the_model_does_not_hold_fails_at_its_line_but_for_repeated_inputs() -> None:
    wrong = replace(EVALUATION, modes={}, training_flag=False, functional_dropout=line(33), unheld_dropout=True)
    (finding,) = verdict_of("C30", run_of(*network(3), *forwards("tttttttt"), wrong, steps=100)).findings
    assert finding.location == line(33)
    assert "does not hold" in finding.message and "__init__" in finding.fix
    drawn = replace(wrong, same_input=True)
    assert verdict_of("C30", run_of(*network(3), *forwards("tttttttt"), drawn, steps=100)).status == "skipped"


def test_eval_belongs_before_the_loop_that_calls_a_function_for_each_batch() -> None:
    looped = replace(EVALUATION, loop_location=line(90))
    (finding,) = verdict(*forwards("tttttttttttt"), looped).findings
    assert finding.location == line(90)
    assert "train.py:90" in finding.fix
    (finding,) = verdict(*forwards("tttttttttttt"), EVALUATION).findings
    assert finding.location == line(80)


def test_an_evaluation_that_goes_back_to_train_mode_fails() -> None:
    evaluation = replace(EVALUATION, modes={"dropout": "eval"}, training_flag=False, calls=4, flipped=3)
    modes = [Call(101, 10, "eval_mode", 0, line(78)), Call(102, 10, "train_mode", 0, line(82)),
             Call(109, 10, "train_mode", 0, line(60))]  # fmt: skip
    (finding,) = verdict(*forwards("tttttttttt"), *modes, evaluation).findings
    assert finding.location == line(82)
    assert "3 of 4 passes" in finding.message
    for silent in ({"flipped": 0}, {"same_input": True}, {"losses": 0}):
        assert verdict(*forwards("tttttttttt"), *modes, replace(evaluation, **silent)).status == "pass"


def test_dropout_as_a_function_that_is_told_the_mode_is_a_mode() -> None:
    told = DropoutUse(Location("train.py", 33, "", "x = F.dropout(x, 0.5, training=self.training)"), 0.5, inside="net")
    wrong = replace(EVALUATION, modes={})
    (finding,) = verdict_of("C30", run_of(*network(3), told, wrong, steps=100)).findings
    assert finding.location == wrong.location and "dropout in train mode" in finding.message
    for right in (replace(wrong, training_flag=False), replace(wrong, losses=0), replace(wrong, same_input=True)):
        assert verdict_of("C30", run_of(*network(3), told, right, steps=100)).status == "pass"
    always = replace(told, location=Location("train.py", 33, "", "x = F.dropout(x, 0.5)"))
    assert verdict_of("C30", run_of(*network(3), always, wrong, steps=100)).status == "skipped"


def test_every_step_an_epoch_may_be_evaluated_by_answers() -> None:
    """As a graph network does: all nodes in each step, and the share of right answers of some of them."""
    whole = [Batch(i, True, 0, "x", [8, 4], "float32", "all", 0, 1, 0, 1, 0, 0) for i in range(6)]
    phases = [replace(EVALUATION, step=i, losses=0, loss_value=None, metrics=2) for i in range(1, 7)]
    assert verdict(*whole, *phases, steps=6).status == "fail"
    chosen = [replace(e, metrics=1) for e in phases]
    assert verdict(*whole, *chosen, steps=6).status == "pass", "labels of its own may be chosen in each step"


def test_an_evaluation_in_train_mode_is_not_undone_by_one_in_eval_mode_behind_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x, y = torch.randn(64, 4), torch.randint(2, (64,))
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(12):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            print("validation", (model(x[:32]).argmax(1) == y[:32]).float().mean().item())
            model.eval()
            print("test", (model(x[32:]).argmax(1) == y[32:]).float().mean().item())
    assert watched.run is not None
    (finding,) = verdict_of("C30", watched.run).findings
    assert finding.location is not None
    assert "validation" in finding.location.code
