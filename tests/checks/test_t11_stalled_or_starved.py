"""T11 stalled-or-starved: graphs that are kept and let go, batches that are late and those that are only cheap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Location
from flightcheck.recording.surroundings import Resources
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 12)


def test_graphs_that_are_kept_fail() -> None:
    (finding,) = verdict_of("T11", run_of(Resources(200, 190, LINE))).findings
    assert (finding.location, finding.severity) == (LINE, None)


def test_graphs_that_are_let_go_pass() -> None:
    assert verdict_of("T11", run_of(Resources(200, 1, LINE))).status == "pass"


def test_waiting_is_information() -> None:
    starved = Resources(200, 0, None, batches=100, batch_seconds=30.0, seconds=40.0)
    assert [f.severity for f in verdict_of("T11", run_of(starved)).findings] == ["info"]
    assert verdict_of("T11", run_of(Resources(200, 0, None, 100, 1.0, 1.5))).status == "pass"
    assert verdict_of("T11", run_of(Resources(200, 0, None, 100, 10.0, 40.0))).status == "pass"


def test_nothing_and_little_to_see() -> None:
    assert verdict_of("T11", run_of()).status == "skipped"
    assert verdict_of("T11", run_of(Resources(9))).status == "inconclusive"


@pytest.mark.parametrize(("how", "kept"), [("sum", True), ("list", True), ("item", False), ("last", False)])
def test_what_the_script_holds_is_counted(tmp_path: Path, how: str, kept: bool) -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    total: Any = 0.0
    losses: list[torch.Tensor] = []
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(100):
            loss = model(torch.randn(8, 4)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if how == "sum":
                total = total + loss
            elif how == "list":
                losses.append(loss)
            elif how == "item":
                total += loss.item()
            else:
                total = loss
    assert watched.run is not None and watched.run.resources is not None
    assert (watched.run.resources.graphs_kept > 50) is kept
    assert verdict_of("T11", watched.run).status == ("fail" if kept else "pass")
    if how == "sum":
        (finding,) = verdict_of("T11", watched.run).findings
        assert finding.location is not None and finding.location.code == "total = total + loss"


def test_the_tries_of_a_closure_are_no_history(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, held = nn.Linear(4, 1), []
    x = torch.randn(64, 4)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.01, max_iter=70, tolerance_grad=0, tolerance_change=0)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
        held.append(loss)
        loss.backward()
        return loss

    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(3):
            held.clear()
            optimizer.step(closure)
    assert watched.run is not None
    assert verdict_of("T11", watched.run).status != "fail"
