"""A loss of decisions instead of scores: what is said of it, and the trial that computes it of the scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.checks.registry import run_checks
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.run import Run
from tests.lab.made import CLASSES, FEATURES, Loop, data, equal, patched

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text(encoding="utf-8")
X, Y = data(48)
BINARY = (Y == 0).float()


def line(mark: str) -> int:
    return next(i for i, text in enumerate(SOURCE.splitlines(), 1) if text.endswith(f"# decided by {mark}"))


def threshold(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    label = (out.sigmoid().squeeze(1) > 0.5).float()  # decided by threshold
    loss = F.binary_cross_entropy(label, y)
    loss.requires_grad = True
    return loss


def threshold_meant(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy(out.sigmoid().squeeze(1), y)


def largest(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    chosen = out.argmax(1)  # decided by argmax
    assert (chosen == y).float().mean() >= 0
    return F.mse_loss(chosen.float(), y.float()).requires_grad_()


def position(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    _, chosen = torch.max(out.data, 1)  # decided by max
    return F.mse_loss(chosen.float(), y.float()).requires_grad_()


def training(loss: Callable[..., torch.Tensor], classes: int) -> Loop:
    torch.manual_seed(0)
    y = BINARY if classes == 1 else Y
    return Loop(nn.Linear(FEATURES, classes), loss, pairs=list(zip(X.split(6), y.split(6), strict=True)))


@pytest.mark.parametrize(
    ("mark", "loss", "meant", "classes"),
    [
        ("threshold", threshold, threshold_meant, 1),
        ("argmax", largest, F.cross_entropy, CLASSES),
        ("max", position, F.cross_entropy, CLASSES),
    ],
)
def test_the_training_that_was_meant(
    tmp_path: Path, mark: str, loss: Callable[..., torch.Tensor], meant: Callable[..., torch.Tensor], classes: int
) -> None:
    right, wrong, mended = training(meant, classes), training(loss, classes), training(loss, classes)
    right()
    found: Run = patched(tmp_path, "", wrong).run
    ((finding,),) = (v.findings for v in run_checks(found, ["L17"]))
    assert (finding.location and finding.location.line, finding.patch) == (
        line(mark),
        f"keep-graph:{HERE}:{line(mark)}",
    )
    done = patched(tmp_path, finding.patch, mended)
    assert done.applied
    assert equal(mended.weights, right.weights)
    assert len(done.trained.series("error")) == 8, "of the scores"
    assert diff_of([Patch.parse(finding.patch)], finding, found)


def test_a_threshold_that_is_only_printed_is_no_cause(tmp_path: Path) -> None:
    def cut(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        (out.sigmoid().squeeze(1) > 0.5).float().mean()
        kept = out.detach()  # decided by detach
        return threshold_meant(kept, y).requires_grad_()

    found = patched(tmp_path, "", training(cut, 1)).run
    ((finding,),) = (v.findings for v in run_checks(found, ["L17"]))
    assert finding.location is not None
    assert finding.location.line == line("detach")
    fine = patched(tmp_path, "", training(threshold_meant, 1)).run
    assert [v.findings for v in run_checks(fine, ["L17", "C02", "L21"])] == [(), (), ()]


@pytest.mark.parametrize("turned", [False, True])
def test_shares_of_right_answers_stay_what_they_are(tmp_path: Path, turned: bool) -> None:
    shares: list[float] = []

    def cut(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        label = (out.sigmoid().squeeze(1) > 0.5).long().float()  # decided by both
        loss = F.binary_cross_entropy(label, y).requires_grad_()
        shares.append(float(((y == label) if turned else (label == y)).float().mean()))
        return loss

    patched(tmp_path, "", training(cut, 1))
    done, (first, *_) = training(cut, 1), shares
    shares.clear()
    assert patched(tmp_path, f"keep-graph:{HERE}:{line('both')}", done).applied
    assert shares[0] == first and len(set(done.losses)) > 1
