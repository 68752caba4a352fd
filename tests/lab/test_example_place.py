"""The line at which examples of a batch get mixed, or out of order; and the trial that puts them back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from flightcheck.adapters.torch.probes.example_place import example_place
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import Loop, patched

ROWS, TIME, WIDTH = 8, 5, 6
SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()
HERE = Path(__file__).name


def here() -> Location | None:
    """The innermost line of this file."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != __file__:
        frame = frame.f_back  # type: ignore[assignment]
    return Location(__file__, frame.f_lineno) if frame is not None else None


class Reader(nn.Module):
    """Reads sequences of different lengths, sorted by length, in one of several ways."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.rnn, self.head = nn.GRU(WIDTH, WIDTH, batch_first=True), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        lengths, order = (x[:, :, 0] > 0).sum(1).clamp(min=1).sort(descending=True)
        _, h = self.rnn(pack_padded_sequence(x[order], lengths, batch_first=True))  # once
        h = h[-1]
        if self.kind == "put back":
            h = h[torch.argsort(order)]
        elif self.kind == "twice":
            h = h[order]  # twice
        elif self.kind == "both selected":
            h = h.index_select(0, order)  # both selected
        elif self.kind == "centred":
            h = h[torch.argsort(order)] - h.mean(0)  # centred
        elif self.kind == "masked":
            hidden = h.masked_fill(torch.arange(WIDTH) < 2, -torch.inf)  # no mixing
            h = hidden.exp() + h[order]  # masked
        elif self.kind == "viewed":
            h = torch.stack([h, h]).view(ROWS, -1)[:, :WIDTH]  # viewed
        return self.head(h)  # type: ignore[no-any-return]


def asked(kind: str) -> dict[str, Any]:
    model = Reader(kind).eval().double()
    x = torch.randn(ROWS, TIME, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    others = x[torch.tensor([7, 0, 1, 2, 4, 4, 5, 6])]
    with torch.no_grad():
        return example_place(lambda moved: model(others if moved else x), ROWS, here)


@pytest.mark.parametrize("kind", ["twice", "both selected", "once", "centred", "viewed", "masked"])
def test_the_line_is_found(kind: str) -> None:
    found = asked(kind)
    assert SOURCE[found["at"]["line"] - 1].endswith(f"# {kind}")
    order = {"twice": "twice", "both selected": "twice", "once": "once"}.get(kind)
    assert found.get("order") == order


class Trained(Loop):
    def __init__(self, kind: str) -> None:
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(4, ROWS, TIME, WIDTH, generator=generator)
        super().__init__(Reader(kind), pairs=[(b, (b[:, 0, 1] > 0).long()) for b in x])


def test_the_trial_puts_them_back(tmp_path: Path) -> None:
    line = next(i for i, text in enumerate(SOURCE, 1) if text.endswith("# twice"))
    patch = f"inverse-order:{HERE}:{line}"
    ends: list[Tensor] = []

    def train(kind: str) -> Callable[[], None]:
        def run() -> None:
            loop = Trained(kind)
            loop()
            ends.append(loop.model.head.weight.detach().clone())

        return run

    assert patched(tmp_path / "one", patch, train("twice")).applied[patch] > 0
    train("put back")()
    assert torch.equal(*ends)
    train("twice")()
    assert not torch.equal(ends[0], ends[-1])


def test_rows_out_of_order_are_told_at_the_line_that_picks_them() -> None:
    at = Location("train.py", 60, code="h = h[-1][order]")
    result = {"examples": 0.9, "dim": 0, "batch": 32, "mixed_at": {"file": at.file, "line": at.line, "code": at.code}}
    (finding,) = verdict_of("C03", run_of(Probe("leaks", result | {"mixed_order": "twice"}))).findings
    assert (finding.location, finding.patch) == (at, "inverse-order:train.py:60")
    wanted = "- h = h[-1][order]\n+ h = h[-1][torch.argsort(order)]"
    assert diff_of([Patch.parse(finding.patch)], finding, run_of()) == wanted
    (finding,) = verdict_of("C03", run_of(Probe("leaks", result | {"mixed_order": "once"}))).findings
    assert (finding.location, finding.patch) == (at, "")
    (finding,) = verdict_of("C03", run_of(Probe("leaks", result))).findings
    assert finding.location == at and "are exchanged" in finding.message
