"""Labels that got a zero because they are missing: marked by the rule that scores, left out by the patch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flightcheck.patch import Patch
from flightcheck.recording.missing_values import MARK
from tests.lab.made import FEATURES, Loop, data, patched

PATCH = "targets:known=train.py:10"
BCE = nn.BCEWithLogitsLoss
X, Y = data(12)
LABELS = torch.stack([c == Y for c in range(3)], 1).float()
MISSING = torch.arange(36).reshape(12, 3) % 4 == 1


def loop(y: torch.Tensor, loss: Any = None) -> Loop:
    torch.manual_seed(0)
    return Loop(nn.Linear(FEATURES, 3), loss or BCE(), pairs=[(X, y)] * 3)


def marked(labels: torch.Tensor = LABELS) -> torch.Tensor:
    return torch.where(MISSING, MARK, labels)


def of_the_known(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(out[~MISSING], LABELS[~MISSING])


def test_what_is_missing_is_no_part_of_the_loss(tmp_path: Path) -> None:
    wanted = loop(LABELS, of_the_known)
    wanted()
    scored = str(Patch.parse(PATCH).scored)
    assert scored == "score:known=train.py:10"
    tried = loop(marked())
    done = patched(tmp_path, f"{PATCH} + {scored}", tried)
    assert tried.losses == pytest.approx(wanted.losses, rel=1e-5)
    assert list(done.trained.series("error")) == pytest.approx(wanted.losses, rel=1e-5)
    control = patched(tmp_path, scored, loop(marked())).trained.series("error")
    assert control[0] == pytest.approx(wanted.losses[0], rel=1e-5), "the same labels count in both"


@pytest.mark.parametrize(
    ("y", "loss"),
    [
        (marked(), BCE(weight=torch.ones(12, 3))),
        (marked(), lambda out, y: BCE(reduction="none")(out, y)[~MISSING].mean()),
        (marked(), lambda out, y: BCE()(out[~MISSING], y[~MISSING])),
        (LABELS, None),
        (marked(torch.ones(12, 3)), None),
        (marked(LABELS * 0.5), None),
    ],
    ids=["weighted", "masked", "chosen", "nothing missing", "no label says no", "soft labels"],
)
def test_it_does_not_act_where_the_script_masks_or_nothing_is_missing(
    tmp_path: Path, y: torch.Tensor, loss: Any
) -> None:
    done = patched(tmp_path, PATCH, loop(y, loss))
    assert not done.applied.get(PATCH)
