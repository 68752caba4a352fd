"""L26 noise-level-wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.noising import NoisedData
from flightcheck.recording.records import Location
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
