"""D21 sampler-misses-examples: weights per class, masks as indices, and what may be meant so."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.records import LoaderInfo, Location
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


def test_a_weight_per_example_passes() -> None:
    assert verdict_of("D21", run_of(replace(FEW, weights=900), TRAIN, LOADER)).status == "pass"
    assert verdict_of("D21", run_of(replace(FEW, weights=None), TRAIN, LOADER)).status == "pass"


def test_nothing_trained_is_inconclusive_and_no_loader_is_skipped() -> None:
    assert verdict_of("D21", run_of(FEW, replace(TRAIN, trained=False))).status == "inconclusive"
    assert verdict_of("D21", run_of()).status == "skipped"
