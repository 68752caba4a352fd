"""D17 augmentation-breaks-label: masks that do not go with their images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.adapters.torch import point_alignment
from flightcheck.adapters.torch.alignment import Alignment, compared
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.checks.base import Verdict
from flightcheck.recording.alignments import MapAlignment, PointAlignment
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 20)


def status(examples: int, aligned: int, **moved: int) -> str:
    return verdict_of("D17", run_of(MapAlignment(0, LINE, examples, aligned, dict(moved)), steps=9)).status


def test_a_part_of_the_masks_turned_over_fails() -> None:
    assert status(100, 45, left=40) == "fail"
    assert status(100, 60, left=10, upside=10) == "fail"


def test_masks_that_lie_right_or_say_nothing_pass() -> None:
    assert status(100, 95) == "pass"
    assert status(100, 90, left=5) == "pass"
    assert status(100, 2, left=90) == "pass", "the target is meant to be turned"
    assert status(100, 20, left=20) == "pass", "the image says too little of its target"
    assert status(8, 4, left=4) == "inconclusive"
    assert verdict_of("D17", run_of(steps=9)).status == "skipped"


def scenes(n: int, size: int = 24, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy images with bright rectangles, and where these are."""
    g = torch.Generator().manual_seed(seed)
    y = torch.zeros(n, size, size)
    for i in range(n):
        for _ in range(2):
            top, left = (int(torch.randint(0, size - 8, (1,), generator=g)) for _ in range(2))
            y[i, top : top + int(torch.randint(3, 8, (1,), generator=g)), left : left + 5] = 1
    return (y + 0.5 * torch.randn(y.shape, generator=g))[:, None], y


Turn = Callable[[torch.Tensor], torch.Tensor]


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (lambda x: x.flip(-1), "left to right"),
        (lambda x: x.flip(-2), "upside down"),
        (lambda x: x.rot90(1, (-2, -1)), "by 90 degrees"),
    ],
)
def test_images_turned_without_their_masks_are_counted(turn: Turn, name: str) -> None:
    x, y = scenes(64)
    x = torch.cat([turn(x[:32]), x[32:]])
    found = compared(x, y)
    assert found is not None
    _, aligned, moved = found
    assert aligned > 20 and max(moved, key=lambda k: moved[k]) == name and moved[name] > 20


def test_joint_turns_shifts_and_unrelated_maps_are_not() -> None:
    x, y = scenes(64)
    together = compared(torch.cat([x[:32].flip(-1), x[32:]]), torch.cat([y[:32].flip(-1), y[32:]]))
    assert together is not None and together[2] == {} and together[1] > 50
    next_frame = compared(x, torch.cat([y[:32].roll((2, 1), (-2, -1)), y[32:].roll((-2, 0), (-2, -1))]))
    assert next_frame is not None and sum(next_frame[2].values()) <= 3
    smooth = nn.functional.interpolate(torch.randn(64, 1, 3, 3), size=(24, 24), mode="bilinear")[:, 0]
    unrelated = compared(x, smooth)
    assert unrelated is not None
    assert status(unrelated[0], unrelated[1], **{k.replace(" ", "_"): v for k, v in unrelated[2].items()}) == "pass"


@pytest.mark.parametrize("jointly", [True, False])
@pytest.mark.parametrize("classes", [False, True])
def test_a_training_is_watched(tmp_path: Path, jointly: bool, classes: bool) -> None:
    x, y = scenes(256)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2 if classes else 1, 3, padding=1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for rows in torch.randperm(256).split(32):
            images, masks = x[rows].clone(), y[rows].clone()
            for i in range(len(rows)):
                if torch.rand(()) < 0.5:
                    images[i] = images[i].flip(-1)
                    if jointly:
                        masks[i] = masks[i].flip(-1)
            out = model(images)
            if classes:
                loss = nn.functional.cross_entropy(out, masks.long())
            else:
                loss = nn.functional.binary_cross_entropy_with_logits(out[:, 0], masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert watched.run is not None and watched.run.coverage.blind == []
    assert verdict_of("D17", watched.run).status == ("pass" if jointly else "fail")


FLIP = Location("train.py", 21, "", "image = image.flip(-1)")


def of_points(aligned: int, mirrored: int, turning: bool = True, line: Location = FLIP) -> Verdict:
    record = PointAlignment(0, line, "left to right", 0, 100, aligned, mirrored, turning)
    return verdict_of("D17", run_of(record, steps=9))


def test_coordinates_on_both_sides_fail() -> None:
    (finding,) = of_points(40, 35).findings
    assert finding.location == FLIP and finding.patch == "source:unturned:train.py:21"
    assert of_points(40, 35, line=LINE).findings[0].patch == "", "the line does not turn anything"


def test_coordinates_on_one_side_pass() -> None:
    assert of_points(70, 3).status == "pass"
    assert of_points(20, 20).status == "pass", "the image says too little of them"
    assert of_points(40, 35, turning=False).status == "pass", "nothing turns images over"


@pytest.mark.parametrize("bright", [True, False])
@pytest.mark.parametrize(("axis", "name", "column"), [(-1, "left to right", 0), (-2, "upside down", 1)])
def test_images_turned_without_their_points_are_counted(axis: int, name: str, column: int, bright: bool) -> None:
    g = torch.Generator().manual_seed(1)
    centres = 0.1 + 0.8 * torch.rand(200, 2, generator=g)
    yy, xx = torch.meshgrid(torch.linspace(0, 1, 24), torch.linspace(0, 1, 24), indexing="ij")
    away = (xx - centres[:, 0, None, None]) ** 2 + (yy - centres[:, 1, None, None]) ** 2
    images = torch.exp(-away / 0.01) * (1 if bright else -1) + 0.1 * torch.randn(200, 24, 24, generator=g)
    right = {how: (aligned, mirrored) for how, _, aligned, mirrored in point_alignment.compared(images, centres)}
    assert len(right) == 2 and all(a > 120 and m <= 2 for a, m in right.values())
    turned = torch.cat([images[:100].flip(axis), images[100:]])
    found = {how: (c, aligned, mirrored) for how, c, aligned, mirrored in point_alignment.compared(turned, centres)}
    assert found[name][0] == column and min(found[name][1:]) > 50
    together = centres.clone()
    together[:100, column] = 1 - together[:100, column]
    assert all(m <= 2 for _, _, _, m in point_alignment.compared(turned, together))
    unrelated = torch.randn(200, 2, generator=g)
    assert point_alignment.compared(turned, unrelated) == []


def test_the_line_that_turns_so_is_told_among_several(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("a = a.flip(-1)\nb = TF.vflip(b)\nc = c[::-1]\n")
    watch: Any = SimpleNamespace(lines=SourceLines())
    alignment, lines = Alignment(watch), [(str(file), n) for n in (1, 2, 3)]
    told = [alignment._line(lines, LINE, turn) for turn in ("left to right", "upside down", "")]
    assert [t.line for t in told if t is not None] == [1, 2, LINE.line]
