"""P12: batches that the script itself cuts into micro-batches, with zero_grad between them."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import flightcheck
from flightcheck.testing import verdict_of

TRAINING = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.SGD(model.parameters(), lr=0.1)
data = torch.randn(512, 6)
kept = []
for epoch in range(2):
    for rows in torch.randperm(512).split(64):
        {before}
        for micro in data[rows].split({size}):
            {inside}
            loss = (model(micro) - micro.sum(1, keepdim=True)).square().mean() / 4
            loss.backward()
            {after}
        {late}
        opt.step()
"""
NOTHING = dict.fromkeys(("before", "inside", "after", "late"), "pass") | {"size": 16}


def findings(folder: Path, **written: Any) -> tuple[Any, ...]:
    folder.mkdir(exist_ok=True)
    script = folder / "train.py"
    script.write_text(TRAINING.format(**NOTHING | written))
    with flightcheck.watch(runs_dir=folder / "runs", report=False) as watched:
        runpy.run_path(str(script))
    assert watched.run is not None
    verdict = verdict_of("P12", watched.run)
    assert verdict.status in ("pass", "fail"), verdict.reason
    return verdict.findings


def test_cleared_for_each_slice(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, inside="opt.zero_grad()")
    assert "follows 4 backward passes on 4 batches, but zero_grad() runs between them" in finding.message
    assert finding.location is not None and finding.location.code == "opt.zero_grad()"
    assert finding.patch == "zero-grad"


def test_gradients_that_another_file_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "projected.py").write_text("def of(model):\n    return [p.grad.clone() for p in model.parameters()]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    reads = {"inside": "opt.zero_grad()", "after": "import projected; kept.append(projected.of(model))"}
    assert findings(tmp_path, **reads) == ()
    norms = {"inside": "opt.zero_grad()", "after": "kept.append(nn.utils.clip_grad_norm_(model.parameters(), 9.0))"}
    assert findings(tmp_path / "norms", **norms) == (), "the noise of the gradient may be measured"


@pytest.mark.parametrize(
    "written",
    [
        {"before": "opt.zero_grad()"},
        # The gradients of all slices are read, clipped, and put together by hand.
        {
            "inside": "opt.zero_grad()",
            "after": "kept.append([p.grad.clone() / (1 + p.grad.norm()) for p in model.parameters()])",
            "late": "[setattr(p, 'grad', sum(g)) for p, *g in zip(model.parameters(), *kept[-4:])]",
        },
        {"inside": "opt.zero_grad()", "size": 1},  # of single examples
        {"inside": "opt.zero_grad(); micro = data[rows[:16]]"},  # several losses of one batch
    ],
    ids=["accumulated", "kept by hand", "examples", "one batch"],
)
def test_what_is_meant(tmp_path: Path, written: dict[str, Any]) -> None:
    assert findings(tmp_path, **written) == ()
