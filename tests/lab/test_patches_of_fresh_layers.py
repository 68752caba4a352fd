"""Layers that a forward pass constructs are P08's, at their line; the trial keeps those of the first call."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.testing import verdict_of
from tests.lab.made import Patched, patched


def stem(x: torch.Tensor) -> torch.Tensor:
    y: torch.Tensor = nn.Sequential(nn.Linear(x.shape[1], 6), nn.ReLU(), nn.Dropout(0.5))(x)  # STEM
    return y


class Net(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.inp, self.out = nn.Linear(4, 6), nn.Linear(6, 1)
        self.late: nn.Module | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inp(x)
        if self.way == "helper":
            x = stem(x)
        elif self.way == "attribute":
            self.again = nn.Linear(6, 6)  # AGAIN
            x = self.again(x)
        elif self.way == "once":
            self.late = self.late or nn.Linear(6, 6)  # LATE
            x = self.late(x)
        y: torch.Tensor = self.out(x)
        return y


def trained(folder: Path, patches: str, way: str) -> tuple[Patched, list[torch.Tensor]]:
    """A training, and the outputs of the model for the same input in eval mode after it, twice."""
    outputs = []

    def loop() -> None:
        torch.manual_seed(0)
        net = Net(way)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        for _ in range(12):
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            F.mse_loss(net(x), x.sum(1, keepdim=True)).backward()
            optimizer.step()
        net.eval()
        outputs.extend(net(torch.ones(2, 4)).detach() for _ in range(2))

    return patched(folder, patches, loop), outputs


@pytest.mark.parametrize(("way", "line"), [("helper", "STEM"), ("attribute", "AGAIN")])
def test_a_layer_of_every_call_is_told_and_kept(tmp_path: Path, way: str, line: str) -> None:
    faulty, changing = trained(tmp_path, "", way)
    (finding,) = verdict_of("P08", faulty.run).findings
    assert finding.location is not None and finding.location.code.endswith(line)
    assert "made anew" in finding.message and finding.patch == "keep-modules"
    assert "__init__" in diff_of([Patch.parse("keep-modules")], finding, faulty.run)
    assert not torch.equal(*changing)
    mended, same = trained(tmp_path, "keep-modules", way)
    assert mended.applied["keep-modules"] > 12 and not mended.errors
    assert torch.equal(*same)
    assert verdict_of("P08", mended.run).status == "pass"


@pytest.mark.parametrize("way", ["once", ""])
def test_a_layer_that_is_made_once_is_not_made_anew(tmp_path: Path, way: str) -> None:
    faulty, _ = trained(tmp_path, "", way)
    assert not [f for f in verdict_of("P08", faulty.run).findings if "anew" in f.message]
    told = trained(tmp_path, "keep-modules", way)[0]
    assert bool(told.trained.failure) == (way == "")
