"""D04: categories that are numbered by the evaluation's own rows, and where the source does so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.base import Verdict
from flightcheck.recording.batches import CategoryCounts
from flightcheck.recording.provenance.standardizing import only_scaling
from flightcheck.recording.provenance.vocabularies import second_making
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, batches

LINE = Location("train.py", 43, "", "ids = encode(test, words_of(test))")
SHARES = np.random.default_rng(4).dirichlet(np.full(50, 0.7))


def drawn(rows: int, seed: int, shares: Any = SHARES) -> Any:
    return np.random.default_rng(seed).multinomial(rows, shares)


def judged(train: Any, held_out: Any, known: str = "") -> Verdict:
    records = [
        CategoryCounts(0, "0", 0, True, 0, [int(c) for c in train]),
        CategoryCounts(0, "0", 0, False, 9, [int(c) for c in held_out], LINE, known),
    ]
    return verdict_of("D04", run_of(LINEAR, *batches(4), *batches(1, step=9, training=False), *records))


@pytest.mark.parametrize("seed", range(4))
def test_numbers_of_their_own_fail(seed: int) -> None:
    there = drawn(300, seed)
    (finding,) = judged(drawn(4000, 9), there[there > 0], "words").findings
    assert finding.location == LINE and finding.severity == "warn"
    assert finding.patch == "source:known:train.py:43" and "words" in finding.fix
    assert judged(drawn(4000, 9), there[there > 0]).findings[0].patch == ""


def test_a_category_that_the_training_lacks_moves_the_numbers_behind_it() -> None:
    there = np.insert(drawn(300, 1), 20, 1)
    (finding,) = judged(drawn(4000, 9), there[there > 0]).findings
    assert finding.evidence["moved"] > 10


@pytest.mark.parametrize("seed", range(4))
def test_the_numbers_of_the_training_pass(seed: int) -> None:
    assert judged(drawn(4000, 9), drawn(300, seed)).status != "fail", "with gaps"
    flat = np.full(50, 0.02)
    assert judged(drawn(4000, 9, flat), drawn(3000, seed, flat)[:30]).status != "fail", "a part, chosen by number"
    assert judged(drawn(4000, 9), drawn(3000, seed)[:30]).status != "fail", "the same where some are frequent"
    falling = np.sort(SHARES)[::-1]
    assert judged(drawn(4000, 9, falling), drawn(300, seed, falling)).status != "fail", "the rarest come last"
    other = drawn(3000, seed, np.random.default_rng(seed).permutation(SHARES))[:30]
    assert judged(drawn(4000, 9), other).status != "fail", "another world, which no order of the same explains"
    assert judged(drawn(4000, 9), drawn(20000, seed, flat)).status != "fail", "nothing is missing"


SCRIPT = """\
def words_of(rows):
    return {w: i for i, w in enumerate(sorted(set(rows)))}
def tensors(rows, words):
    return torch.tensor([words[r] for r in rows])
words = words_of(train)
ids = tensors(train, words)
loss = net(ids).sum()
ids = tensors(test, words_of(test))
out = net(ids)
test_words = words_of(test)
ids = tensors(test, test_words)
out = net(ids)
ids = tensors(test, words)
out = net(ids)
"""


def test_where_the_vocabulary_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(SCRIPT)
    assert second_making(str(file), 9) == (8, "words")
    assert second_making(str(file), 12) == (10, "words")
    assert second_making(str(file), 7) is None and second_making(str(file), 14) is None
    assert second_making(str(tmp_path / "none.py"), 1) is None


@pytest.mark.parametrize(
    ("lines", "at"),
    [
        (["a = scaler.fit_transform(a)", "b = b + 1"], 1),
        (["x = 1", "train = ((train[0] - mean) / std, train[1])"], 2),
        (["def norm(x):", "    return (x - m) / s", "a = norm(a)"], 3),
        (["a = scaler.fit_transform(a)", "b = scaler.transform(b)"], 0),
        (["a = b"], 0),
    ],
)
def test_the_only_line_that_scales(lines: list[str], at: int, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("\n".join(lines) + "\n")
    assert only_scaling(str(file)) == ((str(file), at) if at else None)


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.places, self.out = nn.Embedding(50, 4), nn.Linear(4, 1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.places(ids[:, 0]))


@pytest.mark.parametrize("anew", [True, False])
def test_a_training_is_watched(tmp_path: Path, anew: bool) -> None:
    rng = np.random.default_rng(0)
    train, held_out = rng.choice(50, 2000, p=SHARES), rng.choice(50, 300, p=SHARES)
    if anew:
        held_out = np.unique(held_out, return_inverse=True)[1]
    x, x_test = (torch.as_tensor(ids)[:, None] for ids in (train, held_out))
    y = torch.randn(50)[x[:, 0]][:, None]
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        model = Table()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for rows in torch.randperm(2000).split(100):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            for rows in torch.arange(300).split(50):
                model(x_test[rows])
    assert watched.run is not None and watched.run.coverage.blind == []
    assert (verdict_of("D04", watched.run).status == "fail") == anew
