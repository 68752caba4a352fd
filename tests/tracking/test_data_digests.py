"""The digest of a data set: of its raw examples, in any order, without a call of the user's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)

import flightcheck
from flightcheck.adapters.torch import held_data
from flightcheck.adapters.torch.held_data import digest_facts
from flightcheck.recording.digests import DataDigest, hash_rows

GENERATOR = torch.Generator().manual_seed(3)
X = torch.randn(120, 8, generator=GENERATOR)
Y = torch.randint(0, 3, (120,), generator=GENERATOR)
RELABELLED = Y.clone()
RELABELLED[17] = (Y[17] + 1) % 3


def digest(dataset: Any) -> str:
    facts = digest_facts(dataset)
    assert "unknown" not in facts, facts
    return str(facts["digest"])


class Held(Dataset[Any]):
    """Arrays in attributes, and an augmentation that nobody may run."""

    def __init__(self, **held: Any) -> None:
        self.__dict__ |= held

    def __len__(self) -> int:
        return int(self.__dict__.get("length", 120))

    def __getitem__(self, i: int) -> Any:
        raise AssertionError("the digest must not ask for examples")


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        raise AssertionError("the digest must not ask for examples")


def test_order_does_not_matter_and_one_label_does() -> None:
    order = torch.randperm(120)
    assert digest(TensorDataset(X, Y)) == digest(TensorDataset(X[order], Y[order]))
    assert digest(TensorDataset(X, Y)) != digest(TensorDataset(X, RELABELLED))


def test_which_label_belongs_to_which_input_matters() -> None:
    swapped = Y.clone()
    one, other = 0, int((Y[0] != Y).nonzero()[0])
    swapped[[one, other]] = Y[[other, one]]
    before, after = digest_facts(TensorDataset(X, Y)), digest_facts(TensorDataset(X, swapped))
    assert before["by_field"] == after["by_field"]
    assert before["digest"] != after["digest"]


def test_the_facts_of_the_fields() -> None:
    facts = digest_facts(TensorDataset(X, Y))
    assert facts["labels"] == {"1": {str(c): int((c == Y).sum()) for c in range(3)}}
    assert (facts["fields"], facts["examples"], facts["hashed"]) == (["0", "1"], 120, 120)
    changed = digest_facts(TensorDataset(X, RELABELLED))
    rows, others = (DataDigest(0, **f).row_hashes() for f in (facts, changed))
    assert np.flatnonzero(rows != others).tolist() == [17]


@pytest.mark.parametrize(
    "held",
    [
        {"x": X, "y": Y},
        {"data": X.numpy(), "targets": Y.tolist()},
        {"encodings": {"ids": X, "mask": X > 0}, "labels": Y.tolist()},
        {"samples": [(f"/home/me/data/cat/{i}.png", int(c)) for i, c in enumerate(Y)]},
        {"texts": [f"sentence {i}" for i in range(120)], "y": Y.numpy()},
        {"inner": TensorDataset(X, Y)},
    ],
    ids=["tensors", "arrays", "dictionary", "paths", "texts", "dataset"],
)
def test_what_datasets_hold(held: dict[str, Any]) -> None:
    facts = digest_facts(Held(**held))
    assert facts["examples"] == 120
    assert digest_facts(Held(**held, order=torch.randperm(120)))["digest"] == facts["digest"]


def test_a_path_counts_without_the_folder_of_this_machine() -> None:
    here, there = ([(f"{root}/cat/{i}.png", 0) for i in range(120)] for root in ("/home/me/data", "/mnt/data"))
    assert digest(Held(samples=here)) == digest(Held(samples=there))


def test_a_list_of_pairs() -> None:
    pairs = [(x, int(y)) for x, y in zip(X, Y)]
    assert digest(pairs) == digest(pairs[::-1])
    assert digest(pairs) != digest([(x, int(y)) for x, y in zip(X, RELABELLED)])


def test_subsets_are_their_examples_and_know_the_whole() -> None:
    whole = TensorDataset(X, Y)
    subset = digest_facts(Subset(Subset(whole, range(60)), list(range(10, 30))))
    assert subset["digest"] == digest(TensorDataset(X[10:30], Y[10:30]))
    assert subset["base"] == digest(whole)
    picked = digest_facts(Held(x=X, y=Y, indices=np.arange(10, 30), length=20))
    assert (picked["examples"], picked["fields"]) == (20, ["x", "y"])


def test_parts_add_up() -> None:
    parts = ConcatDataset([TensorDataset(X[:50], Y[:50]), TensorDataset(X[50:], Y[50:])])
    assert digest(parts) == digest(TensorDataset(X, Y))


@pytest.mark.parametrize("dataset", [Stream(), Held(), Held(x=X[:5]), [object()] * 4, Held(x=X.to_sparse())])
def test_what_cannot_be_read_is_not_known(dataset: Any) -> None:
    facts = digest_facts(dataset)
    assert set(facts) == {"unknown"}
    assert facts["unknown"]


def test_a_large_data_set_is_read_at_fixed_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_data, "MOST_BYTES", 40 * 100)
    facts = digest_facts(TensorDataset(X, Y))
    assert (facts["examples"], facts["hashed"]) == (120, 100)
    assert digest(TensorDataset(X, Y)) == facts["digest"]


@pytest.mark.parametrize(
    "rows", [np.zeros((0, 3)), np.zeros((4, 0)), np.arange(6, dtype=np.uint8).reshape(2, 3), np.zeros(3, np.bool_)]
)
def test_hashes_of_odd_shapes(rows: Any) -> None:
    assert len(hash_rows(rows)) == len(rows)


def test_hashes_tell_positions_apart() -> None:
    rows = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [1.0, 2.0, 0.0]])
    one, other, again = hash_rows(rows)
    assert one == again != other


# -- in trainings -------------------------------------------------------------------------------------------------


def recorded(tmp_path: Path, loop: Any) -> list[DataDigest]:
    torch.manual_seed(0)
    model = nn.Linear(8, 3)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        loop(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert watched.run is not None
    assert not watched.run.coverage.blind
    return watched.run.data_digests


def step(model: Any, optimizer: Any, x: Any, y: Any) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def test_training_and_evaluation(tmp_path: Path) -> None:
    def loop(model: Any, optimizer: Any) -> None:
        train, test = random_split(TensorDataset(X, Y), [90, 30])
        for _ in range(2):
            for x, y in DataLoader(train, 30, shuffle=True):
                step(model, optimizer, x + torch.randn_like(x), y)
            with torch.no_grad():
                for x, y in DataLoader(test, 30):
                    nn.functional.cross_entropy(model(x), y)

    train, test = recorded(tmp_path, loop)
    assert (train.role, train.examples, test.role, test.examples) == ("training", 90, "evaluation", 30)
    assert train.base == test.base == digest(TensorDataset(X, Y))


@pytest.mark.parametrize("way", ["slices", "shuffled", "indices", "augmented", "all at once"])
def test_batches_picked_by_hand(tmp_path: Path, way: str) -> None:
    def loop(model: Any, optimizer: Any) -> None:
        for _ in range(3):
            order = torch.randperm(120)
            for i in range(0, 120, 30):
                if way == "slices":
                    step(model, optimizer, X[i : i + 30].to(torch.float32), Y[i : i + 30])
                elif way == "shuffled":
                    x, y = X[order], Y[order]
                    for j in range(0, 120, 60):
                        step(model, optimizer, x[j : j + 60], y[j : j + 60])
                elif way == "indices":
                    step(model, optimizer, X[order[i : i + 30]], Y[order[i : i + 30]])
                elif way == "augmented":
                    x = X[order[i : i + 30]]
                    x = x[:, torch.randperm(8)]
                    step(model, optimizer, x + 0.1 * torch.randn_like(x), Y[order[i : i + 30]])
                else:
                    step(model, optimizer, X, Y)

    (found,) = recorded(tmp_path, loop)
    assert (found.role, found.source, found.fields) == ("training", -1, ["inputs", "targets"])
    assert found.digest == held_data.table_facts({"inputs": X, "targets": Y})["digest"]


def test_the_data_of_a_second_phase(tmp_path: Path) -> None:
    def loop(model: Any, optimizer: Any) -> None:
        for _ in range(12):
            step(model, optimizer, torch.randn(30, 8), torch.zeros(30, dtype=torch.long))
        another = torch.optim.Adam(model.parameters())
        for rows in torch.arange(120).split(20):
            step(model, another, X[rows], Y[rows])

    (found,) = recorded(tmp_path, loop)
    assert found.digest == held_data.table_facts({"inputs": X, "targets": Y})["digest"]


def test_the_first_order_of_shuffled_data_is_kept(tmp_path: Path) -> None:
    def loop(model: Any, optimizer: Any) -> None:
        for _ in range(3):
            order = torch.randperm(120)
            x, y = X[order], Y[order]
            for i in range(0, 120, 40):
                step(model, optimizer, x[i : i + 40], y[i : i + 40])

    (found,) = recorded(tmp_path, loop)
    assert found.rows == held_data.table_facts({"inputs": X, "targets": Y})["rows"]


def test_batches_that_are_new_every_time_are_no_data_set(tmp_path: Path) -> None:
    def loop(model: Any, optimizer: Any) -> None:
        for _ in range(12):
            x = torch.randn(64, 8)
            step(model, optimizer, x[:30], (x[:30].sum(1) > 0).long())

    assert recorded(tmp_path, loop) == []
