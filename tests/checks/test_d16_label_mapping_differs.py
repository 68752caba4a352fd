"""D16 label-mapping-differs."""

from __future__ import annotations

import textwrap
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flightcheck.recording.batches import Evaluation
from flightcheck.recording.data_files import DataFile
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.inputs import Confusion
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.provenance.numbering_functions import numbered_in_each_call
from flightcheck.recording.records import Location, Plan
from flightcheck.recording.rewriting import rewritten
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import batches, losses
from tests.checks._datasets import LOADERS, VAL_LINE, train_set, val_set

SITE = LossSite(0, "cross_entropy", Location("train.py", 50))
CALL = Location("train.py", 70)
EVALUATION = Evaluation(100, 0, 4, CALL)
ROTATED = [[1, 29, 0], [2, 0, 28], [27, 3, 0]]
SWAPPED = [[40, 0, 0, 0], [0, 38, 2, 0], [0, 1, 2, 37], [0, 0, 36, 4]]


def run(counts: list[list[int]], *records: Any) -> Any:
    return verdict_of("D16", run_of(SITE, EVALUATION, *losses([0.5] * 4), Confusion(100, counts), *records))


@pytest.mark.parametrize(
    "counts",
    [ROTATED, SWAPPED, [[3, 40], [35, 2]], [[0, 60, 0], [0, 0, 60], [41, 4, 15]]],
    ids=["rotated", "two of four", "binary", "one less sure"],
)
def test_answers_that_only_a_renumbering_makes_right(counts: list[list[int]]) -> None:
    (finding,) = run(counts).findings
    assert finding.location == CALL


@pytest.mark.parametrize(
    ("numbering", "line"),
    [
        ("classes = list(dict.fromkeys(names))", 2),
        ("classes = {n: i for i, n in enumerate(set(names))}", 2),
        ("classes = sorted(set(names))", 3),
    ],
)
def test_the_line_that_numbers_the_classes_by_hand(tmp_path: Path, numbering: str, line: int) -> None:
    file = tmp_path / "train.py"
    file.write_text(
        f"def numbers(names):\n    {numbering}\n    return torch.tensor([classes.index(n) for n in names])\n"
    )
    site = replace(SITE, target_origin=Location(str(file), 3), train_calls=4)
    found = verdict_of("D16", run_of(site, EVALUATION, *losses([0.5] * 4), Confusion(100, ROTATED)))
    assert found.findings[0].location is not None
    assert (found.findings[0].location.file, found.findings[0].location.line) == (str(file), line)


def test_names_with_two_numbers() -> None:
    names = train_set(classes={"cat": 0, "dog": 1, "elk": 2}), val_set(classes={"cat": 0, "elk": 1})
    (finding,) = verdict_of("D16", run_of(*LOADERS, *names)).findings
    assert "'elk' is number 2 in training and 1" in finding.message
    assert finding.location == VAL_LINE


@pytest.mark.parametrize(
    "counts",
    [
        [[30, 1, 0], [0, 29, 1], [0, 2, 28]],
        [[20, 15, 0], [18, 17, 0], [0, 0, 30]],
        [[2, 38], [3, 37]],
        [[10, 20], [21, 9]],
        [[12, 28, 0], [0, 14, 26], [25, 0, 15]],
        [[14, 36], [95, 5]],
    ],
    ids=["right", "alike classes", "one answer", "worse than chance", "a circle of alike classes", "a shortcut"],
)
def test_honest_errors_pass(counts: list[list[int]]) -> None:
    assert run(counts).status == "pass"


def test_few_examples_are_no_pass() -> None:
    told = run([[0, 9], [9, 0]])
    assert (told.status, told.reason) == ("inconclusive", "9 of 20 examples of a class in an evaluation")


def test_equal_names_pass() -> None:
    names = train_set(classes={"cat": 0, "dog": 1}), val_set(classes={"cat": 0})
    assert run([[30, 1], [1, 30]], *LOADERS, *names).status == "pass"


def test_no_evaluation_is_inconclusive() -> None:
    assert verdict_of("D16", run_of(SITE, *losses([0.5] * 4))).status == "inconclusive"


def test_clusters_are_skipped() -> None:
    assert verdict_of("D16", run_of(EVALUATION, Confusion(100, ROTATED))).status == "skipped"


@pytest.mark.parametrize("regime", ["reinforcement", "second-order", "gan"])
def test_other_regimes_are_skipped(regime: str) -> None:
    assert run(ROTATED, Plan(regimes=[regime])).status == "skipped"


