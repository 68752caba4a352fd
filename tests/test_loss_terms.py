"""The terms of a loss, read from a real graph in a watched run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flightcheck.recording.run import Run

SCRIPT = """
import torch
import torch.nn.functional as F
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.randn(2, 4)).sum().backward()
optimizer.step()
for make in (
    LOSSES
):
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    p = model(x)
    weights = torch.rand(8)
    make(p, y, weights).backward()
optimizer.step()
"""
CASES = {
    "F.cross_entropy(p, y)": [(0, 1.0)],
    "-F.cross_entropy(p, y)": [(0, -1.0)],
    "0.5 * F.cross_entropy(p, y) - F.cross_entropy(p, y) / 4": [(0, 0.5), (0, -0.25)],
    "1 - F.cross_entropy(p, y)": [(0, -1.0)],
    "F.cross_entropy(p, y, reduction='sum') / 8": [(0, 0.125)],
    "F.cross_entropy(p, y, reduction='none').mean()": [(0, 0.125)],
    "(F.cross_entropy(p, y, reduction='none') * weights).sum()": [(0, None)],
    "torch.stack([F.cross_entropy(p[:4], y[:4]), F.cross_entropy(p[4:], y[4:])]).sum()": [(0, 1.0), (0, 1.0)],
    "F.cross_entropy(p, y) + 0.1 * sum((q**2).sum() for q in model.parameters())": [(0, 1.0), (-1, 0.1), (-1, 0.1)],
    "torch.add(F.cross_entropy(p, y), F.cross_entropy(p, y), alpha=0.5)": [(0, 1.0), (0, 0.5)],
    "F.mse_loss(p, x[:, :3], reduction='none').mean(1).mean()": [(0, 1 / 24)],
    "(-F.mse_loss(p, x[:, :3], reduction='none').sum(1) + (p**2).sum(1)).mean()": [(0, -0.125), (-1, 0.125)],
    "(F.cross_entropy(p, y) * 2).exp()": [(-1, 1.0)],
}


def test_terms_and_factors(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.replace("LOSSES", "".join(f"lambda p, y, weights: {loss},\n    " for loss in CASES)))
    command = [sys.executable, "-m", "flightcheck", "check", "--lab-budget", "0", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, env=environment, check=False)
    (folder,) = (tmp_path / ".flightcheck" / "runs").iterdir()
    run = Run.open(folder)
    sites = {s.index for s in run.loss_sites}
    for number, (loss, expected) in enumerate(CASES.items(), start=2):
        terms = [t for t in run.loss_terms if t.backward == number]
        assert [(0 if t.site in sites else -1, t.coefficient) for t in terms] == [
            (site, factor if factor is None else pytest.approx(factor)) for site, factor in expected
        ], loss
        assert [t.penalty for t in terms] == ["parameters" in loss and t.site < 0 for t in terms], loss
