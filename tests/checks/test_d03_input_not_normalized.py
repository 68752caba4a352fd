"""D03 input-not-normalized."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.data._inputs import suffers
from flightcheck.checks.data.d03_input_not_normalized import InputNotNormalized
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location, ModuleInfo, Plan, RootInfo
from flightcheck.recording.signals import ACTIVATION_RMS
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, ORIGIN, batches, losses

SITE = LossSite(0, "cross_entropy", Location("train.py", 50))
ROOT = RootInfo(0, "model", "Net")
RAW = {"minimum": 0.0, "maximum": 255.0, "mean": 78.0, "std": 96.0, "feature_mean_max": 160.0, "feature_std_max": 100.0}
STUCK = losses([40.0, 20.0, 3.0, *[2.31] * 12])
LEARNS = losses([2.3 * 0.8**i for i in range(15)])


def run(*records: Any, activation: float = 70.0, **inputs: Any) -> Any:
    return verdict_of(
        "D03", run_of(SITE, ROOT, LINEAR, *batches(8, **inputs), *records, series={ACTIVATION_RMS: [[activation]] * 8})
    )


def test_pixels_that_spoil_the_training_are_a_warning_at_the_data() -> None:
    (finding,) = run(*STUCK, **RAW).findings
    assert finding.severity is None
    assert finding.location == ORIGIN


def test_pixels_that_are_stored_as_bytes_are_told_where_they_become_numbers() -> None:
    converted = Location("train.py", 12, "to_tensor", "return batch.float()")
    (finding,) = run(*STUCK, **RAW, made_float=converted).findings
    assert finding.location == converted


def test_pixels_that_do_no_harm_are_information() -> None:
    (finding,) = run(*LEARNS, **RAW).findings
    assert finding.severity == "info"


def test_without_losses_it_is_information() -> None:
    (finding,) = run(**RAW).findings
    assert finding.severity == "info"


def test_features_on_very_different_scales() -> None:
    table = {"mean": 69.0, "std": 215.0, "feature_mean_max": 746.0, "feature_std_min": 0.12, "feature_std_max": 315.0}
    (finding,) = run(*STUCK, **table).findings
    assert "different scales" in finding.message


def test_a_table_that_was_scaled_with_one_minimum_and_maximum() -> None:
    table = {"minimum": 0.0, "maximum": 1.0, "mean": 0.05, "std": 0.2, "feature_mean_max": 0.5, "feature_std_max": 0.11}
    (finding,) = run(*STUCK, **table, feature_stds=[0.11, 5e-5, 4e-5, 1e-4, 3e-5]).findings
    assert "hardly vary" in finding.message and finding.severity is None
    assert run(*STUCK, **table, feature_stds=[0.11, 0.08, 0.002, 1e-4]).status == "pass", "a rare column or two"


def test_values_far_too_small() -> None:
    small = {
        "minimum": 0.0,
        "maximum": 1e-3,
        "mean": 4e-4,
        "std": 3e-4,
        "feature_mean_max": 1e-3,
        "feature_std_max": 1e-3,
    }
    (finding,) = run(*STUCK, activation=4e-4, **small).findings
    assert "never larger" in finding.message


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"minimum": 0.0, "maximum": 1.0, "mean": 0.9, "std": 0.05, "feature_mean_max": 0.95, "feature_std_min": 0.0001},
        {"minimum": 0.0, "maximum": 16.0, "mean": 4.9, "std": 6.0, "feature_mean_max": 10.0, "feature_std_max": 6.0},
        {"feature_std_min": 0.01, "feature_std_max": 12.0, "feature_mean_max": 15.0},
    ],
    ids=["standardized", "[0, 1] images", "digits 0-16", "moderate table"],
)
def test_usual_scales_pass(inputs: dict[str, float]) -> None:
    assert run(*STUCK, **inputs).status == "pass"


def test_scaling_inside_forward_passes() -> None:
    assert run(*STUCK, activation=0.3, **{**RAW, "dtype": "uint8"}).status == "pass"


def test_integer_inputs_of_unknown_fate_are_inconclusive() -> None:
    verdict = verdict_of("D03", run_of(SITE, *batches(8, **{**RAW, "dtype": "uint8"}), *STUCK))
    assert verdict.status == "inconclusive"


def test_a_norm_in_front_is_skipped() -> None:
    norm = ModuleInfo(1, "model.norm", "BatchNorm1d", "batchnorm", 0, order=0, trainable=True)
    later = replace(LINEAR, order=1)
    verdict = verdict_of("D03", run_of(SITE, norm, later, *batches(8, **RAW), *STUCK))
    assert verdict.status == "skipped"


def test_ids_are_skipped() -> None:
    verdict = verdict_of("D03", run_of(*batches(8, first_module="embedding", dtype="int64", **RAW)))
    assert verdict.status == "skipped"


@pytest.mark.parametrize("regime", ["reinforcement", "finetune"])
def test_other_regimes_get_information_only(regime: str) -> None:
    (finding,) = run(Plan(regimes=[regime]), *STUCK, **RAW).findings
    assert finding.severity == "info"


def test_decibels_are_information() -> None:
    spectrogram = {"minimum": -80.0, "maximum": 0.0, "mean": -50.0, "std": 20.0, "shape": [8, 1, 64, 100]}
    (finding,) = run(*STUCK, **spectrogram).findings
    assert finding.severity == "info"


def test_too_few_batches_are_inconclusive() -> None:
    assert verdict_of("D03", run_of(LINEAR, *batches(2, **RAW))).status == "inconclusive"
    assert verdict_of("D03", run_of(LINEAR)).status == "inconclusive"


def test_a_model_of_the_next_fold_that_was_seen_once_hides_nothing() -> None:
    next_fold = [replace(LINEAR, index=1, root=1), *batches(1, root=1, **RAW)]
    (finding,) = run(*STUCK, *next_fold, **RAW).findings
    assert finding.location == ORIGIN
    assert run(*STUCK, *next_fold).status == "inconclusive"


def test_models_that_are_fed_from_one_line_are_told_once() -> None:
    other = [replace(LINEAR, index=1, root=1), *batches(8, root=1, **RAW)]
    assert len(run(*STUCK, *other, **RAW).findings) == 1
    elsewhere = [other[0], *batches(8, root=1, origin=Location("train.py", 90), **RAW)]
    assert len(run(*STUCK, *elsewhere, **RAW).findings) == 2


def test_features_that_hardly_vary_around_a_far_value() -> None:
    far = {"mean": 0.0, "std": 1.0, "feature_means": [2.9, -0.4, -0.4, -0.4, 0.4], "feature_stds": [0.06] + [0.02] * 4}
    (finding,) = run(*STUCK, **far).findings
    assert "standardized by itself" in finding.message
    near = {**far, "feature_means": [0.1, -0.04, -0.04, -0.04, 0.4]}
    assert run(*STUCK, **near).status == "pass"
    (finding,) = run(*STUCK, **{**far, "std": 0.7}).findings
    assert "standardized by itself" not in finding.message


TWICE = {
    "shape": [32, 1, 8, 8], "minimum": -1.0, "maximum": -0.992, "mean": -0.998, "std": 0.003, "feature_mean_max": 0.998,
    "feature_std_max": 0.003, "feature_means": [-0.998], "feature_stds": [0.003],
}  # fmt: skip
DIVIDED = {
    "divisions": [Location("train.py", 13), Location("train.py", 12), Location("train.py", 9)],
    "divided_by": [0.5, 255.0, 16.0],
}


def test_images_that_are_divided_twice_are_told_at_the_second_division() -> None:
    (finding,) = run(*STUCK, **TWICE, **DIVIDED).findings
    assert (finding.severity, finding.location) == (None, Location("train.py", 12))
    assert "divided by 255 here, and by 16 in line 9" in finding.message
    (finding,) = run(*STUCK, **TWICE).findings
    assert finding.location == ORIGIN
    small = {**TWICE, "minimum": 0.0, "maximum": 0.004, "mean": 0.001, "feature_means": [0.001]}
    (finding,) = run(*STUCK, activation=0.003, **small, **DIVIDED).findings
    assert (finding.severity, finding.location) == (None, Location("train.py", 12))


def test_one_division_and_one_that_is_needed_are_no_two() -> None:
    (finding,) = run(*STUCK, **TWICE, divisions=DIVIDED["divisions"][:2], divided_by=[0.5, 255.0]).findings
    assert finding.location == ORIGIN
    far = {**DIVIDED, "divided_by": [0.5, 1e6, 16.0]}
    (finding,) = run(*STUCK, **TWICE, **far).findings
    assert finding.location == ORIGIN


def test_rare_marks_on_an_even_ground_pass() -> None:
    marks = {**TWICE, "maximum": 1.0, "mean": -0.997, "std": 0.08, "feature_means": [-0.997], "feature_stds": [0.08]}
    assert run(*STUCK, **marks).status == "pass"


def test_of_values_far_too_small_a_trial_tells() -> None:
    small = {"minimum": -0.009, "maximum": 0.01, "mean": 0.0, "std": 0.004, "feature_std_max": 0.004}
    (finding,) = run(*LEARNS, **small).findings
    assert finding.severity == "info"
    for status, severity in (("confirmed", None), ("inconclusive", "info")):
        (finding,) = run(*LEARNS, Experiment("D03", "inputs:standardize", status=status), **small).findings
        assert finding.severity == severity
    check = InputNotNormalized()
    asked = [
        check.quiet_inputs(run_of(SITE, ROOT, LINEAR, *LEARNS, *batches(8, **inputs))) for inputs in (small, RAW, {})
    ]
    assert asked[0] is not None and asked[0].location == ORIGIN
    assert asked[1:] == [None, None]
    far = {"minimum": 8.0, "maximum": 15.0, "mean": 11.0, "std": 0.9, "feature_means": [11.0], "feature_stds": [0.9]}
    assert check.quiet_inputs(run_of(SITE, ROOT, LINEAR, *LEARNS, *batches(8, **far))) is not None


@pytest.mark.parametrize(("loss", "harm"), [(0.139, True), (0.05, False)])
def test_a_loss_that_stays_at_the_entropy_of_the_classes_is_harm(loss: float, harm: bool) -> None:
    """Of 3 % positives it is 0.135, far below ln 2: a model that says so of every example has learnt nothing."""
    calls = losses([0.5, 0.2, *[loss] * 13], classes=2, label_counts=[970, 30], target_shape=[1000])
    assert suffers(run_of(SITE, *calls)) is harm
