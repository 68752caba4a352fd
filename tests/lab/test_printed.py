"""Trials judged by what the script prints."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from flightcheck.lab.experiments import Lab
from flightcheck.lab.printed import PRINTED, RETURNED, Scale, printed_name, printed_series
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from tests.lab.made import Loop, data, patched


class Printing(Loop):
    """Prints the share of right answers after each round, and says nothing else of its evaluations."""

    def __init__(self) -> None:
        super().__init__(optimizer=lambda p: torch.optim.SGD(p, lr=1e-5))

    def __call__(self) -> None:
        x, y = data(200, seed=3)
        for _ in range(10):
            super().__call__()
            with torch.no_grad():
                right = float((self.model(x).argmax(1).numpy() == y.numpy()).mean())
            print(f"loss {self.losses[-1]:.3f} acc {right:.4f}", file=sys.stdout)


def trained(folder: Path, patches: str = "") -> Trained:
    return patched(folder, patches, Printing()).trained


class Here:
    """Runs trials in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, trials: list[Trial], seconds_left: float) -> list[Trained]:
        return [trained(self.folder / str(t.seed), " + ".join(map(str, t.patches))) for t in trials]

    def close(self) -> None:
        """Nothing is left."""


def test_the_number_of_an_evaluation_is_found(tmp_path: Path) -> None:
    one = trained(tmp_path)
    assert printed_name([one], PRINTED) == "acc"
    assert printed_name([one], RETURNED) == ""
    values = printed_series(one, "acc")
    assert len(values) == 10
    assert ((values >= 0) & (values <= 1)).all()
    assert type(sys.stdout).__name__ != "_Reader"


def test_an_experiment_tells_it_as_the_script_prints_it(tmp_path: Path) -> None:
    lab = Lab(Here(tmp_path), 1000)
    found = lab.try_patch("P02", [Patch("lr", "0.1")], metrics=("evaluation", PRINTED))
    assert found.metric == "printed acc"
    assert found.status in ("confirmed", "inconclusive")
    assert found.before is not None and found.after is not None and found.before < found.after <= 1
    assert min(found.differences) > 0


def test_positive_errors_are_compared_by_their_ratio() -> None:
    errors = Scale.of("val mse", [np.array([0.5, 0.1])])
    assert errors.margin == 0.02
    assert errors.back(float(errors.to(np.array([0.5]))[0])) == pytest.approx(0.5)
    shares = Scale.of("val acc", [np.array([0.5, 0.1])])
    assert shares.margin is None and shares.to(np.array([0.5]))[0] == -0.5
    assert shares.back(-0.5) == 0.5


def test_what_is_printed_tells_where_the_words_do_not(tmp_path: Path) -> None:
    def loop() -> None:
        shown = Loop()
        x, y = data(50, seed=3)
        for _ in range(3):
            shown()
            with torch.no_grad():
                acc = float((shown.model(x).argmax(1) == y).float().mean())
            print(f"round {len(shown.losses)} fit {acc - 1:.3f} test {acc:.3f}")

    one = patched(tmp_path, "", loop).trained
    assert printed_name([one], PRINTED) == "test acc"
    assert len(printed_series(one, "test acc")) == 3
