"""Inputs that repeat as a whole beside labels that repeat one by one: what is recorded, what is told, what is tried."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

from flightcheck.adapters.torch.held_data import digest_facts, table_facts
from flightcheck.adapters.torch.repeated_rows import turned_order
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.provenance.repeated_data import repeating_line
from flightcheck.recording.records import LoaderInfo, Location
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import equal, patched

GROUPS, COPIES = 12, 5
GENERATOR = torch.Generator().manual_seed(3)
BASE = torch.randn(GROUPS, 6, generator=GENERATOR)
NOISE = 0.1 * torch.randn(GROUPS * COPIES, 6, generator=GENERATOR)
LABELS = torch.randperm(GROUPS, generator=GENERATOR)
WHOLE, EACH = BASE.repeat(COPIES, 1) + NOISE, BASE.repeat_interleave(COPIES, 0) + NOISE
TOKENS = (torch.rand(GROUPS, 8, generator=GENERATOR) * 30).long()


class Held(Dataset[Any]):
    """Keeps arrays."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x.numpy(), y.numpy()

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> Any:
        return self.x[i], self.y[i]


def typed() -> torch.Tensor:
    """Rows of ids with a slip in each."""
    rows = TOKENS.repeat(COPIES, 1)
    rows[torch.arange(len(rows)), torch.arange(len(rows)) % 8] = 31
    return rows


@pytest.mark.parametrize(
    ("x", "y", "tiled"),
    [
        (WHOLE, LABELS.repeat_interleave(COPIES), False),
        (EACH, LABELS.repeat(COPIES), True),
        (typed(), TOKENS.repeat_interleave(COPIES, 0), False),
    ],
    ids=["labels one by one", "labels as a whole", "tokens"],
)
def test_fields_that_repeat_in_two_ways(x: torch.Tensor, y: torch.Tensor, tiled: bool) -> None:
    wanted = {"exact": "1", "tiled": tiled, "groups": GROUPS, "copies": COPIES, "near": "0"}
    for facts in (
        digest_facts(TensorDataset(x, y)),
        digest_facts(random_split(TensorDataset(x, y), [40, 20])[0]),
        table_facts({"0": x, "1": y}),
    ):
        assert wanted.items() <= facts["turned"].items()
        assert facts["turned"]["ratio"] < 0.8
    assert digest_facts(Held(x, y))["turned"]["exact"] == "y"


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (WHOLE, LABELS.repeat(COPIES)),
        (EACH, LABELS.repeat_interleave(COPIES)),
        (typed(), TOKENS.repeat(COPIES, 1)),
        (torch.randn(60, 6, generator=GENERATOR), torch.arange(3).repeat_interleave(20)),
        (torch.randn(60, 6, generator=GENERATOR), torch.arange(60)),
        (torch.arange(60.0)[:, None].sin(), torch.arange(60.0)[:, None].cos()),
        (WHOLE[:20], LABELS.repeat_interleave(COPIES)[:20]),
        (torch.zeros(60, 4), LABELS.repeat_interleave(COPIES)),
    ],
    ids=["as a whole", "one by one", "tokens", "classes", "all different", "a series", "too few", "constant"],
)
def test_data_that_belong_together(x: torch.Tensor, y: torch.Tensor) -> None:
    assert digest_facts(TensorDataset(x, y))["turned"] == {}


def test_the_other_order() -> None:
    each, whole = np.arange(GROUPS).repeat(COPIES), np.tile(np.arange(GROUPS), COPIES)
    assert (each[turned_order(False, GROUPS, COPIES)] == whole).all()
    assert (whole[turned_order(True, GROUPS, COPIES)] == each).all()


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_trial_puts_the_labels_in_the_order_of_the_inputs(tmp_path: Path, by_hand: bool) -> None:
    def weights(patch: str, y: torch.Tensor) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model, x, y = nn.Linear(6, GROUPS), WHOLE.clone(), y.clone()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def run() -> None:
            rows = [torch.arange(k, k + 30) % len(x) for k in range(0, 600, 30)]
            for xb, yb in ((x[r], y[r]) for r in rows) if by_hand else loaded():
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(xb), yb).backward()
                optimizer.step()

        def loaded() -> Any:
            for _ in range(4):
                yield from DataLoader(TensorDataset(x, y), batch_size=30)

        patched(tmp_path, patch, run)
        assert y.equal(LABELS.repeat(COPIES)) == right, "what a data set holds is replaced, and not written into"
        return [p.detach().clone() for p in model.parameters()]

    right = False
    found, kept = (weights(p, LABELS.repeat_interleave(COPIES)) for p in ("shuffle:repeated", "lr:x1"))
    right = True
    wanted = weights("lr:x1", LABELS.repeat(COPIES))
    assert not equal(found, kept)
    if not by_hand:  # there the first steps had the old labels
        assert equal(found, wanted)


