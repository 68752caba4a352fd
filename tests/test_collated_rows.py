"""Collate functions that sort: does every part of a batch come in one order?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_sequence
from torch.utils.data import DataLoader

import flightcheck
from flightcheck.adapters.torch.collated_rows import held_against
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.collated_rows import CollatedRows
from flightcheck.testing import verdict_of
from tests.lab.made import patched

Examples = list[Any]
_DRAWN = torch.Generator().manual_seed(4)
TABLE = [(torch.randint(1, 30, (3 + i % 11,), generator=_DRAWN), i % 3) for i in range(60)]
BY_NAME = [{"ids": ids.tolist(), "label": float(label)} for ids, label in TABLE]
FRAMES = [(torch.rand(2 + i % 7, 4, generator=_DRAWN).numpy(), torch.tensor(i % 3)) for i in range(60)]


def padded(sequences: list[Tensor]) -> tuple[Tensor, Tensor]:
    return pad_sequence(sequences, batch_first=True), torch.tensor([len(s) for s in sequences])


def by_argsort(batch: Examples) -> Any:
    lengths = torch.tensor([len(ids) for ids, _ in batch])
    order = lengths.argsort(descending=True).tolist()
    return *padded([batch[i][0] for i in order]), torch.tensor([label for _, label in batch])


def by_sorted(batch: Examples) -> Any:
    ids = sorted((torch.tensor(e["ids"]) for e in batch), key=len, reverse=True)
    return {"x": padded(ids), "y": torch.tensor([e["label"] for e in batch]).long()}


def sorted_in_place(batch: Examples) -> Any:
    labels = torch.stack([label for _, label in batch])
    batch.sort(key=lambda e: -len(e[0]))
    return pack_sequence([torch.as_tensor(f) for f, _ in batch]), labels


def together(batch: Examples) -> Any:
    batch = sorted(batch, key=lambda e: len(e[0]), reverse=True)
    return *padded([ids for ids, _ in batch]), torch.tensor([label for _, label in batch])


def unsorted(batch: Examples) -> Any:
    return *padded([ids for ids, _ in batch]), torch.tensor([label for _, label in batch])


def order_given(batch: Examples) -> Any:
    order = sorted(range(len(batch)), key=lambda i: -len(batch[i][0]))
    x, lengths = padded([batch[i][0] for i in order])
    return x, lengths, torch.tensor([label for _, label in batch]), torch.tensor(order)


def longest_first(batch: Examples) -> Any:
    """Sorted numbers that are no rows: how far to fill up."""
    longest = sorted(len(ids) for ids, _ in batch)[-1]
    x = torch.zeros(len(batch), longest, dtype=torch.long)
    for row, (ids, _) in zip(x, batch, strict=True):
        row[: len(ids)] = ids
    return x, torch.tensor([len(ids) for ids, _ in batch]), torch.tensor([label for _, label in batch])


class Reader(nn.Module):
    def __init__(self, words: int = 30) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 8)
        self.rnn, self.head = nn.GRU(8, 12, batch_first=True), nn.Linear(12, 3)
        self.frames = nn.GRU(4, 12, batch_first=True)

    def forward(self, x: Any, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            return self.head(self.frames(x)[1][-1])
        packed = pack_padded_sequence(self.embedding(x), lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][-1])


def train(table: Examples, collate: Callable[[Examples], Any]) -> list[Tensor]:
    torch.manual_seed(0)
    model, labels = Reader(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        for batch in DataLoader(table, batch_size=12, shuffle=True, collate_fn=collate):  # type: ignore[arg-type]
            if isinstance(batch, dict):
                scores, y = model(*batch["x"]), batch["y"]
            elif len(batch) == 2:
                scores, y = model(batch[0]), batch[1]
            elif len(batch) == 4:
                scores, y = model(*batch[:2]), batch[2][batch[3]]
            else:
                scores, y = model(*batch[:2]), batch[2]
            labels.append(y)
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores, y).backward()
            optimizer.step()
    return labels


APART = [(TABLE, by_argsort), (BY_NAME, by_sorted), (FRAMES, sorted_in_place)]


def run_of_training(table: Examples, collate: Callable[[Examples], Any], folder: Path) -> flightcheck.Run:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(table, collate)
    assert watched.run is not None and not watched.run.coverage.blind
    return watched.run


@pytest.mark.parametrize(("table", "collate"), APART)
def test_labels_that_are_left_behind(table: Examples, collate: Callable[[Examples], Any], tmp_path: Path) -> None:
    run = run_of_training(table, collate, tmp_path)
    (found,) = run.recorded(CollatedRows)
    assert found.apart == found.calls >= 3 and found.rows == 12
    (finding,) = verdict_of("D07", run).findings
    assert finding.location is not None and "sort" in finding.location.code
    assert collate.__name__ in finding.message
    assert "sort the examples" in diff_of([Patch.parse(finding.patch)], finding, run)


@pytest.mark.parametrize("collate", [together, unsorted, order_given, longest_first])
def test_batches_in_one_order(collate: Callable[[Examples], Any], tmp_path: Path) -> None:
    run = run_of_training(TABLE, collate, tmp_path)
    assert all(found.apart == 0 for found in run.recorded(CollatedRows))


@pytest.mark.parametrize(("table", "collate"), APART)
def test_labels_follow_in_a_trial(table: Examples, collate: Callable[[Examples], Any], tmp_path: Path) -> None:
    labels: list[Tensor] = []
    before = train(table, collate)
    done = patched(tmp_path, "shuffle:collated", lambda: labels.extend(train(table, collate)))
    assert done.applied["shuffle:collated"] == 10 and not done.errors
    assert len(before) == len(labels) == 10
    for one, other in zip(before, labels, strict=True):
        assert one.sort().values.equal(other.sort().values)
    assert not all(one.equal(other) for one, other in zip(before, labels, strict=True))


def test_rows_are_found_again() -> None:
    batch = TABLE[5:15]
    made = held_against(batch, by_argsort(batch))
    assert made is not None and not made.tells
    assert [len(batch[i][0]) for i in made.order] == sorted((len(ids) for ids, _ in batch), reverse=True)
    assert held_against(sorted(batch, key=lambda e: len(e[0])), by_argsort(batch)) is None  # they come so already
    assert held_against([["a", 1], ["bc", 2], ["d", 3]], torch.ones(3)) is None
    told = held_against(batch, order_given(batch))
    assert told is not None and told.tells
