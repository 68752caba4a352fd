"""L31 loss-of-what-was-shown: a mask that chooses what the model is given, and what its loss counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flightcheck.adapters.torch.patching.sources import Helper
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.provenance.shown_masks import masks_of_shown
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.rewriting import rewritten
from flightcheck.recording.shown_masks import ShownMask
from flightcheck.testing import run_of, verdict_of

LINE = Location("work/train.py", 7, code="loss = (err * mask).sum() / mask.sum()")
MASK = ShownMask(LINE, "mask", Location("work/train.py", 5))
SGD = OptimizerInfo(0, "SGD", steps=40)
PROOF = Experiment(
    "L31", "source:others@mask:train.py:7", status="confirmed", metric="printed error", before=0.6, after=0.1
)


def test_only_a_trial_tells_it() -> None:
    (finding,) = verdict_of("L31", run_of(MASK, SGD, PROOF, steps=40)).findings
    assert (finding.location, finding.patch) == (LINE, PROOF.patch)
    assert "line 5" in finding.message and "0.1" in finding.message
    assert verdict_of("L31", run_of(MASK, SGD, replace(PROOF, status="refuted"), steps=40)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("L31", run_of(MASK, SGD, steps=40)).status == "inconclusive"
    undecided = replace(PROOF, status="inconclusive")
    assert verdict_of("L31", run_of(MASK, SGD, undecided, steps=40)).status == "inconclusive"
    assert verdict_of("L31", run_of(SGD, steps=40)).status == "skipped"
    assert verdict_of("L31", run_of(MASK)).status == "skipped"


STEP = """
for x in data:
    mask = {mask}
    out = net({given})
    err = (out - x) ** 2
    loss = {loss}
    loss.backward()
"""


def found(folder: Path, given: str, loss: str, mask: str = "torch.rand(8) < 0.5") -> str:
    file = folder / "train.py"
    file.write_text(STEP.format(given=given, loss=loss, mask=mask), encoding="utf-8")
    shown = masks_of_shown(str(file), 7)
    return "" if shown is None else f"{shown.name}:{shown.line}"


@pytest.mark.parametrize("given", ["x * mask", "x, mask", "x.masked_fill(mask, 0)", "torch.where(mask, 0, x)"])
@pytest.mark.parametrize(
    "loss",
    [
        "(err * mask).sum() / mask.sum()",
        "err[mask].mean()",
        "err.masked_fill(mask, 0).sum()",
        "where(mask, err, 0).sum()",
    ],
)
def test_the_mask_stands_in_both(tmp_path: Path, given: str, loss: str) -> None:
    assert found(tmp_path, given, loss) == "mask:6"


@pytest.mark.parametrize(
    ("given", "loss", "mask"),
    [
        ("x", "err[mask].mean()", "draw()"),  # of the loss alone
        ("x * mask", "err.mean()", "draw()"),  # of the input alone
        ("x, mask", "err[mask].mean()", "x != 0"),  # padding
        ("x * mask", "err.mean() * mask", "draw()"),  # a weight
    ],
)
def test_other_masks(tmp_path: Path, given: str, loss: str, mask: str) -> None:
    assert found(tmp_path, given, loss, mask) == ""
    assert masks_of_shown(str(tmp_path / "none.py"), 1) is None


def test_in_training_the_others_are_counted() -> None:
    text = STEP.format(given="x * mask", loss="(err * mask).sum() / mask.sum()", mask="draw()")
    assert rewritten(text, "others@mask", 6).count(".others(mask)") == 2
    assert rewritten(text, "others@net", 6) == text
    others = Helper.others
    assert others(torch.tensor([True, False])).tolist() == [False, True]
    assert others(np.array([1.0, 0.0])).tolist() == [0.0, 1.0]
    assert others("mask") == "mask"
    with torch.no_grad():
        assert others(torch.tensor([1.0, 0.0])).tolist() == [1.0, 0.0], "an evaluation counts what it counted"
