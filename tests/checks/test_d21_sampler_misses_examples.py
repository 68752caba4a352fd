"""D21 sampler-misses-examples: weights per class, masks as indices, and what may be meant so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

import flightcheck
from flightcheck.recording.records import LoaderInfo, Location
from flightcheck.recording.row_slices import RowSlices
from flightcheck.recording.samplers import SamplerInfo
from flightcheck.testing import run_of, verdict_of
from tests.checks._datasets import train_set, val_set

LINE = Location("train.py", 18)
LOADER = LoaderInfo(0, Location("train.py", 19))
FEW = SamplerInfo(0, "WeightedRandomSampler", examples=900, weights=10, draws=900, location=LINE)
TRAIN = train_set(examples=900, sampler="WeightedRandomSampler")


def test_a_weight_per_class_fails() -> None:
    (finding,) = verdict_of("D21", run_of(FEW, TRAIN, LOADER)).findings
    assert finding.location == LINE
    assert finding.severity is None
    assert finding.patch == "sampler:examples"
    assert "only the first 10" in finding.message


def test_a_sampler_whose_line_was_not_seen_is_named_by_its_loader() -> None:
    (finding,) = verdict_of("D21", run_of(replace(FEW, location=None), TRAIN, LOADER)).findings
    assert finding.location == LOADER.location


def test_truth_values_as_indices_fail() -> None:
    masked = replace(FEW, type="RandomSampler", weights=None, masked=True)
    (finding,) = verdict_of("D21", run_of(masked, TRAIN, LOADER)).findings
    assert "nonzero" in finding.fix
    assert finding.patch == ""


def test_a_split_of_one_dataset_is_information() -> None:
    part = val_set(shared=0, sampler="SubsetRandomSampler")
    for records in ((FEW, part), (replace(FEW, weights=700),)):
        (finding,) = verdict_of("D21", run_of(*records, TRAIN, LOADER)).findings
        assert finding.severity == "info"


def test_looking_at_the_whole_training_set_is_no_split() -> None:
    again = val_set(shared=0, sampler="SequentialSampler")
    (finding,) = verdict_of("D21", run_of(FEW, again, TRAIN, LOADER)).findings
    assert finding.severity is None


def test_short_passes_are_information() -> None:
    short = replace(FEW, type="RandomSampler", weights=None, draws=32)
    (finding,) = verdict_of("D21", run_of(short, TRAIN, LOADER)).findings
    assert finding.severity == "info"


def test_a_pass_of_one_draw_per_class_is_a_warning() -> None:
    short = replace(FEW, weights=900, draws=3, class_counts=[600, 200, 100], class_weights=[1.0, 3.0, 6.0])
    (finding,) = verdict_of("D21", run_of(short, TRAIN, LOADER)).findings
    assert finding.severity == "warn" and "as many as the dataset has classes" in finding.message


def test_a_weight_per_example_passes() -> None:
    assert verdict_of("D21", run_of(replace(FEW, weights=900), TRAIN, LOADER)).status == "pass"
    assert verdict_of("D21", run_of(replace(FEW, weights=None), TRAIN, LOADER)).status == "pass"


def test_nothing_trained_is_inconclusive_and_no_loader_is_skipped() -> None:
    assert verdict_of("D21", run_of(FEW, replace(TRAIN, trained=False))).status == "inconclusive"
    assert verdict_of("D21", run_of()).status == "skipped"


SLICED = RowSlices(0, 1600, 40, 40, 0, 39, 1, 300, 260, Location("train.py", 45))


def test_batches_that_begin_one_row_after_another_fail() -> None:
    (finding,) = verdict_of("D21", run_of(SLICED, steps=300)).findings
    assert finding.location == SLICED.location and "only 79 are" in finding.message
    for other in (
        {"gap": 40},
        {"gap": 10},
        {"last": 1500},
        {"since_new": 20},
        {"starts": 4},
        {"calls": 39, "since_new": 39},
    ):
        assert verdict_of("D21", run_of(replace(SLICED, **other), steps=300)).status != "fail"


def test_what_is_recorded_of_slices(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(400, 3), torch.randn(400, 1)
    for size, beginnings in ((1, 20), (20, 20)):
        model = torch.nn.Linear(3, 1)
        with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for step in range(60):
                start = step % beginnings * size
                loss = torch.nn.functional.mse_loss(model(x[start : start + 20]), y[start : start + 20])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        assert watched.run is not None
        (found,) = watched.run.recorded(RowSlices)
        assert (found.examples, found.rows, found.gap) == (400, 20, size)
        assert found.location is not None and "x[start : start + 20]" in found.location.code
