"""In the trial similarities are divided by the factor, and values behind an end are none: the training that was meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.testing import verdict_of
from tests.lab.made import equal, patched

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()
ROWS = 32


def line(mark: str) -> int:
    return next(i for i, text in enumerate(SOURCE, 1) if text.endswith(f"# {mark}"))


def pairs(factor: float) -> tuple[nn.Linear, Callable[[], None]]:
    torch.manual_seed(0)
    net, x = nn.Linear(6, 4), torch.randn(8, ROWS, 6)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def loop() -> None:
        for rows in x:
            one, other = (F.normalize(net(rows + shift), dim=1) for shift in (0.1, -0.1))
            scores = one @ other.t()
            scores = scores * factor  # the scale
            loss = F.cross_entropy(scores, torch.arange(ROWS)) * 0.5
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return net, loop


def values(ends: bool) -> tuple[nn.Linear, Callable[[], None]]:
    torch.manual_seed(0)
    net, slow, states = nn.Linear(2, 2), nn.Linear(2, 2), torch.randn(8, ROWS, 2)
    following = states + 0.5 * torch.randn(8, ROWS, 2)
    rows = torch.cat([states, following, (following[..., :1].abs() > 1.5).float()], 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def loop() -> None:
        for i in range(8):
            batch = rows[i]
            s, s2, end = batch[:, :2], batch[:, 2:4], batch[:, 4]  # the flag
            with torch.no_grad():
                best = slow(s2).amax(1)
                best = 0.9 * best  # the discount
                target = 0.3 * s[:, 0] + (best * (1 - end) if ends else best)
            loss = F.mse_loss(net(s)[:, 1], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return net, loop


def test_the_scale_that_was_meant(tmp_path: Path) -> None:
    (right, as_meant), (wrong, as_is), (mended, again) = (pairs(f) for f in (8.0, 0.125, 0.125))
    as_meant()
    found = patched(tmp_path, "", as_is)
    (finding,) = verdict_of("L24", found.run).findings
    assert finding.patch == f"temperature:{HERE}:{line('the scale')}"
    done = patched(tmp_path, finding.patch, again)
    assert (done.applied, done.errors) == ({finding.patch: 8}, [])
    assert equal(list(mended.parameters()), list(right.parameters()))
    assert not equal(list(wrong.parameters()), list(right.parameters()))


def test_the_ends_that_were_forgotten(tmp_path: Path) -> None:
    (right, as_meant), (wrong, as_is), (mended, again) = (values(ends) for ends in (True, False, False))
    as_meant()
    found = patched(tmp_path, "", as_is)
    (finding,) = verdict_of("L25", found.run).findings
    assert finding.patch == f"episode-end:{HERE}:{line('the discount')},{HERE}:{line('the flag')},0,1"
    done = patched(tmp_path, finding.patch, again)
    assert (done.applied, done.errors) == ({finding.patch: 8}, [])
    assert equal(list(mended.parameters()), list(right.parameters()))
    assert not equal(list(wrong.parameters()), list(right.parameters()))
