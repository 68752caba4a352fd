"""Two processes that train together, under watch: are their parameters compared, and stay they what they are?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harmless.processes import WATCH
from tests.harmless.test_launch import together

SCRIPT = """
import os, sys, torch
os.environ["GLOO_SOCKET_IFNAME"] = "lo"
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

case, rank = sys.argv[1], int(os.environ["RANK"])
dist.init_process_group("gloo", "file://" + os.path.abspath(os.environ["MEETING"]), rank=rank, world_size=2)
torch.manual_seed(rank)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
by_hand = case.startswith("reduced")
if case == "reduced":
    for p in model.parameters():
        dist.broadcast(p.data, 0)
parallel = model if by_hand else DistributedDataParallel(model)
if case == "late":
    model.append(nn.Linear(2, 2))  # late
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 if case == "rate" and rank else 1e-3)
for step in range(20):
    x = torch.randn(32, 8)
    optimizer.zero_grad()
    out = model(x) if case == "bypass" else parallel(x)  # bypass
    nn.functional.cross_entropy(out, (x.sum(1) > 0).long()).backward()
    if by_hand:
        for p in model.parameters():
            dist.all_reduce(p.grad)  # reduced, not sent
            p.grad /= 2
    optimizer.step()
dist.destroy_process_group()
"""
LINES = {"late": "# late", "bypass": "# bypass", "rate": "else Dist", "reduced, not sent": "# reduced, not sent"}


@pytest.mark.parametrize("case", ["wrapped", "reduced", *LINES])
def test_parameters_of_two_ranks(tmp_path: Path, case: str) -> None:
    script, report = tmp_path / "train.py", tmp_path / "report.json"
    script.write_text(SCRIPT)
    command = [*WATCH, "check", "--select", "P28", "--lab-budget", "0", "--fail-on", "never", "--json", str(report)]
    ends = together(tmp_path, [*command, str(script), case], [0, 1])
    assert [e.code for e in ends] == [0, 0], ends
    data = json.loads(report.read_text())
    assert data["verdicts"]["error"] == []
    if case in LINES:
        (finding,) = data["findings"]
        assert finding["severity"] == "critical"
        assert LINES[case] in SCRIPT.splitlines()[finding["location"]["line"] - 1]
    else:
        assert data["verdicts"]["pass"] == ["P28"]
