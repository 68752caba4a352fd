"""C16 output-range-mismatch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.opponents import Opponents
from flightcheck.recording.records import ModuleInfo, Plan, RootInfo
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line

SITE = LossSite(0, "mse_loss", line(50))
CALL = LossCall(
    0, 0, True, [64, 1], [64, 1], [], "float32", "float32", 1.0, 0.0, 0.9, -2.1, 2.3, target_mean=0.0, target_std=1.0,
    input_module_type="Sigmoid", input_module_location=line(7),
)  # fmt: skip


def verdict(call: LossCall, site: LossSite = SITE, times: int = 6) -> Any:
    return verdict_of("C16", run_of(site, *[replace(call, step=i) for i in range(times)]))


def test_standardized_targets_after_a_sigmoid_fail_at_the_module() -> None:
    (finding,) = verdict(CALL).findings
    assert finding.location == line(7)
    assert finding.severity is None


def test_the_last_operation_is_enough() -> None:
    for operation in ("ReluBackward0", "TanhBackward0", "SigmoidBackward0"):
        assert verdict(replace(CALL, input_module_type="", input_op=operation)).status == "fail"


@pytest.mark.parametrize("picked", ["gather", "index_select", "rows"])
@pytest.mark.parametrize(("relu", "status"), [(True, "fail"), (False, "pass")])
def test_values_of_actions_that_are_picked_out(tmp_path: Path, picked: str, relu: bool, status: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        for _ in range(12):
            q, action = net(torch.randn(32, 4)), torch.randint(3, (32, 1))
            q = F.relu(q) if relu else q
            if picked == "gather":
                chosen = q.gather(1, action)
            elif picked == "index_select":
                chosen = q.index_select(1, action[0])
            else:
                chosen = q[torch.arange(32), action[:, 0]][:, None]
            loss = F.smooth_l1_loss(chosen, -1 - torch.rand(32, 1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert seen.run is not None
    found = verdict_of("C16", seen.run)
    assert found.status == status
    assert all("The last activation is relu" in f.message for f in found.findings)


def test_a_linear_output_passes() -> None:
    assert verdict(replace(CALL, input_module_type="Linear", input_op="AddmmBackward0")).status == "pass"


def test_targets_within_the_range_pass() -> None:
    assert verdict(replace(CALL, target_min=0.0, target_max=1.0, target_mean=0.3, target_std=0.3)).status == "pass"
    noisy = replace(CALL, target_min=-0.05, target_max=1.04, target_mean=0.4, target_std=0.3)
    assert verdict(noisy).status == "pass"


def test_a_rare_outlier_passes() -> None:
    outlier = replace(CALL, input_module_type="ReLU", target_min=-1.0, target_max=5.0, target_mean=2.0, target_std=0.5)
    assert verdict(outlier).status == "pass"


def test_relu_on_logits_warns() -> None:
    logits = replace(CALL, input_module_type="ReLU", classes=10)
    (finding,) = verdict(logits, replace(SITE, function="cross_entropy")).findings
    assert finding.severity == "warn"


def test_sigmoid_on_logits_is_an_error_with_its_floor() -> None:
    (finding,) = verdict(replace(CALL, classes=10), replace(SITE, function="cross_entropy")).findings
    assert finding.severity == "error"
    assert "1.461" in finding.message


def test_data_that_a_generator_cannot_make_fail_at_its_last_activation() -> None:
    roots = [RootInfo(0, "D", "Judge", line(20)), RootInfo(1, "G", "Maker", line(21))]
    tanh = ModuleInfo(3, "G.net.2", "Tanh", "activation", 1, line(7), order=2)
    pair = Opponents(
        0, 1, judge_steps=8, maker_steps=8, made_by="tanh", made_range=[-0.9, 0.9], others_range=[0.0, 255.0],
        others=1000, others_outside=500,
    )  # fmt: skip

    def told(pair: Opponents, regime: str = "gan") -> Any:
        return verdict_of("C16", run_of(*roots, tanh, pair, Plan(regimes=[regime]))).findings

    (finding,) = told(pair)
    assert (finding.location, finding.module) == (line(7), "G.net.2")
    assert "G ends in tanh (-1 to 1), and 50% of the values" in finding.message
    assert "Scale the data into -1 to 1" in finding.fix
    (finding,) = told(replace(pair, made_by="relu", others_range=[-2.0, 2.0]))
    assert finding.location == line(21), "a function, which stands in no module"
    assert not told(replace(pair, others_outside=100)) and not told(replace(pair, maker_steps=0))
    assert not told(pair, "supervised")


def test_two_calls_are_inconclusive() -> None:
    assert verdict(CALL, times=2).status == "inconclusive"


def test_other_losses_are_skipped() -> None:
    assert verdict(CALL, replace(SITE, function="kl_div")).status == "skipped"


def test_a_relu_before_the_softmax_of_nll_warns_at_its_line() -> None:
    logs = replace(
        CALL, input_op="LogSoftmaxBackward0", input_module_type="", input_module_location=None, classes=10,
        scores_op="ReluBackward0", scores_location=line(28),
    )  # fmt: skip
    (finding,) = verdict(logs, replace(SITE, function="nll_loss")).findings
    assert (finding.location, finding.severity, finding.patch) == (line(28), "warn", "drop-module:relu")
    assert verdict(replace(logs, scores_op="AddmmBackward0"), replace(SITE, function="nll_loss")).status == "pass"
    (finding,) = verdict(logs, replace(SITE, function="cross_entropy")).findings
    assert finding.location == line(28)


def test_a_relu_before_the_sigmoid_of_bce_fails() -> None:
    rates = replace(CALL, input_op="SigmoidBackward0", input_module_type="", scores_op="ReluBackward0")
    assert verdict(rates, replace(SITE, function="binary_cross_entropy")).status == "fail"
    linear = replace(rates, scores_op="AddmmBackward0")
    assert verdict(linear, replace(SITE, function="binary_cross_entropy")).status == "pass"


def test_noise_on_targets_within_the_range_passes() -> None:
    noisy = replace(CALL, target_min=-0.25, target_max=1.27, target_mean=0.45, target_std=0.28)
    assert verdict(noisy).status == "fail"
    assert verdict(replace(noisy, target_tenths=[0.08, 0.85])).status == "pass"
    assert verdict(replace(CALL, target_tenths=[-1.3, 1.3])).status == "fail"
