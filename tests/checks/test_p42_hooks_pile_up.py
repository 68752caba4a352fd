"""P42 hooks-pile-up: equal hooks that a loop registers, and hooks that are no such pile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.parameters.p42_hooks_pile_up import ONCE, growing_pile
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.piled_hooks import PiledHooks
from flightcheck.recording.provenance.hooks import registered_at
from flightcheck.recording.records import Location, ParameterInfo
from flightcheck.recording.signals import GRAD_NORM
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import patched

LINE = Location("train.py", 12, code="p.register_hook(lambda g: g / 3)")
PILE = PiledHooks("gradient", LINE, True, 9, 200, ["model.0.weight", "model.0.bias", "model.2.weight"])
PROOF = Experiment("P42", ONCE, status="confirmed", metric="answers", steps=400, before=0.3, after=0.05)
HERE = Path(__file__).name
Hooks = Callable[[nn.Sequential], Any]


def test_a_pile_that_a_trial_shows_to_do_harm_fails() -> None:
    (finding,) = verdict_of("P42", run_of(PILE, PROOF, steps=201)).findings
    assert (finding.location, finding.severity) == (LINE, None)
    assert "9 equal hooks lie on one owner after 201 steps (model.0.weight, model.0.bias …)" in finding.message
    assert "share of wrong answers after 400 steps is 0.05, and not 0.3" in finding.message


def test_others_are_information() -> None:
    for records in ((PILE,), (PILE, replace(PROOF, status="inconclusive")), (replace(PILE, returns=False), PROOF)):
        (finding,) = verdict_of("P42", run_of(*records, steps=201)).findings
        assert finding.severity == "info"
    assert verdict_of("P42", run_of(replace(PILE, most=2), steps=201)).status == "pass"


@pytest.mark.parametrize(("last", "severity"), [(1e-15, None), (1e15, None), (0.0, None), (1e-5, "info")])
def test_gradients_that_vanish_under_a_pile_are_proof_enough(last: float, severity: str | None) -> None:
    owners = [ParameterInfo(i, n, 0, [4, 4], "matrix") for i, n in enumerate(["model.0.weight", "model.2.weight"])]
    norms = [[float(v), 1.0] for v in np.geomspace(1.0, last or 1e-20, 20)]
    pile = replace(PILE, owners=["model.0.weight"])
    (finding,) = verdict_of("P42", run_of(pile, *owners, series={GRAD_NORM: norms}, steps=201)).findings
    assert finding.severity == severity
    assert ("of that of the first steps" in finding.message) == (severity is None)


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P42", run_of(steps=2)).status == "inconclusive"
    assert verdict_of("P42", run_of()).status == "skipped"
    assert verdict_of("P42", run_of(steps=60)).status == "pass"


def divided(model: nn.Sequential) -> None:
    for p in model[0].parameters():
        p.register_hook(lambda g: g / 2)  # divided


def doubled(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
    return 2 * output


def on_outputs(model: nn.Sequential) -> None:
    model[1].register_forward_hook(doubled)  # on_outputs


def looked_at(model: nn.Sequential) -> None:
    seen: list[float] = []
    model[0].weight.register_hook(lambda g: seen.append(g.norm().item()))  # another list each time


def printed(module: nn.Module, args: Any, output: torch.Tensor) -> None:
    output.mean().item()


def only_looks(model: nn.Sequential) -> None:
    model[1].register_forward_hook(printed)  # only_looks


def removed(model: nn.Sequential) -> None:
    handle = model[0].weight.register_hook(lambda g: g / 2)
    model[2].weight.register_hook(lambda g: handle.remove())  # another handle each time


def one_for_each(model: nn.Sequential) -> None:
    for scale in (1.0, 2.0, 3.0):
        model[1].register_forward_hook(lambda m, a, out, scale=scale: scale * out)


def train(hooks: Hooks, epochs: int = 5) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(epochs):
        if hooks is not one_for_each or not epoch:
            hooks(model)
        for _ in range(8):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            (model(x).squeeze(1) - x.sum(1)).pow(2).mean().backward()
            optimizer.step()
    return model


def recorded(hooks: Hooks, folder: Path) -> list[PiledHooks]:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        model = train(hooks)  # alive: hooks are read at the end, too
    assert watched.run is not None and len(model) == 3
    assert not watched.run.coverage.blind
    return watched.run.recorded(PiledHooks)


@pytest.mark.parametrize(
    ("hooks", "kind", "returns"),
    [(divided, "gradient", True), (on_outputs, "forward", True), (only_looks, "forward", False)],
)
def test_piles_are_found_at_the_line_that_registers_them(
    hooks: Hooks, kind: str, returns: bool, tmp_path: Path
) -> None:
    (pile,) = recorded(hooks, tmp_path)
    assert (pile.kind, pile.returns, pile.most) == (kind, returns, 5)
    assert pile.location.code.endswith(f"# {hooks.__name__}")
    assert len(pile.owners) == (2 if hooks is divided else 1)
    assert (growing_pile(run_of(pile)) is not None) == returns


@pytest.mark.parametrize("hooks", [looked_at, removed, one_for_each])
def test_hooks_that_are_no_pile(hooks: Hooks, tmp_path: Path) -> None:
    assert recorded(hooks, tmp_path) == []


@pytest.mark.parametrize("hooks", [divided, on_outputs])
def test_the_trial_leaves_one_of_each(hooks: Hooks, tmp_path: Path) -> None:
    ends: list[nn.Sequential] = []
    done = patched(tmp_path, ONCE, lambda: ends.append(train(hooks)))
    assert done.applied[ONCE] == (8 if hooks is divided else 4)
    first = [True]

    def alone(model: nn.Sequential) -> None:
        if first.pop() if first else False:
            hooks(model)

    ends.append(train(alone))
    assert all(torch.equal(a, b) for a, b in zip(*(m.parameters() for m in ends), strict=True))


def test_a_line_that_may_be_one_of_several_is_none(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("def keep(g):\n    return g\n\na.register_hook(keep)\nm.register_full_backward_hook(other)\n")
    assert registered_at(str(script), 1, "keep") == 4
    script = tmp_path / "two.py"
    script.write_text("def keep(g):\n    return g\n\na.register_hook(keep)\nb.register_hook(keep)\n")
    assert registered_at(str(script), 1, "keep") is None
