"""P40 weights-drawn-anew: an initialization in the loop over the epochs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import flightcheck
from flightcheck.recording.drawn_anew import DrawnAnew, ThrownBack
from flightcheck.recording.kept_states import KeptState
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo, Plan
from flightcheck.recording.run import Run
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


def test_a_pretrained_part_that_is_drawn_anew_and_stays_so_fails_after_one_time() -> None:
    once = DrawnAnew(0, LINE, [20], [0, 1, 2], as_drawn=[0, 1], calls_since=40)
    (finding,) = verdict_of("P40", run_of(SGD, *MATRICES, once, PLAN, steps=60)).findings
    assert (finding.location, finding.parameters) == (LINE, (0, 1))
    for other in (
        replace(once, as_drawn=[]),  # trained again, or loaded
        replace(once, as_drawn=[1]),  # one layer of three
        replace(once, calls_since=2),  # a model that is not used any more
    ):
        assert verdict_of("P40", run_of(SGD, *MATRICES, other, PLAN, steps=60)).status != "fail"
    assert verdict_of("P40", run_of(SGD, *MATRICES, once, PLAN, steps=24)).status != "fail"


def test_inconclusive_and_skipped() -> None:
    once = replace(DRAWN, rounds=[20])
    assert verdict_of("P40", run_of(SGD, *MATRICES, once, PLAN, steps=60)).status == "inconclusive"
    assert verdict_of("P40", run_of(*MATRICES, DRAWN, PLAN)).status == "skipped"


def drawn_in_second_stage(folder: Path, then: Callable[[nn.Sequential], object], frozen: bool = True) -> Run:
    """Trains a model of two hidden layers, draws them anew, does `then`, and trains a head on top of them."""
    torch.manual_seed(0)
    x = torch.randn(64, 6)
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for stage in range(2):
            model = nn.Sequential(encoder, nn.Linear(8, 1))
            if stage:
                for layer in (encoder[0], encoder[2]):
                    nn.init.xavier_uniform_(layer.weight)
                then(encoder)
                encoder.requires_grad_(not frozen)
            optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
            for _ in range(20):
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x).squeeze(1), x[:, 0] * x[:, 1]).backward()
                optimizer.step()
    assert watched.run is not None
    return watched.run


def test_only_what_stays_as_it_was_drawn_is_told(tmp_path: Path) -> None:
    (finding,) = verdict_of("P40", drawn_in_second_stage(tmp_path, lambda encoder: None)).findings
    assert finding.location is not None and "xavier_uniform_" in finding.location.code
    assert len(finding.parameters) == 2

    def load(encoder: nn.Sequential) -> None:
        encoder.load_state_dict({k: torch.ones_like(v) for k, v in encoder.state_dict().items()})

    assert verdict_of("P40", drawn_in_second_stage(tmp_path, load)).status != "fail"
    assert verdict_of("P40", drawn_in_second_stage(tmp_path, lambda encoder: None, frozen=False)).status != "fail"


BACK = ThrownBack(0, LINE, [20, 40], [0, 1, 2], source=1, calls_between=20)


def test_weights_of_a_model_that_is_never_changed_fail() -> None:
    (finding,) = verdict_of("P40", run_of(SGD, *MATRICES, BACK, PLAN, steps=60)).findings
    assert (finding.location, finding.patch) == (LINE, "load:turned")
    for other in (
        replace(BACK, rounds=[20]),  # a start from another model
        replace(BACK, calls_between=4),  # a champion of matches
    ):
        assert verdict_of("P40", run_of(SGD, *MATRICES, other, PLAN, steps=60)).status == "pass"
    for optimizer in (replace(SGD, created_at_step=40), replace(SGD, state_restarts=2)):  # another training
        assert verdict_of("P40", run_of(optimizer, *MATRICES, BACK, PLAN, steps=60)).status == "pass"


def learned_from_its_copy(folder: Path, after: Callable[[nn.Module, nn.Module], object]) -> Run:
    """Trains a model by what its copy says, and does `after` with both after every tenth step."""
    torch.manual_seed(0)
    x = torch.randn(64, 6)
    online = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    target = copy.deepcopy(online)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        optimizer = torch.optim.SGD(online.parameters(), lr=0.05)
        for step in range(40):
            with torch.no_grad():
                goal = x[:, :1] + 0.9 * target(x)
            optimizer.zero_grad()
            nn.functional.mse_loss(online(x), goal).backward()
            optimizer.step()
            if step % 10 == 9:
                after(online, target)
    assert watched.run is not None
    return watched.run


def test_only_a_model_that_is_given_what_never_changes_is_told(tmp_path: Path) -> None:
    run = learned_from_its_copy(tmp_path, lambda online, target: online.load_state_dict(target.state_dict()))
    (finding,) = verdict_of("P40", run).findings
    assert finding.location is not None and "online.load_state_dict" in finding.location.code
    assert finding.evidence["times"] == 4

    def follow(online: nn.Module, target: nn.Module) -> None:
        target.load_state_dict(online.state_dict())

    def meet(online: nn.Module, target: nn.Module) -> None:
        with torch.no_grad():
            for p, q in zip(online.parameters(), target.parameters()):
                q.add_(0.5 * (p - q))
        online.load_state_dict(target.state_dict())

    for right in (follow, meet):
        assert verdict_of("P40", learned_from_its_copy(tmp_path, right)).status == "pass"
