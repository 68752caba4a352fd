"""C02 parameter-without-gradient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Call, GraphCut, ModuleInfo, OptimizerInfo
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import OPTIMIZER, line, network, with_parameters

NO_GRADIENT: dict[str, Any] = {"gradients_seen": 0, "gradients_nonzero": 0, "in_graph": False}
CUT = GraphCut("detach", line(40), 0, [0, 1])
LOGGED = GraphCut("item", line(60), 0, [0, 1, 2, 3])


def test_parameters_behind_a_cut_are_one_finding_at_the_cut() -> None:
    verdict = verdict_of("C02", run_of(*with_parameters(network(4), 0, 1, **NO_GRADIENT), LOGGED, CUT))
    (finding,) = verdict.findings
    assert finding.location == line(40)
    assert finding.parameters == (0, 1)
    assert finding.severity is None
    assert "detach" in finding.message


def test_a_dead_path_without_a_cut_names_the_module() -> None:
    verdict = verdict_of("C02", run_of(*with_parameters(network(4), 0, gradients_nonzero=0)))
    (finding,) = verdict.findings
    assert finding.location == line(10)
    assert finding.evidence["gradient"] == "zero"


def test_the_whole_model_behind_a_new_tensor_fails() -> None:
    cut = GraphCut("tensor", line(41), 0, [0, 1, 2])
    (finding,) = verdict_of("C02", run_of(*network(3, **NO_GRADIENT), cut)).findings
    assert finding.location == line(41)


def test_an_answer_that_another_model_was_given_explains_more_than_the_acting_of_an_agent() -> None:
    acts = GraphCut("no_grad", line(91), 0, [0, 1], count=900)
    proposes = GraphCut("no_grad", line(101), 0, [0, 1], count=8, handed_on=8)
    records = with_parameters(network(4), 0, 1, **NO_GRADIENT)
    (finding,) = verdict_of("C02", run_of(*records, acts, proposes)).findings
    assert finding.location == line(101)


def test_actions_that_a_critic_is_given_are_recorded_behind_its_own_step(tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor, critic = nn.Linear(3, 2), nn.Linear(5, 1)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (actor, critic)]
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(12):
            state = torch.randn(8, 3)
            with torch.no_grad():
                actor(state[:1])  # it acts
                action = actor(state)
            loss = (critic(torch.cat([state, torch.randn(8, 2)], 1)) - 1).square().mean()
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
            judged = -Together(critic)(state, action).mean()
            optimizers[0].zero_grad()
            judged.backward()
            optimizers[0].step()
    assert watched.run is not None
    handed = [c for c in watched.run.graph_cuts if c.handed_on]
    assert ["action = actor(state)" in c.location.code for c in handed if c.location is not None] == [True]


class Together(nn.Module):
    """A critic of states and actions."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        judged: torch.Tensor = self.critic(torch.cat([state, action], 1))
        return judged


def test_all_gradients_pass() -> None:
    assert verdict_of("C02", run_of(*network(3), LOGGED)).status == "pass"


def test_few_steps_are_inconclusive() -> None:
    assert verdict_of("C02", run_of(*network(3, **NO_GRADIENT, gradient_checks=3))).status == "inconclusive"


def test_nothing_trained_is_skipped() -> None:
    assert verdict_of("C02", run_of(*network(3, optimizers=[]))).status == "skipped"


