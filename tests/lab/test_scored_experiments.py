"""Experiments whose two trainings are scored by a rule of their own, or of which one cannot begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from flightcheck.checks.base import Finding
from flightcheck.lab.agenda import investigate
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import Lab
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import TrialInfo
from flightcheck.recording.records import Location
from flightcheck.recording.signals import ERROR
from flightcheck.report.experiments import patch_in_words, tried_in_words
from flightcheck.testing import run_of
from tests.verdicts import info_of

WHY = "IndexError: Target 10 is out of bounds."


class Crashing:
    """Trainings that end before their first step unless they are patched."""

    def __init__(self, end: float, refused: str = "") -> None:
        self.end, self.refused = end, refused
        self.asked: list[str] = []

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        return [self._one(t) for t in trials]

    def close(self) -> None:
        pass

    def _one(self, trial: Trial) -> Trained:
        self.asked.append(str(trial))
        patched = any(p.kind != "score" for p in trial.patches)
        told = TrialInfo([], trial.seed, {str(p): 1 for p in trial.patches if patched}, "" if patched else self.refused)
        if not patched:
            return Trained.of(trial, run_of(told, ended="exception", error=WHY, steps=0), 0.0)
        noise = 0.002 * np.random.default_rng(trial.seed).normal(size=trial.steps)
        values = self.end + (2.3 - self.end) * np.linspace(1, 0, trial.steps) ** 4 + noise
        return Trained.of(trial, run_of(told, series={ERROR: list(values)}, steps=trial.steps), 0.0)


SHIFT = [Patch("targets", "shift-1")]


def test_a_training_that_begins_only_with_the_patch_is_held_against_the_untrained_model() -> None:
    e = Lab(Crashing(0.5), 60).try_patch("L08", SHIFT, metrics=("error",))
    assert e.status == "confirmed"
    assert e.before == pytest.approx(2.3, abs=0.3), "what the patched training begins with"
    assert e.after == pytest.approx(0.5, abs=0.1)
    assert tried_in_words(e, run_of()).endswith(f"confirmed (without it the script ended with {WHY})")


def test_it_must_learn_and_not_only_run() -> None:
    assert Lab(Crashing(2.3), 60).try_patch("L08", SHIFT, metrics=("error",)).status == "refuted"


def test_a_script_that_was_stopped_for_its_files_did_not_crash() -> None:
    e = Lab(Crashing(0.5, refused="write to x"), 60).try_patch("L08", SHIFT, metrics=("error",))
    assert e.status == "untested"
    assert "stopped to protect" in e.reason


def test_a_crash_before_the_first_step_is_tried_and_nothing_else_is_asked() -> None:
    run = run_of(ended="exception", error=WHY, steps=0)
    candidate = Candidate(info_of("L08"), Finding("ids from 1", patch="targets:shift-1"))
    assert [e.status for e in investigate(Lab(Crashing(0.5), 60), run, [candidate])] == ["confirmed"]
    assert list(investigate(Lab(Crashing(0.5), 60), run, [])) == []


@pytest.mark.parametrize(
    "patch",
    ["targets:unit=0,255", "loss:ignore=3", "loss:balanced=9,1", "targets:signs", "loader:continue", "shuffle:others"],
)
def test_both_trainings_are_scored_by_the_same_rule(patch: str) -> None:
    runner = Crashing(0.5)
    e = Lab(runner, 60).try_patch("L08", [Patch.parse(patch)], metrics=("error",))
    rule = str(Patch.parse(patch).scored)
    assert runner.asked[:2] == [f"{rule}, seed 0", f"{patch} + {rule}, seed 0"]
    assert e.patch == patch, "the rule is no part of the fix"


@pytest.mark.parametrize(
    ("patch", "code", "diff", "words"),
    [
        ("targets:unit=-1,1", "", "+ target = (target + 1) / 2", "targets brought from -1 … 1 to 0 … 1"),
        ("targets:unit=0,255", "", "+ target = target / 255", "targets brought from 0 … 255 to 0 … 1"),
        ("targets:unit=1,2", "", "+ target = target - 1", "targets brought from 1 … 2 to 0 … 1"),
        ("loss:ignore=0", "f = nn.CrossEntropyLoss()", "- f = nn.CrossEntropyLoss()\n+ f = nn.CrossEntropyLoss(ignore_index=0)", "targets 0 left out of the loss"),
        ("loss:ignore=0", "f(out, y, ignore_index=1)", "- f(out, y, ignore_index=1)\n+ f(out, y, ignore_index=0)", "targets 0 left out of the loss"),
        ("loss:ignore=0", "x = f(out, y)", "+ ignore_index=0  # in the loss", "targets 0 left out of the loss"),
        ("loss:balanced=9,1", "", "+ weight=counts.sum() / (len(counts) * counts)  # in the loss; as pos_weight: negatives / positives", "classes weighted by the inverse of their counts in the batches"),
        ("shuffle:others", "", "+ shuffle=True  # in the DataLoader of the training examples", "training examples shuffled"),
        ("loader:continue", "", "+ for batch in loader:  # in the place of next(iter(loader)) in every step", "each iterator going on where the last one stopped"),
        ("inputs:x255", "", "+ x = x * 255  # or one of the two divisions by 255 left out", "inputs times 255"),
    ],
)  # fmt: skip
def test_patches_as_a_line_and_in_words(patch: str, code: str, diff: str, words: str) -> None:
    finding = Finding("", location=Location("train.py", 1, code=code) if code else None)
    assert diff_of([Patch.parse(patch)], finding, run_of()) == diff
    assert patch_in_words(patch, run_of()) == words
