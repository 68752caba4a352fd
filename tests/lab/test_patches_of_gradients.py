"""Patches of gradients on their way to the optimizer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.testing import run_of
from tests.lab.made import Loop, batches, equal, mlp, patched


def accumulated(divisor: float, passes: int = 2) -> tuple[Loop, list[float]]:
    """A training whose steps use the gradients of several batches, clipped."""
    loop, losses = Loop(mlp()), []

    def run() -> None:
        for i, (x, y) in enumerate(batches()):
            loss = loop.loss(loop.model(x), y)
            losses.append(loss.item())
            (loss / divisor).backward()
            if (i + 1) % passes == 0:
                nn.utils.clip_grad_norm_(loop.model.parameters(), 0.4)
                loop.optimizer.step()
                loop.optimizer.zero_grad()

    loop.run = run  # type: ignore[attr-defined]
    return loop, losses


@pytest.mark.parametrize(("divisor", "patch"), [(1.0, "accumulate:x0.5"), (4.0, "accumulate:x2")])
def test_a_mean_of_accumulated_gradients(tmp_path: Path, divisor: float, patch: str) -> None:
    wanted, losses = accumulated(2.0)
    wanted.run()  # type: ignore[attr-defined]
    loop, others = accumulated(divisor)
    done = patched(tmp_path, patch, loop.run)  # type: ignore[attr-defined]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(wanted.weights, loop.weights, strict=True))
    assert losses == pytest.approx(others, rel=1e-5)
    assert done.applied == {patch: 4}
    last = float(done.trained.series("loss")[-1])
    assert last * divisor == pytest.approx(losses[-1], rel=1e-4), "the loss keeps its value"


def test_a_gradient_that_the_script_gives_stays(tmp_path: Path) -> None:
    def loop() -> Loop:
        return Loop(loss=lambda out, y: nn.functional.cross_entropy(out, y))

    wanted, other = loop(), loop()
    wanted()

    def run() -> None:
        for x, y in other.pairs:
            other.optimizer.zero_grad()
            other.loss(other.model(x), y).backward(torch.tensor(1.0))
            other.optimizer.step()

    done = patched(tmp_path, "accumulate:x0.5", run)
    assert equal(wanted.weights, other.weights)
    assert "no place at which it could act" in done.trained.failure


@pytest.mark.parametrize("value", ["", "0.5", "x0"])
def test_an_unknown_factor_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="accumulate: a factor wanted"):
        patched(tmp_path, f"accumulate:{value}", Loop())


@pytest.mark.parametrize(
    ("code", "diff"),
    [
        ("loss.backward()", "- loss.backward()\n+ (loss / 4).backward()"),
        ("scaler.scale(loss).backward()", "+ loss = loss / 4  # before backward"),
    ],
)
def test_as_a_line(code: str, diff: str) -> None:
    finding = Finding("", location=Location("train.py", 3, code=code))
    assert diff_of([Patch.parse("accumulate:x0.25")], finding, run_of()) == diff
