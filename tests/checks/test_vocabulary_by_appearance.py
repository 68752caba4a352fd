"""D04, where the words of an evaluation are numbered anew in the order in which they appear in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import flightcheck
from flightcheck.adapters.torch.appearances import by_appearance
from flightcheck.checks.base import Finding
from flightcheck.recording.batches import begin_alike
from flightcheck.testing import verdict_of

RNG = np.random.default_rng(3)
Texts = list[list[int]]


def texts(n: int) -> Texts:
    return RNG.integers(0, 50, (n, 9)).tolist()


def vocabulary(of: Texts, special: int = 2) -> dict[int, int]:
    words: dict[int, int] = {}
    for text in of:
        for word in text:
            words.setdefault(word, len(words) + special)
    return words


def ids(of: Texts, words: dict[int, int], padding: int = 3) -> torch.Tensor:
    return torch.tensor([[words.get(w, 1) for w in text] + [0] * padding for text in of])


TRAIN, TEST = texts(160), texts(64)
WORDS = vocabulary(TRAIN)


def found(train: torch.Tensor, evaluated: torch.Tensor, folder: Path, loader: bool = True) -> list[Finding]:
    """Train on shuffled rows, evaluate in order after each pass."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(60, 8), nn.Flatten(), nn.Linear(8 * train.shape[1], 2))
    labels = train.sum(1) % 2
    optimizer = torch.optim.Adam(model.parameters())
    batches: Any = DataLoader(TensorDataset(train, labels), batch_size=16, shuffle=True)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for _ in range(2):
            rows = torch.randperm(len(train)).split(16)
            for x, y in batches if loader else ((train[r], labels[r]) for r in rows):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
            with torch.no_grad():
                model.eval()
                model(evaluated).argmax(1)
                model.train()
    assert watched.run is not None
    assert not watched.run.coverage.blind
    return [f for f in verdict_of("D04", watched.run).findings if "vocabulary of its own" in f.message]


@pytest.mark.parametrize("loader", [True, False])
def test_a_vocabulary_that_is_built_again(loader: bool, tmp_path: Path) -> None:
    (finding,) = found(ids(TRAIN, WORDS), ids(TEST, vocabulary(TEST)), tmp_path, loader)
    assert finding.severity == "warn"
    assert finding.evidence["first"] == 2


def test_texts_of_different_words_begin_with_the_same_numbers_in_every_vocabulary(tmp_path: Path) -> None:
    train, test = ([RNG.permutation(50)[:9].tolist() for _ in range(n)] for n in (160, 64))
    one, other = ids(train, vocabulary(train)), ids(test, vocabulary(test))
    assert torch.equal(one[0], other[0])
    assert len(found(one, other, tmp_path)) == 1
    assert not found(one, one[:12], tmp_path / "few of the training")


def test_sets_that_begin_alike() -> None:
    assert begin_alike("a b c", "a b") and begin_alike("a b", "a b c")
    assert begin_alike("a b c", "a x y"), "a row is left out later"
    assert not begin_alike("a b", "c d") and not begin_alike("- b c", "- x y")
    assert begin_alike("- -", "- -"), "nothing tells"


def ranked(of: Texts) -> dict[int, int]:
    counts = Counter(w for text in of for w in text)
    return {w: i for i, (w, _) in enumerate(counts.most_common(), start=2)}


def test_a_vocabulary_that_is_sorted_by_counts_and_built_again(tmp_path: Path) -> None:
    """Only a part of each pass is recorded: the loader's data tell that the training's ids are ranks."""
    rates = 1 / (np.arange(50) + 8)
    train, test = (RNG.choice(50, (n, 9), p=rates / rates.sum()).tolist() for n in (1600, 400))
    (finding,) = found(ids(train, ranked(train)), ids(test, ranked(test)), tmp_path)
    assert "are ranks" in finding.message
    assert not found(ids(train, ranked(train)), ids(test, ranked(train)), tmp_path / "one")


BOTH, TEST_FIRST = vocabulary(TRAIN + TEST), vocabulary(TEST + TRAIN)


@pytest.mark.parametrize(
    ("train", "evaluated"),
    [
        (ids(TRAIN, WORDS), ids(TEST, WORDS)),
        (ids(TRAIN, WORDS), ids(TRAIN[:64], WORDS)),
        (ids(TRAIN, BOTH), ids(TEST, BOTH)),
        (ids(TRAIN, TEST_FIRST), ids(TEST, TEST_FIRST)),
        (ids(TRAIN, WORDS), ids(TEST, {w: w for w in range(50)})),
    ],
    ids=["one", "training texts", "of both", "of both, test first", "by the alphabet"],
)
def test_one_vocabulary_is_silent(train: torch.Tensor, evaluated: torch.Tensor, tmp_path: Path) -> None:
    assert not found(train, evaluated, tmp_path)


def test_numbers_of_appearance() -> None:
    one = by_appearance(ids(TRAIN, WORDS).numpy())
    assert one is not None
    assert (one.first, one.distinct) == (2, 50)
    longer = by_appearance(ids(TRAIN, WORDS, padding=7).numpy())
    assert longer is not None
    assert longer.row == one.row, "the first row without its padding"
    unpadded = by_appearance([tuple(WORDS[w] for w in text) for text in TRAIN])
    assert unpadded is not None
    assert unpadded.row == one.row
    assert by_appearance(ids(TEST, WORDS).numpy()) is None
    assert by_appearance(torch.arange(40).repeat(64, 1).numpy()) is None, "positions"
    assert by_appearance(torch.arange(400).reshape(-1, 2).numpy()) is None, "pairs"
    assert by_appearance(torch.rand(64, 9).numpy()) is None
    assert by_appearance(["a text", "and another"]) is None