def _batches_of(numbered: str, n: int = 200, size: int = 16) -> Any:
    """The verdict on labels of 6 classes of uneven size: by one mapping, numbered anew in each batch, or as episodes."""
    rng, calls = np.random.default_rng(0), []
    for i in range(n):
        y = rng.choice(6, size=size, p=[0.1, 0.3, 0.05, 0.25, 0.05, 0.25])
        if numbered == "by order of size":
            y = np.array([3, 0, 4, 1, 5, 2])[y]
        elif numbered == "in order of their coming":
            y = rng.integers(0, 2 + i * 4 // n, size)
        elif numbered == "rows":
            y = np.arange(size - 10 - i % 2)
        elif numbered == "anew":
            y = np.unique(y, return_inverse=True)[1]
        counts = np.bincount(y, minlength=6).tolist()
        calls += losses([1.0], label_counts=counts, target_shape=[len(y)], step=i, classes=6)
    made = Location("train.py", 31, "collate", "ys = encoder.fit_transform(names)")
    return verdict_of("D16", run_of(LossSite(0, "cross_entropy", Location("train.py", 50), target_origin=made), *calls))


def test_classes_that_are_numbered_anew_in_each_batch() -> None:
    (finding,) = _batches_of("anew").findings
    assert finding.location == Location("train.py", 31, "collate", "ys = encoder.fit_transform(names)")
    assert finding.patch == "source:transform:train.py:31"


@pytest.mark.parametrize("numbered", ["once", "by order of size", "in order of their coming", "rows"])
def test_batches_that_lack_classes_by_chance(numbered: str) -> None:
    assert not _batches_of(numbered).findings


@pytest.mark.parametrize(("status", "told"), [("confirmed", True), ("inconclusive", False)])
def test_a_function_that_numbers_in_each_call_is_told_by_a_trial(status: str, told: bool) -> None:
    line = Location("work/train.py", 7, "to_ids", "table = {n: i for i, n in enumerate(names)}")
    tried = Experiment("D16", "source:kept:train.py:7", status=status)
    found = verdict_of("D16", run_of(*batches(4, origin=line), DataFile(0, line.file, numbering=line), tried)).findings
    assert [(f.location, f.patch) for f in found] == [(line, tried.patch)] * told


BUILT = {
    "in a comprehension": """
        def to_ids(names):
            table = {n: i for i, n in enumerate(dict.fromkeys(names))}  # HERE
            return torch.tensor([table[n] for n in names])
        y, y_test = to_ids(train), to_ids(test)
    """,
    "word by word": """
        def encode(lines, vocab=None):
            if vocab is None:
                vocab = {"<pad>": 0}  # HERE
            return [[vocab.setdefault(w, len(vocab)) for w in line] for line in lines], vocab
        x, _ = encode(train)
        x_test, _ = encode(test)
    """,
    "by a statement": """
        def encode(lines):
            known = dict()  # HERE
            for line in lines:
                if line not in known:
                    known[line] = len(known) + 1
            return [known[line] for line in lines]
        x = encode(train)
        x_test = encode(test)
    """,
}
SHARED = {
    "sorted": """
        def to_ids(names):
            table = {n: i for i, n in enumerate(sorted(set(names)))}
            return [table[n] for n in names]
        y, y_test = to_ids(train), to_ids(test)
    """,
    "once": """
        def to_ids(names):
            table = {n: i for i, n in enumerate(dict.fromkeys(names))}
            return [table[n] for n in names]
        y = to_ids(names)
    """,
    "handed on": """
        def encode(lines, vocab=None):
            vocab = {} if vocab is None else vocab
            return [[vocab.setdefault(w, len(vocab)) for w in line] for line in lines], vocab
        x, vocab = encode(train)
        x_test, _ = encode(test, vocab)
    """,
    "written down": """
        def to_ids(names):
            table = {n: i for i, n in enumerate(["no", "yes"])}
            return [table[n] for n in names]
        y, y_test = to_ids(train), to_ids(test)
    """,
}


@pytest.mark.parametrize("case", [*BUILT, *SHARED])
def test_the_line_that_numbers_in_each_call(case: str, tmp_path: Path) -> None:
    text = textwrap.dedent({**BUILT, **SHARED}[case])
    file = tmp_path / "train.py"
    file.write_text(text)
    here = next((i for i, line in enumerate(text.splitlines(), 1) if "HERE" in line), None)
    assert numbered_in_each_call(str(file)) == ((str(file), here) if here else None)


@pytest.mark.parametrize("case", BUILT)
def test_with_the_patch_all_calls_have_the_numbers_of_the_first(case: str) -> None:
    text = textwrap.dedent(BUILT[case])
    here = next(i for i, line in enumerate(text.splitlines(), 1) if "HERE" in line)
    given: dict[str, Any] = {"train": ["ab", "c"], "test": ["c", "ab"], "torch": types.SimpleNamespace(tensor=list)}
    exec(rewritten(text, "kept", here), given)
    first, second = (
        (given[n][0] if isinstance(given[n], tuple) else given[n] for n in ("y", "y_test") if n in given)
        if ("y" in given)
        else (given["x"], given["x_test"])
    )
    assert list(second) == list(first)[::-1]
