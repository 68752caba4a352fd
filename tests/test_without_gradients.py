"""Where gradients were turned off for a line."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.provenance.without_gradients import gradients_off
from flightcheck.testing import verdict_of

CODE = """\
    import torch
    @torch.no_grad()
    def embed(x):
        y = net(x)
        def inner(z):
            return z + 1
        return inner(y)
    def other(x):
        with torch.no_grad():
            y = net(x)
            with open("f"):
                z = y
        return net(x)
    @torch.inference_mode
    def third(x):
        return net(x)
"""


@pytest.mark.parametrize(("line", "expected"), [(4, 2), (6, 2), (10, 9), (12, 9), (13, None), (16, 14), (1, None)])
def test_the_line_that_turns_them_off(tmp_path: Path, line: int, expected: int | None) -> None:
    file = tmp_path / "train.py"
    file.write_text(textwrap.dedent(CODE))
    assert gradients_off(str(file), line) == (None if expected is None else (str(file), expected))


def test_a_file_that_cannot_be_read_has_none(tmp_path: Path) -> None:
    assert gradients_off(str(tmp_path / "gone.py"), 3) is None


class Towers(nn.Module):
    """Two towers, of which the second never learns."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 8), nn.Linear(4, 8)

    @torch.no_grad()
    def embedded(self, x: torch.Tensor) -> torch.Tensor:
        y = self.right(x)
        return nn.functional.normalize(y, dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.left(x) @ self.embedded(x).T


def test_a_decorated_method_is_told_at_its_decorator(tmp_path: Path) -> None:
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        torch.manual_seed(0)
        model = Towers()
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(12):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.arange(8)).backward()
            optimizer.step()
    assert seen.run is not None
    (finding,) = verdict_of("C02", seen.run).findings
    assert finding.location is not None and "@torch.no_grad()" in finding.location.code
    assert finding.patch.startswith("keep-graph:")
