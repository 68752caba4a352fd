from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from flightcheck.checks.base import Verdict, run_check
from flightcheck.checks.registry import all_checks
from flightcheck.checks.tracking._noise import interval, seeds_needed
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Seeding
from flightcheck.recording.run import Run
from flightcheck.recording.sides import Sides
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of


def run(loss: float, seed: int, steps: int = 100, *records: Any, evaluated: float | None = None) -> Run:
    more = [Evaluation(50, 0, 1, None, losses=1, loss_value=evaluated)] if evaluated is not None else []
    seeding = Seeding(["torch"], ["torch"], values={"torch": seed})
    return run_of(seeding, *records, *more, series={LOSS: [1.0, *[loss] * (steps - 1)]}, id=f"{seed} {loss}")


def side(*losses: float) -> tuple[Run, ...]:
    return tuple(run(loss, seed) for seed, loss in enumerate(losses))


def verdict(first: tuple[Run, ...], second: tuple[Run, ...], **more: Any) -> Verdict:
    return run_check(all_checks()["T08"], Sides(first, second, **more))


def test_seeds_differ_as_much() -> None:
    found = verdict(side(0.50, 0.55, 0.45), side(0.48, 0.52, 0.44))
    assert found.status == "fail"
    (finding,) = found.findings
    assert "differs by -0.02 between 3 and 3 seeds" in finding.message
    assert finding.evidence["low"] < 0 < finding.evidence["high"]
    assert "seeds of each would decide" in finding.message


def test_a_clear_difference_passes() -> None:
    assert verdict(side(0.50, 0.51, 0.49), side(0.30, 0.31, 0.29)).status == "pass"


def test_one_seed_cannot_tell_and_says_how_many_would() -> None:
    found = verdict(side(0.50), side(0.49))
    assert found.status == "inconclusive"
    assert "cannot tell" in found.reason
    assert "seeds scatter by 2%" in found.reason
    assert "seeds of each would decide" in found.reason


def test_two_seeds_of_one_side_give_the_spread() -> None:
    found = verdict(side(0.50, 0.52), side(0.49))
    assert found.status == "inconclusive"
    assert "Assumed" not in found.reason


def test_the_same_seed_again_is_no_other_seed() -> None:
    again = tuple(run(0.5, 7) for _ in range(3))
    assert verdict(again, side(0.30, 0.31, 0.29)).status == "inconclusive"


def test_runs_of_another_length_do_not_count() -> None:
    shorter = (*side(0.5, 0.51), run(0.9, 5, 40))
    assert verdict(shorter, side(0.30, 0.31, 0.29)).status == "inconclusive"


def test_evaluations_count_before_the_training_loss() -> None:
    def evaluated(*losses: float) -> tuple[Run, ...]:
        return tuple(run(0.5, seed, evaluated=loss) for seed, loss in enumerate(losses))

    (finding,) = verdict(evaluated(0.5, 0.6, 0.4), evaluated(0.52, 0.61, 0.43)).findings
    assert finding.evidence["metric"] == "loss of the last evaluation"
    assert verdict(evaluated(0.5), side(0.4)).status == "inconclusive", "the other one was never evaluated"


def test_losses_of_two_functions_cannot_be_compared() -> None:
    mse = run(0.1, 0, 100, LossSite(0, "mse_loss", None, train_calls=9))
    entropy = run(0.5, 0, 100, LossSite(0, "cross_entropy", None, train_calls=9))
    assert verdict((mse,), (entropy,)).status == "inconclusive"


def test_repetitions_and_equal_runs_are_skipped() -> None:
    assert verdict(side(0.5), side(0.4), same=True).status == "skipped"
    assert verdict(side(0.5), side(0.5)).status == "skipped"


def test_the_interval_holds_what_it_promises() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        low, high = interval(generator.normal(0, 1, 4).tolist(), generator.normal(0.5, 2, 5).tolist(), 0.95)
        held += low <= 0.5 <= high
    assert 365 <= held <= 395


@pytest.mark.parametrize("effect", [0.4, 0.8, 1.5, 3.0])
def test_the_number_of_seeds_has_the_power(effect: float) -> None:
    needed = seeds_needed(effect, 1.0, 0.95, 0.8)
    assert needed is not None
    generator = np.random.default_rng(2)
    pairs = [(generator.normal(0, 1, needed), generator.normal(effect, 1, needed)) for _ in range(1500)]
    intervals = [interval(a.tolist(), b.tolist(), 0.95) for a, b in pairs]
    power = sum(not low <= 0 <= high for low, high in intervals) / len(intervals)
    assert 0.76 < power < 0.97


def test_no_number_of_seeds_finds_nothing() -> None:
    assert seeds_needed(0.0, 1.0, 0.95, 0.8) is None
    assert seeds_needed(1e-6, 1.0, 0.95, 0.8) is None
    assert seeds_needed(1.0, 0.0, 0.95, 0.8) == 2
    assert math.isfinite(interval([1.0, 1.0], [2.0, 2.0], 0.95)[0])
