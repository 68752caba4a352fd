"""A metric that counts what it says: the training stays the same, the number does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import Lab
from flightcheck.lab.metrics import SAME_TRAINING, try_metric
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.report.experiments import patch_in_words
from flightcheck.testing import run_of
from tests.lab.made import Loop, data, patched

HERE = Path(__file__).name
PAIRS, CUT = (
    next(i for i, line in enumerate(Path(__file__).read_text("utf-8").splitlines(), 1) if line.endswith(f"# {mark}"))
    for mark in ("pairs", "cut")
)


class Judged(Loop):
    """Two classes by one logit; prints what it thinks of itself."""

    def __init__(self) -> None:
        x, y = data(60)
        pairs = list(zip(x.split(6), (y == 2).float().split(6), strict=True))
        super().__init__(loss=lambda out, y: F.binary_cross_entropy_with_logits(out[:, 0], y), pairs=pairs)

    def __call__(self) -> None:
        x, y = data(200, seed=3)
        wanted = (y == 2).float()
        for _ in range(3):
            super().__call__()
            with torch.no_grad():
                logits = self.model(x)[:, :1]
                accuracy = ((logits > 0).float() == wanted).float().mean()  # pairs
                positive = (logits > 0.5).float().mean()  # cut
            print(f"test acc {accuracy:.4f} positive right {positive:.4f}")


class Here:
    """Runs trials in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, trials: list[Trial], seconds_left: float) -> list[Trained]:
        return [patched(self.folder, " + ".join(map(str, t.patches)), Judged()).trained for t in trials]

    def close(self) -> None:
        """Nothing is left."""


@pytest.mark.parametrize(
    ("patch", "status"), [(f"align:{HERE}:{PAIRS}", "confirmed"), ("align:train.py:1", "untested")]
)
def test_the_number_differs_and_the_training_does_not(patch: str, status: str, tmp_path: Path) -> None:
    found = try_metric(Lab(Here(tmp_path), 1000), "T09", [Patch("metric", patch)], 60)
    assert found.status == status
    if status == "confirmed":
        assert (found.metric, found.reason) == ("printed test acc", SAME_TRAINING)
        assert found.before is not None and found.after is not None and found.before + 0.1 < found.after


def test_a_number_that_stays_confirms_nothing(tmp_path: Path) -> None:
    found = try_metric(Lab(Here(tmp_path), 1000), "T09", [Patch("metric", f"cut:{HERE}:{CUT}")], 60)
    assert (found.status, found.reason) == ("inconclusive", "the number is the same")


def test_a_training_that_changes_confirms_nothing(tmp_path: Path) -> None:
    found = try_metric(Lab(Here(tmp_path), 1000), "T09", [Patch("lr", "x0.1")], 60)
    assert (found.status, found.reason) == ("inconclusive", "the two trainings are not the same")


def test_the_patch_acts_at_its_line_alone(tmp_path: Path) -> None:
    acted = patched(tmp_path, f"metric:cut:{HERE}:{CUT}", Judged()).applied
    assert acted == {f"metric:cut:{HERE}:{CUT}": 3}
    with pytest.raises(ValueError, match="a value such as"):
        patched(tmp_path, "metric:align", Judged())


def test_what_a_reader_sees() -> None:
    finding = Finding("", location=Location("train.py", 3, code="hit = logits > 0.5"))
    assert (
        diff_of([Patch("metric", "cut:train.py:3")], finding, run_of()) == "- hit = logits > 0.5\n+ hit = logits > 0.0"
    )
    assert patch_in_words("metric:align:train.py:3", run_of()) == "predictions and labels in one shape"