def test_gradients_cleared_before_the_step_are_left_to_the_protocol_check() -> None:
    calls = [Call(i, i // 3, kind) for i, kind in enumerate(["backward", "zero_grad", "step"] * 9)]
    records = network(3, gradients_seen=0, gradients_nonzero=0)
    assert verdict_of("C02", run_of(*records, *calls)).status == "skipped"
    assert verdict_of("C02", run_of(*records)).status == "pass"


def severities(records: list[Any]) -> list[str | None]:
    return [f.severity for f in verdict_of("C02", run_of(*records)).findings]


def test_an_unused_head_is_info() -> None:
    assert severities(with_parameters(network(4), 3, **NO_GRADIENT)) == ["info"]


def test_a_module_never_called_is_info() -> None:
    records = with_parameters(network(4), 1, **NO_GRADIENT)
    records = [replace(r, order=-1) if isinstance(r, ModuleInfo) and r.index == 2 else r for r in records]
    assert severities(records) == ["info"]


def test_a_part_in_eval_mode_under_no_grad_is_info() -> None:
    records = with_parameters(network(4), 0, 1, **NO_GRADIENT)
    records = [replace(r, training=False) if isinstance(r, ModuleInfo) and r.index <= 2 else r for r in records]
    assert severities([*records, replace(CUT, operation="no_grad")]) == ["info"]


def test_a_target_network_in_the_optimizer_is_info() -> None:
    records = with_parameters(network(4), 0, 1, **NO_GRADIENT)
    records = [
        replace(r, path=f"net.target.{r.index}") if isinstance(r, ModuleInfo) and r.index <= 2 else r for r in records
    ]
    assert severities([*records, replace(CUT, operation="no_grad")]) == ["info"]


def test_a_bias_before_a_normalization_passes() -> None:
    assert severities(with_parameters(network(3), 1, gradients_nonzero=0, role="bias")) == []


def test_a_bias_whose_layer_learns_by_derivatives_is_info(tmp_path: Path) -> None:
    """Score matching: the gradient of an energy does not hold the bias of its last layer."""
    torch.manual_seed(0)
    energy = nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 1))
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.Adam(energy.parameters(), 1e-3)
        for _ in range(20):
            x = torch.randn(16, 2, requires_grad=True)
            (score,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
            optimizer.zero_grad()
            ((score + x) ** 2).sum(1).mean().backward()
            optimizer.step()
    assert seen.run is not None
    (finding,) = verdict_of("C02", seen.run).findings
    assert finding.severity == "info"
    assert "derivatives" in finding.message


def test_an_expert_that_was_not_routed_to_is_info() -> None:
    experts = ModuleInfo(50, "net.experts", "ModuleList", "container", 0, leaf=False)
    records = with_parameters(network(4), 1, gradients_nonzero=0, name="net.experts.1.weight")
    assert severities([*records, experts]) == ["info"]


def test_a_sample_without_gradient_is_told_apart() -> None:
    cut = GraphCut("sample", line(40), 0, [0, 1])
    (finding,) = verdict_of("C02", run_of(*with_parameters(network(4), 0, 1, **NO_GRADIENT), cut)).findings
    assert finding.fix.startswith("Draw with rsample() in train.py:40")
    assert finding.patch == "keep-graph:train.py:40"


def test_a_group_of_its_own_that_learnt_only_in_an_earlier_phase_fails() -> None:
    first = replace(OPTIMIZER, parameters=[0, 1], steps=50)
    groups = [{"lr": 1e-3, "parameters": 2}, {"lr": 1e-3, "parameters": 2}]
    then = OptimizerInfo(
        1, "Adam", line(95), groups, parameters=[0, 1, 2, 3], steps=50, created_at_step=50, gradient_looks=20,
        cut_off=[0, 1],
    )  # fmt: skip
    records = [r for r in with_parameters(network(4), 0, 1, 2, 3, optimizers=[1]) if r is not OPTIMIZER]
    (finding,) = verdict_of("C02", run_of(*records, first, then, CUT)).findings
    assert (finding.location, finding.parameters, finding.onset_step) == (line(40), (0, 1), 50)
    # One group for all: what was trained before may be meant to stay.
    together = replace(then, groups=[{"lr": 1e-3, "parameters": 4}])
    assert verdict_of("C02", run_of(*records, first, together, CUT)).status == "pass"


def test_gradients_of_zero_are_those_of_a_flat_function_where_there_is_one() -> None:
    flat = GraphCut("round", line(50), 0, [0, 1, 2])
    (finding,) = verdict_of("C02", run_of(*network(3, gradients_nonzero=0), LOGGED, flat)).findings
    assert (finding.location, finding.patch) == (line(50), "keep-graph:train.py:50")
    assert "round" in finding.message
    cut_off = verdict_of("C02", run_of(*network(3, **NO_GRADIENT), CUT, flat)).findings
    assert all(f.evidence["cut"] != "round" for f in cut_off)


class LastPosition(nn.Module):
    """Reads a bidirectional layer at its last position."""

    def __init__(self, layer: nn.Module, both: bool) -> None:
        super().__init__()
        self.table, self.rnn, self.out, self.both = nn.Embedding(9, 8), layer, nn.Linear(16, 3), both

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, state = self.rnn(self.table(x))
        state = state[0] if isinstance(state, tuple) else state
        return self.out(torch.cat([state[-2], state[-1]], 1) if self.both else out[:, -1])


def recurrent_run(folder: Path, layer: nn.Module, *, of: int, both: bool = False) -> Any:
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        torch.manual_seed(0)
        model = LastPosition(layer, both)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(60):
            x = torch.randint(0, 9, (32, 6))
            loss = nn.functional.cross_entropy(model(x), x[:, of] % 3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return verdict_of("C02", seen.run)


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_the_last_position_of_two_directions_is_told_by_its_weights(tmp_path: Path, layer: Any) -> None:
    made = layer(8, 8, num_layers=2, batch_first=True, bidirectional=True)
    (finding,) = recurrent_run(tmp_path, made, of=-1).findings
    assert "weight_hh_l1_reverse" in finding.message and "last position" in finding.message
    assert finding.severity == "info"  # the last token is all that is asked


def test_it_is_a_warning_where_nothing_is_learned(tmp_path: Path) -> None:
    torch.manual_seed(1)
    made = nn.RNN(8, 8, batch_first=True, bidirectional=True)
    with torch.no_grad():
        made.weight_hh_l0.zero_()  # forgets the first token at once
    (finding,) = recurrent_run(tmp_path, made, of=0).findings
    assert finding.severity == "warn"


def test_both_last_states_pass(tmp_path: Path) -> None:
    made = nn.LSTM(8, 8, batch_first=True, bidirectional=True)
    assert recurrent_run(tmp_path, made, of=0, both=True).status == "pass"
