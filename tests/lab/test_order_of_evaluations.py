"""A number of an evaluation does not depend on the order in which its examples are visited."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import Lab
from flightcheck.lab.metrics import SAME_TRAINING, try_order
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.report.experiments import patch_in_words
from flightcheck.testing import run_of
from tests.lab.made import Loop, data, equal, patched

X, Y = data(96, seed=3)
SORTED = Y.sort().indices
HELD_OUT = TensorDataset(X[SORTED], Y[SORTED])
"""Stored class by class."""
Evaluation = Callable[[torch.nn.Module, Any], Any]


def accuracy_of_stored_labels(model: torch.nn.Module, loader: Any) -> Any:
    with torch.no_grad():
        predicted = torch.cat([model(x).argmax(1) for x, _ in loader])
    return f"test acc {(predicted == HELD_OUT.tensors[1]).float().mean():.4f}"


def error_of_listed_labels(model: torch.nn.Module, loader: Any) -> Any:
    model.eval()
    answers: list[int] = []
    for x, _ in loader:
        answers.extend(model(x).detach().argmax(1).tolist())
    model.train()
    wrong = sum(a != y for a, y in zip(answers, HELD_OUT.tensors[1].tolist(), strict=True))
    return f"val error: {wrong / len(answers):.4f}"


def accuracy_of_another_pass(model: torch.nn.Module, loader: Any) -> Any:
    with torch.no_grad():
        predicted = torch.cat([model(x).argmax(1) for x, _ in loader])
        labels = torch.cat([y for _, y in loader])
    return f"test acc {(predicted == labels).float().mean():.4f}"


def errors_of_a_third_pass(model: torch.nn.Module, loader: Any) -> Any:
    model.eval()
    scores = [model(x).detach() for x, _ in loader]
    sizes = [len(y) for _, y in loader]
    wrong = sum(int((s.argmax(1) != y).sum()) for s, (_, y) in zip(scores, loader, strict=True))
    model.train()
    return f"test error: {wrong / sum(sizes):.4f}"


def accuracy_beside_shares(model: torch.nn.Module, loader: Any) -> Any:
    """Right: only sums are taken of the second pass."""
    with torch.no_grad():
        hits = torch.cat([(model(x).argmax(1) == y).float() for x, y in loader])
    share = max(sum(int((y == c).sum()) for _, y in loader) for c in range(3)) / len(hits)
    return f"test acc {hits.mean():.4f} (always the same class: {share:.4f})"


def accuracy(model: torch.nn.Module, loader: Any) -> Any:
    with torch.no_grad():
        hits = [(model(x).argmax(1) == y).float() for x, y in loader]
    return f"test acc {torch.cat(hits).mean():.4f}"


def agreement_within_a_batch(model: torch.nn.Module, loader: Any) -> Any:
    """Of whole batches: it is better where a batch holds one class, as in the stored order."""
    with torch.no_grad():
        modes = [(answers == answers.mode().values).float() for answers in (model(x).argmax(1) for x, _ in loader)]
    return f"test acc {torch.cat(modes).mean():.4f}"


class Evaluated(Loop):
    """Two epochs, each with an evaluation of a shuffled loader."""

    def __init__(self, evaluation: Evaluation, loader: Any) -> None:
        x, y = data(60)
        super().__init__(pairs=list(zip(x.split(6), y.split(6), strict=True)))
        self.evaluation, self.loader = evaluation, loader

    def __call__(self) -> None:
        torch.manual_seed(1)
        for _ in range(2):
            super().__call__()
            print(self.evaluation(self.model, self.loader))
            self.drawn = torch.rand(3)


class Here:
    """Runs trials in this process."""

    def __init__(self, folder: Path, made: Callable[[], Evaluated]) -> None:
        self.folder, self.made = folder, made

    def run(self, trials: list[Trial], seconds_left: float) -> list[Trained]:
        return [patched(self.folder, " + ".join(map(str, t.patches)), self.made()).trained for t in trials]

    def close(self) -> None:
        """Nothing is left."""


def shuffled(size: int = 16) -> Any:
    return DataLoader(HELD_OUT, batch_size=size, shuffle=True)


def by_sampler() -> Any:
    return DataLoader(HELD_OUT, batch_size=20, sampler=SubsetRandomSampler(range(len(X))))


def told(folder: Path, evaluation: Evaluation, loader: Callable[[], Any]) -> Any:
    return try_order(Lab(Here(folder, lambda: Evaluated(evaluation, loader())), 1000), run_of(steps=60))


@pytest.mark.parametrize(
    ("evaluation", "loader"),
    [
        (accuracy_of_stored_labels, shuffled),
        (error_of_listed_labels, by_sampler),
        (accuracy_of_stored_labels, lambda: shuffled(1)),
        (accuracy_of_another_pass, shuffled),
        (errors_of_a_third_pass, shuffled),
    ],
)
def test_predictions_that_meet_other_targets_are_proved(evaluation: Any, loader: Any, tmp_path: Path) -> None:
    found = told(tmp_path, evaluation, loader)
    assert (found.status, found.reason) == ("confirmed", SAME_TRAINING)
    assert abs(found.after - found.before) > 0.2


@pytest.mark.parametrize(
    ("evaluation", "why"),
    [
        (accuracy, "no number is clearly better in the stored order"),
        (accuracy_beside_shares, "no number is clearly better in the stored order"),
        (agreement_within_a_batch, "the numbers do not depend on the order within a batch"),
    ],
)
def test_numbers_that_may_be_random_in_order_are_not(evaluation: Any, why: str, tmp_path: Path) -> None:
    found = told(tmp_path, evaluation, shuffled)
    assert (found.status, found.reason) == ("inconclusive", why)


def test_nothing_else_is_drawn(tmp_path: Path) -> None:
    loops = []
    for patch in ("", "visits:stored", "visits:turned", "visits:turned-first"):
        loops.append(Evaluated(accuracy, shuffled()))
        applied = patched(tmp_path, patch, loops[-1]).applied
        assert applied == ({patch: 2} if patch else {})
    assert all(torch.equal(loops[0].drawn, o.drawn) and equal(loops[0].weights, o.weights) for o in loops[1:])


def test_training_batches_keep_their_order(tmp_path: Path) -> None:
    visited: list[torch.Tensor] = []

    def batches() -> Iterator[Any]:
        for batch in shuffled():
            visited.append(batch[0])
            yield batch

    run = patched(tmp_path, "visits:stored", Loop(pairs=batches()))
    assert not run.applied and not torch.equal(torch.cat(visited), HELD_OUT.tensors[0])
    with pytest.raises(ValueError, match="stored or turned"):
        patched(tmp_path, "visits:sorted", Loop())


def test_what_a_reader_sees() -> None:
    finding = Finding("", location=Location("train.py", 3, code="dl = DataLoader(test, shuffle=True)"))
    stored = Patch("visits", "stored")
    assert diff_of([stored], finding, run_of()).endswith("+ dl = DataLoader(test, shuffle=False)")
    assert patch_in_words("visits:stored", run_of()) == "evaluation examples visited in the stored order"