@pytest.mark.parametrize("by_hand", [False, True])
def test_files_and_arrays_behind_tensors_stay_as_they_are(tmp_path: Path, by_hand: bool) -> None:
    held = LABELS.repeat_interleave(COPIES)
    (tmp_path / "y.raw").write_bytes(held.numpy().tobytes())
    mapped = torch.from_file(str(tmp_path / "y.raw"), shared=True, size=len(held), dtype=torch.int64)
    arrays = [mapped, torch.from_numpy(held.numpy().copy()), held.clone().share_memory_()]
    for y in arrays:
        model = nn.Linear(6, GROUPS)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def run(y: torch.Tensor = y, model: nn.Module = model, optimizer: Any = optimizer) -> None:
            rows = [torch.arange(k, k + 30) % len(y) for k in range(0, 600, 30)]
            for xb, yb in (
                ((WHOLE[r], y[r]) for r in rows) if by_hand else DataLoader(TensorDataset(WHOLE, y), batch_size=30)
            ):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(xb), yb).backward()
                optimizer.step()

        done = patched(tmp_path / "runs", "shuffle:repeated", run)
        assert done.applied and y.equal(held)
    assert (tmp_path / "y.raw").read_bytes() == held.numpy().tobytes()


def test_a_data_set_of_ones_own_is_given_another_array(tmp_path: Path) -> None:
    data, labels = Held(WHOLE, LABELS.repeat_interleave(COPIES)), LABELS.repeat_interleave(COPIES)
    model, before = nn.Linear(6, GROUPS), data.y

    def run() -> None:
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for xb, yb in DataLoader(data, batch_size=30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()

    assert patched(tmp_path, "shuffle:repeated", run).applied
    assert (before == labels.numpy()).all()
    assert (data.y == LABELS.repeat(COPIES).numpy()).all()


def verdict(*experiments: Experiment, **of_data: Any) -> Any:
    turned = {"exact": "1", "tiled": False, "groups": 12, "copies": 5, "near": "0", "ratio": 0.4}
    data = replace(DataDigest(0, "training", source=0, examples=60, turned=turned), **of_data)
    loader = LoaderInfo(index=0, location=Location(__file__, 1, "", ""))
    dataset = DatasetInfo(source=0, loader=0, type="TensorDataset", examples=60, sampler="RandomSampler", trained=True)
    return verdict_of("D07", run_of(data, loader, dataset, *experiments))


def test_a_trial_decides() -> None:
    tried = Experiment("D07", "shuffle:repeated", status="confirmed")
    (finding,) = verdict(tried).findings
    assert "each of 12 rows again before the next (5 times)" in finding.message
    assert "where it has each 12 rows again as a whole: their distance is 40%" in finding.message
    assert (finding.patch, finding.location.line) == ("shuffle:repeated", 1)
    for others in ([], [replace(tried, status="refuted")], [replace(tried, patch="shuffle:together")]):
        assert verdict(*others).status != "fail"
    assert verdict(tried, role="evaluation").status != "fail"
    assert verdict(tried, turned={}).status != "fail"


@pytest.mark.parametrize(
    "line",
    [
        "y = labels.repeat_interleave(5)",
        "y = labels.repeat(5)",
        "y = np.tile(labels, 5)",
        "y = [w for w in words for _ in range(5)]",
        "y = [w for _ in range(5) for w in words]",
    ],
)
def test_lines_that_repeat(tmp_path: Path, line: str) -> None:
    file = tmp_path / "train.py"
    file.write_text(f"x = load()\n{line}\nrows = [(i, j) for i in range(3) for j in range(4)]\nfit(x, y)\n")
    assert (repeating_line(str(file), 4), repeating_line(str(file), 1)) == (2, 0)
