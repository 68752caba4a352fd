"""S04 dress-rehearsal-fails: one example left over for the last batch, and all the ways in which that does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset

from flightcheck.adapters.torch.datasets import last_batch
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.provenance import asks_for_one_example, goes_to_the_end
from flightcheck.recording.records import LoaderInfo, Location, ModuleInfo, Plan
from flightcheck.recording.states import BatchStatistics
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import BATCH

LINE = Location("train.py", 8, "", "loader = DataLoader(train_set, batch_size=64, shuffle=True)")
ERROR = "ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 8])"
NORM = ModuleInfo(0, "model.norm", "BatchNorm1d", "batchnorm", 0)
SEEN = BatchStatistics(0, values=64, calls=40, fewest=64, most=64)
DATASET = DatasetInfo(0, 0, trained=True, batch_size=64, pass_length=500, last_batch=1)
LOADER = LoaderInfo(0, LINE, 500, 64, used_in_training=True, whole_passes=True)
FED = replace(BATCH, source=0)


def test_one_example_left_over_fails() -> None:
    (finding,) = verdict_of("S04", run_of(NORM, SEEN, DATASET, LOADER, FED, steps=300)).findings
    assert (finding.location, finding.module) == (LINE, "model.norm")
    assert "batch 500" in finding.message
    assert "31937 examples in batches of 64 leave one" in finding.message


@pytest.mark.parametrize(
    "other",
    [
        replace(SEEN, fewest=1, most=64),  # a size of its own in each call
        replace(SEEN, fewest=64 * 49, most=64 * 49),  # positions
        replace(SEEN, calls=1),
    ],
)
def test_norms_over_other_values_pass(other: BatchStatistics) -> None:
    assert verdict_of("S04", run_of(NORM, other, DATASET, LOADER, FED)).status == "pass"


def test_other_norms_and_batches_that_come_from_elsewhere_pass() -> None:
    for kind in ("LayerNorm", "SyncBatchNorm"):
        run = run_of(replace(NORM, type=kind), SEEN, DATASET, LOADER, FED)
        assert verdict_of("S04", run).status == "pass"
    for fed in (replace(FED, source=-1), replace(FED, shape=[128, 20]), replace(FED, training=False)):
        assert verdict_of("S04", run_of(NORM, SEEN, DATASET, LOADER, fed)).status == "pass"
    assert verdict_of("S04", run_of(NORM, SEEN, DATASET, LOADER, FED, replace(FED, source=-1))).status == "pass"


def test_a_pass_that_was_survived_passes() -> None:
    assert verdict_of("S04", run_of(NORM, SEEN, replace(DATASET, passes=1), LOADER, FED)).status == "pass"


def test_passes_that_may_end_early_are_inconclusive() -> None:
    for others in ([replace(LOADER, whole_passes=False)], [LOADER, Plan(rounds=400)], [LOADER, Plan(regimes=["gan"])]):
        assert verdict_of("S04", run_of(NORM, SEEN, DATASET, FED, *others)).status == "inconclusive"


def test_last_batches_of_two_or_of_unknown_size_are_skipped() -> None:
    for size in (2, 64, None):
        run = run_of(NORM, SEEN, replace(DATASET, last_batch=size), LOADER, FED)
        assert verdict_of("S04", run).status == "skipped"


def test_the_error_itself_fails() -> None:
    place = Location("train.py", 30)
    crash: dict[str, Any] = {"ended": "exception", "error": ERROR, "error_location": place, "steps": 499}
    (finding,) = verdict_of("S04", run_of(NORM, SEEN, replace(DATASET, passes=1), LOADER, FED, **crash)).findings
    assert (finding.location, finding.onset_step) == (LINE, 499)
    (finding,) = verdict_of("S04", run_of(NORM, SEEN, **crash)).findings
    assert finding.location == place
    other = run_of(NORM, SEEN, DATASET, LOADER, FED, **{**crash, "error": "KeyError: 'x'"})
    assert verdict_of("S04", other).status == "inconclusive"


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(9))

    def __len__(self) -> int:
        return 9


class Own(SubsetRandomSampler):
    pass


def test_the_last_batch_of_a_loader() -> None:
    nine = TensorDataset(torch.zeros(9))
    assert last_batch(DataLoader(nine, 4)) == last_batch(DataLoader(nine, 4, shuffle=True)) == 1
    assert last_batch(DataLoader(nine, 4, sampler=SubsetRandomSampler(range(8)))) == 4
    assert last_batch(DataLoader(nine, 4, sampler=Own(range(9)))) is None
    assert last_batch(DataLoader(nine, 4, drop_last=True)) is None
    assert last_batch(DataLoader(nine, batch_sampler=[[0], [1]])) is None
    assert last_batch(DataLoader(nine, batch_size=None)) is None
    assert last_batch(DataLoader(Stream(), 4)) is None


LOOPS = {
    "for x, y in loader:\n    step(x, y)\n": True,
    "for i, (x, y) in enumerate(tqdm(self.loader)):\n    if not torch.isfinite(loss):\n        break\n": True,
    "for x in loader:\n    if i > 100:\n        break\n": False,
    "for x in loader:\n    if i < 3:\n        continue\n    step(x)\n": False,
    "for x in loader:\n    try:\n        step(x)\n    except ValueError:\n        pass\n": False,
    "for x in islice(loader, 100):\n    step(x)\n": False,
    "for x in loader:\n    def f():\n        return x\n": True,
    "x = next(iter(loader))\n": False,
}


@pytest.mark.parametrize("text", LOOPS)
def test_loops_that_go_to_the_end(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(text)
    assert goes_to_the_end(str(tmp_path / "train.py"), 1) is LOOPS[text]


GUARDS = {
    "if len(x) < 2:\n    pass\n": True,
    "n = x.size(0)\nif n == 1:\n    pass\n": True,
    "b, c = x.shape\nassert b > 1\n": True,
    "if len(sys.argv) > 1:\n    pass\n": False,
    "if epoch == 1 or len(x) > 10:\n    pass\n": False,
}


@pytest.mark.parametrize("text", GUARDS)
def test_code_that_asks_for_batches_of_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(text)
    assert asks_for_one_example(str(tmp_path / "train.py")) is GUARDS[text]


def test_the_error_is_that_of_pytorch() -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        nn.BatchNorm1d(3)(torch.zeros(1, 3))
