"""The terms of a loss, read from a real graph in a watched run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.run import Run

SCRIPT = """
import torch
import torch.nn.functional as F
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    p = model(x)
    weights = torch.rand(8)
    loss = LOSS
    optimizer.zero_grad()
    loss.backward()
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
    "(F.cross_entropy(p, y) * 2).exp()": [(-1, 1.0)],
}


def terms_of(loss: str, folder: Path) -> list[LossTerm]:
    script = folder / "train.py"
    script.write_text(SCRIPT.replace("LOSS", loss))
    command = [sys.executable, "-m", "flightcheck", "check", str(script)]
    subprocess.run(
        command, cwd=folder, capture_output=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    (run,) = (folder / ".flightcheck" / "runs").iterdir()
    return [t for t in Run.open(run).loss_terms if t.step == 0]


@pytest.mark.parametrize(("loss", "expected"), CASES.items())
def test_terms_and_factors(loss: str, expected: list[tuple[int, float | None]], tmp_path: Path) -> None:
    terms = terms_of(loss, tmp_path)
    assert [(t.site, t.coefficient) for t in terms] == expected
    assert [t.penalty for t in terms] == ["parameters" in loss and t.site < 0 for t in terms]
