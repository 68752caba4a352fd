"""L26 noise-level-wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.batches import Batch
from flightcheck.recording.noising import NoisedData
from flightcheck.recording.provenance.noise_schedules import samples_from_noise, schedule_origin
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.testing import run_of, verdict_of

SUM = Location("train.py", 17, "noised", "return a * x0 + b * noise")
TABLE = Location("train.py", 6, "", "rest = 1 - kept")
KEPT = np.linspace(0.99, 0.05, 64)
ALPHAS = np.linspace(0.9999, 0.95, 64)


def seen(data: np.ndarray, noise: np.ndarray, **more: object) -> NoisedData:
    found = NoisedData(SUM, SUM, TABLE, 0, 8, data.tolist(), noise.tolist(), precision=1.2e-7)
    return replace(found, **more)  # type: ignore[arg-type]


def test_the_root_of_the_noise_fails_where_its_coefficient_was_made() -> None:
    run = run_of(seen(KEPT**0.5, 1 - KEPT))
    (finding,) = verdict_of("L26", run).findings
    assert (finding.location, finding.patch) == (TABLE, "noise-level:noise-root:train.py:17")
    assert "0.75 to 1.00" in finding.message or "0.75 to 0.99" in finding.message
    patch = Patch.parse(finding.patch)
    assert patch.changes_the_loss
    assert diff_of([patch], finding, run).startswith("- rest = 1 - kept\n+ # take the square root")


@pytest.mark.parametrize(
    ("found", "slip"),
    [
        (seen(KEPT, (1 - KEPT) ** 0.5), "data-root"),
        (seen(KEPT, 1 - KEPT, of_product="product"), "both-roots"),
        (seen(ALPHAS**0.5, (1 - ALPHAS) ** 0.5, of_product="factor", lowest_product=0.1), "product"),
    ],
)
def test_the_other_slips_fail_at_their_lines(found: NoisedData, slip: str) -> None:
    (finding,) = verdict_of("L26", run_of(found)).findings
    assert (finding.location, finding.evidence["slip"]) == (SUM, slip)


@pytest.mark.parametrize(
    "right",
    [
        seen(KEPT**0.5, (1 - KEPT) ** 0.5),
        seen(KEPT, 1 - KEPT),  # a straight line, as long as no product says otherwise
        seen(np.ones(64), 10 * KEPT),
        seen(KEPT, (KEPT * (1 - KEPT)) ** 0.5),  # a bridge
        seen(KEPT**0.5, 1 - KEPT + 1e-4 * KEPT),  # near is not equal
        seen(np.linspace(1, 0.9999, 64) ** 0.5, 1 - np.linspace(1, 0.9999, 64)),  # so little that all ways are alike
        seen(ALPHAS**0.5, (1 - ALPHAS) ** 0.5, of_product="factor", lowest_product=0.9),
    ],
)
def test_known_ways_pass(right: NoisedData) -> None:
    assert verdict_of("L26", run_of(right)).status == "pass"


def test_single_steps_beside_the_product_pass() -> None:
    single = seen(ALPHAS**0.5, (1 - ALPHAS) ** 0.5, of_product="factor", lowest_product=0.1)
    whole = seen(KEPT**0.5, (1 - KEPT) ** 0.5, location=TABLE)
    assert verdict_of("L26", run_of(single, whole)).status == "pass"


def test_few_levels_or_calls_are_inconclusive_and_no_noise_is_skipped() -> None:
    assert verdict_of("L26", run_of(seen(KEPT[:8] ** 0.5, 1 - KEPT[:8]))).status == "inconclusive"
    assert verdict_of("L26", run_of(seen(KEPT**0.5, 1 - KEPT, calls=2))).status == "inconclusive"
    assert verdict_of("L26", run_of()).status == "skipped"


def test_a_schedule_that_ends_with_more_data_than_noise_is_too_short() -> None:
    table = Location("train.py", 4, "", "betas = torch.linspace(1e-4, 0.02, T)")
    kept = np.linspace(0.999, 0.55, 64)
    short = seen(
        kept**0.5, (1 - kept) ** 0.5, of_product="root", lowest_product=0.55, schedule_location=table, samples=True
    )
    (finding,) = verdict_of("L26", run_of(short)).findings
    assert (finding.location, finding.severity, finding.patch) == (table, "warn", "")
    assert "55% of the variance is still that of the data" in finding.message
    for right in (replace(short, samples=False), replace(short, lowest_product=0.3), replace(short, of_product="")):
        assert verdict_of("L26", run_of(right)).status == "pass"


SCHEDULE = """
import torch
T = 60
betas = torch.linspace(1e-4, 0.02, T)
alphas = 1.0 - betas
bar = torch.cumprod(alphas, dim=0)
{more}
"""


@pytest.mark.parametrize(
    ("more", "samples"),
    [
        ("def sample(n):\n    x = torch.randn(n, 2)\n    for i in reversed(range(T)):\n        x = step(x, i)", True),
        ("x = torch.randn(9, 2)\nfor i in tqdm(range(T - 1, -1, -1)):\n    x = step(x, i)", True),
        ("def sample(x):\n    for i in reversed(range(T)):\n        x = step(x, i) + torch.randn_like(x)", False),
        ("for i in range(T):\n    x = torch.randn(9, 2)", False),
    ],
)
def test_where_a_schedule_is_written_and_what_it_is_for(tmp_path: Path, more: str, samples: bool) -> None:
    file = tmp_path / "train.py"
    file.write_text(SCHEDULE.format(more=more))
    assert schedule_origin(str(file), 6) == (str(file), 4)
    assert samples_from_noise(str(file)) is samples
    file.write_text("self.beta = torch.linspace(0.1, 0.2, 9)\nself.bar = torch.cumprod(1 - self.beta, 0)\n")
    assert schedule_origin(str(file), 2) == (str(file), 1)
    file.write_text("bar = (1 - torch.linspace(0.1, 0.2, 9)).cumprod(0)\n")
    assert schedule_origin(str(file), 1) == (str(file), 1)


def times(training: list[tuple[float, float]], sampling: list[tuple[float, float]], shape: list[int]) -> Run:
    sides = [(True, r) for r in training] + [(False, r) for r in sampling]
    made = [
        Batch(i, of_training, 0, "1", shape, "float32", "", low, high, 0.0, 1.0, 0, 0, location=SUM)
        for i, (of_training, (low, high)) in enumerate(sides)
    ]
    return run_of(seen(KEPT**0.5, (1 - KEPT) ** 0.5), *made)


SHARES, STEPS = [(0.0, 0.98), (0.02, 0.95), (0.01, 0.99)], [(59.0, 59.0), (58.0, 58.0), (57.0, 57.0)]


@pytest.mark.parametrize(("training", "sampling"), [(SHARES, STEPS), ([(0.0, 58.0), (2.0, 59.0), (1.0, 57.0)], SHARES)])
@pytest.mark.parametrize("shape", [[64], [64, 1]])
def test_steps_on_one_side_and_shares_on_the_other_fail(
    training: list[tuple[float, float]], sampling: list[tuple[float, float]], shape: list[int]
) -> None:
    (finding,) = verdict_of("L26", times(training, sampling, shape)).findings
    assert finding.location == SUM and "never seen such times" in finding.message


@pytest.mark.parametrize(
    ("training", "sampling", "shape"),
    [
        (SHARES, [(0.9, 0.9), (0.8, 0.8), (0.7, 0.7)], [64]),
        (STEPS, STEPS, [64]),
        (SHARES, [(5.0, 5.0), (4.0, 4.0), (3.0, 3.0)], [64]),  # labels
        (SHARES, STEPS, [64, 2]),
        (SHARES, STEPS[:2], [64]),
        ([(0.0, 1.0)] * 3, STEPS, [64]),  # flags
    ],
)
def test_times_on_one_scale_pass(
    training: list[tuple[float, float]], sampling: list[tuple[float, float]], shape: list[int]
) -> None:
    assert not verdict_of("L26", times(training, sampling, shape)).findings
