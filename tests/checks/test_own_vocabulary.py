"""D04 train-val-preprocessing-differs, where an evaluation has a vocabulary of its own."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from flightcheck.adapters.torch.id_ranks import Ranks, by_rank, first_rank
from flightcheck.checks.base import Verdict
from flightcheck.checks.data._own_vocabulary import own_vocabularies
from flightcheck.recording.batches import IdRanks
from flightcheck.recording.digests import DataDigest
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, batches

RNG = np.random.default_rng(0)
RATES = 1 / (np.arange(60) + 8)


def texts(n: int, words: int = 60) -> list[list[int]]:
    """Words of a language, of which some are more frequent."""
    rates = RATES[:words] / RATES[:words].sum()
    return [RNG.choice(words, size=12, p=rates).tolist() for _ in range(n)]


def vocabulary(of: list[list[int]]) -> dict[int, int]:
    counts = Counter(w for text in of for w in text)
    return {w: i for i, (w, _) in enumerate(counts.most_common(), start=2)}


def ids(of: list[list[int]], words: dict[int, int]) -> Any:
    """With three places of padding."""
    return torch.tensor([[words.get(w, 1) for w in text] + [0] * 3 for text in of])


def recorded(train: Any, evaluated: Any) -> list[IdRanks]:
    """What the adapter records of a shuffled pass in batches of 32, and of one evaluation in batches of 64."""
    kept: list[IdRanks] = []
    watch: Any = SimpleNamespace(step=0, writer=SimpleNamespace(put=lambda record, index: kept.append(record)))
    ranks = Ranks(watch)
    for part in train[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))].split(32):
        ranks.fed(0, part, True, None, -1)
        watch.step += 1
    for part in evaluated.split(64):
        ranks.fed(0, part, False, None, -1)
    ranks.save()
    return kept


def run(train: Any, evaluated: Any) -> Verdict:
    inputs = batches(8, dtype="int64", first_module="embedding")
    held_out = batches(1, training=False, dtype="int64", first_module="embedding", digest="e")
    return verdict_of("D04", run_of(LINEAR, *inputs, *held_out, *recorded(train, evaluated)))


TRAIN, TEST = texts(640), texts(256)
WORDS = vocabulary(TRAIN)


def test_a_vocabulary_that_is_built_again() -> None:
    (finding,) = run(ids(TRAIN, WORDS), ids(TEST, vocabulary(TEST))).findings
    assert finding.severity == "warn"
    assert "vocabulary of its own" in finding.message


ROWS = torch.arange(40).repeat(640, 1)
LENGTHS = torch.tensor(RNG.integers(20, 40, 640))[:, None]


@pytest.mark.parametrize(
    ("train", "evaluated"),
    [
        (ids(TRAIN, WORDS), ids(TEST, WORDS)),
        (ids(TRAIN, WORDS), ids(TRAIN, WORDS)),
        (ids(TRAIN, WORDS), ids(TRAIN + TRAIN, WORDS)),
        (ids(TRAIN, vocabulary(TRAIN + TEST)), ids(TEST, vocabulary(TRAIN + TEST))),
        (ids(TRAIN, vocabulary(TRAIN + TEST)), ids(TRAIN + TEST, vocabulary(TRAIN + TEST))),
        (ids(TRAIN, WORDS), ids(TEST, {w: w + 2 for w in WORDS})),
        (torch.where(ROWS < LENGTHS, ROWS, 39), torch.where(ROWS < LENGTHS - 2, ROWS, 39)[:200]),
        (torch.tensor(RNG.geometric(0.4, (640, 8))), torch.tensor(RNG.geometric(0.4, (200, 8)))),
        (torch.tensor(texts(640, 8)), torch.tensor(texts(200, 8))),
    ],
    ids=["one", "training texts", "twice", "of both", "all texts", "by the alphabet", "positions", "counts", "few"],
)  # fmt: skip
def test_silent(train: Any, evaluated: Any) -> None:
    assert run(train, evaluated).status != "fail"


def test_ranks() -> None:
    counts = np.sort(RNG.poisson(80, 40))[::-1]
    assert first_rank(counts) == 0
    assert first_rank(np.concatenate([[9, 0, 500], counts])) in (2, 3)
    assert first_rank(counts[::-1]) is None
    assert first_rank(np.full(40, 80)) is None, "equal counts are no ranks"
    assert first_rank(2 ** np.arange(20)[::-1]) is None, "such counts are in order in every sample"
    assert first_rank(counts[:12]) is None


def test_a_dataset_that_holds_its_texts_tells_their_ranks_as_a_whole() -> None:
    held = DataDigest(0, "training", by_rank={"ids": by_rank(ids(TRAIN, WORDS).tolist()) or ""})
    ranked = [r for r in recorded(ids(TRAIN, WORDS), ids(TEST, vocabulary(TEST))) if not r.training]
    (found,) = own_vocabularies(run_of(held, *ranked))
    assert not found.training
    assert not own_vocabularies(run_of(*ranked)), "nothing is known of the training"
    again = [r for r in recorded(ids(TEST, WORDS), ids(TRAIN, WORDS)) if not r.training]
    assert again
    assert not own_vocabularies(run_of(held, *again)), "the training texts are evaluated"


def test_ranks_of_rows() -> None:
    assert by_rank(ids(TRAIN, WORDS).tolist()) == by_rank(ids(TRAIN, WORDS).numpy())
    assert by_rank(ids(TEST, WORDS).numpy()) is None
    assert by_rank(torch.rand(9, 9).numpy()) is None
