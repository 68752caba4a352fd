"""Cuts between two parts of a model that both learn: recorded, told only where the second part learns nothing of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.connections._half_cut import halves, mixed, whole
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import GraphCut, Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line, network
from tests.lab.made import CLASSES, FEATURES, ROWS, batches, equal, patched

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text().splitlines()
CUT = GraphCut("detach", line(40), 0, [0, 1], handed_on=8)
Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def at(mark: str) -> int:
    """The line of this file that ends with a comment."""
    return next(i for i, text in enumerate(SOURCE, 1) if text.endswith(f"# {mark}"))


class Coder(nn.Module):
    """An encoder with a loss of its own, and a decoder that is given what it codes, or not."""

    def __init__(self, cut: str) -> None:
        super().__init__()
        self.encoder, self.decoder, self.cut = nn.Linear(FEATURES, 3), nn.Linear(3, CLASSES), cut

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        code = self.encoder(x)
        if self.cut == "detach":
            handed = code.detach()
        elif self.cut == "data":
            handed = code.data
        elif self.cut == "target":
            return self.decoder(code), code.detach()
        else:
            handed = code
        return self.decoder(handed), code


def recorded(folder: Path, model: nn.Module, step: Step, *others: nn.Module) -> list[GraphCut]:
    optimizer = torch.optim.SGD([p for m in (model, *others) for p in m.parameters()], lr=0.01)
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        for x, y in batches(80):
            optimizer.zero_grad()
            step(x, y).backward()
            optimizer.step()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "of Flightcheck itself" in b]
    return halves(seen.run)


@pytest.mark.parametrize(("cut", "found"), [("detach", 1), ("data", 1), ("target", 0), ("none", 0)])
def test_what_a_part_that_learns_is_given(tmp_path: Path, cut: str, found: int) -> None:
    model = Coder(cut)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        scores, code = model(x)
        return nn.functional.cross_entropy(scores, y) + (code if code.requires_grad else scores).square().mean()

    cuts = recorded(tmp_path, model, step)
    assert [(c.operation, c.hooked) for c in cuts] == [(cut, False)] * found


KEPT: dict[str, torch.Tensor] = {}


def store(output: torch.Tensor) -> None:
    KEPT["features"] = output.detach()  # kept by what it calls


class Keeper:
    def look(self, module: nn.Module, given: Any, output: torch.Tensor) -> None:
        KEPT["features"] = output.detach()  # kept by a method


def keep(name: str, module: nn.Module, given: Any, output: torch.Tensor) -> None:
    KEPT[name] = output.detach()  # kept by a partial


HOOKS: dict[str, Callable[..., None]] = {
    "kept here": lambda module, given, output: KEPT.update(features=output.detach()),  # kept here
    "kept by what it calls": lambda module, given, output: store(output),
    "kept by a method": Keeper().look,
    "kept by a partial": functools.partial(keep, "features"),
}


@pytest.mark.parametrize("mark", HOOKS)
def test_a_second_head_on_what_a_hook_kept(tmp_path: Path, mark: str) -> None:
    body, head = nn.Sequential(nn.Linear(FEATURES, 6), nn.Tanh(), nn.Linear(6, CLASSES)), nn.Linear(6, 1)
    body[1].register_forward_hook(HOOKS[mark])

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(body(x), y) + (head(KEPT["features"])[:, 0] - x[:, 0]).square().mean()

    (cut,) = recorded(tmp_path, body, step, head)
    assert cut.hooked and cut.location is not None and cut.location.line == at(mark)


def test_a_state_that_a_layer_hands_to_itself_is_no_part_behind_another(tmp_path: Path) -> None:
    cell, head = nn.GRUCell(FEATURES, 6), nn.Linear(6, CLASSES)
    state: list[torch.Tensor] = [torch.zeros(ROWS, 6)]

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        state[0] = cell(x, state[0][: len(x)].detach())
        return nn.functional.cross_entropy(head(state[0]), y)

    assert recorded(tmp_path, nn.ModuleList([cell, head]), step) == []


def test_a_head_alone_learns_on_frozen_features(tmp_path: Path) -> None:
    body, head = nn.Linear(FEATURES, 6), nn.Linear(6, CLASSES)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(head(body(x).detach()), y)

    assert recorded(tmp_path, body, step, head) == [], "nothing behind the cut learns: that is told elsewhere"


def tried(nothing: float, before: float, after: float, **changed: Any) -> list[Experiment]:
    joined = Experiment("C02", whole(CUT), status="confirmed", metric="evaluation", before=before, after=after)
    without = Experiment("C02", mixed(CUT), "question", metric="evaluation", before=before, after=nothing)
    return [replace(joined, **changed), without]


def verdict(*records: Any, cut: GraphCut = CUT) -> Any:
    return verdict_of("C02", run_of(*network(4), cut, *records))


HOOKED = replace(CUT, hooked=True)


def test_a_part_that_hardly_learns_of_what_a_hook_kept() -> None:
    (finding,) = verdict(*tried(1.0, 0.9, 0.1), cut=HOOKED).findings
    assert (finding.severity, finding.location, finding.patch) == ("warn", line(40), "keep-graph:train.py:40")
    assert "2 parameters before the cut hear of other losses only" in finding.message
    assert verdict(*tried(0.0, 0.16, 0.96), cut=HOOKED).status == "fail", "more is better"


def test_a_decoder_is_told_and_a_probe_is_not() -> None:
    hardly, site = tried(1.0, 0.9, 0.1), LossSite(0, "mse_loss", line(50))
    call = LossCall(0, 0, True, [8, 4], [8, 4], [], "float32", "float32", 1.0, 0.0, 0.9, 0.0, 1.0)
    of_input = replace(call, target_given=True)
    assert verdict(*hardly, site, of_input, replace(call, step=300)).status == "fail"
    assert verdict(*hardly, site, call).status == "pass"
    both = [of_input, replace(call, site=1)]
    assert verdict(*hardly, site, replace(site, index=1), *both).status == "pass", "labels beside an autoencoder"
    assert verdict(*hardly).status == "pass", "no loss is known"


@pytest.mark.parametrize(
    "experiments",
    [
        tried(0.9, 0.15, 0.05),
        tried(1.0, 0.9, 0.1, status="refuted"),
        tried(1.0, 0.9, 0.1, metric="answers"),
        tried(1.0, 0.9, 0.1)[:1],
        tried(0.1, 0.1, 0.1),
        [],
    ],
    ids=["learns most", "refuted", "another measure", "nothing to compare with", "all alike", "not tried"],
)
def test_doubts_are_silent(experiments: list[Experiment]) -> None:
    assert verdict(*experiments, cut=HOOKED).status == "pass"


def test_other_cuts_and_players_are_silent() -> None:
    hardly = tried(1.0, 0.9, 0.1)
    for cut in (replace(HOOKED, handed_on=1), replace(HOOKED, operation="item"), replace(HOOKED, parameters=[])):
        assert verdict(*hardly, cut=cut).status == "pass"
    assert verdict(*hardly, Plan(regimes=["gan"]), cut=HOOKED).status == "pass"


def test_the_trial_mixes_up_what_is_handed_on(tmp_path: Path) -> None:
    def weights(patch: str, rolled: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        encoder, decoder = nn.Linear(FEATURES, 3), nn.Linear(3, CLASSES)
        optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.1)

        def run() -> None:
            for x, y in batches(4):
                code = encoder(x)
                handed = code.detach()  # handed on
                handed = handed.roll(len(x) // 2, 0) if rolled else handed
                optimizer.zero_grad()
                (nn.functional.cross_entropy(decoder(handed), y) + code.square().mean()).backward()
                optimizer.step()

        patched(tmp_path, patch, run)
        return [p.detach().clone() for p in (*encoder.parameters(), *decoder.parameters())]

    wanted = weights("lr:x1", rolled=True)
    assert equal(weights(f"mixed-up:{HERE}:{at('handed on')}", rolled=False), wanted)
    assert not equal(weights("lr:x1", rolled=False), wanted)
