"""What is measured is spaced so that it stays under the budget: made-up clocks, so no noise of the machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from flightcheck.adapters.torch import budget as module
from flightcheck.adapters.torch.budget import FULL, GRADIENTS, OUTPUTS, REST, WEIGHTS, Budget
from flightcheck.adapters.torch.watch import DENSE_ROUNDS

DENSE = 10
MILLI, MICRO = 1e-3, 1e-6


@dataclass
class Costs:
    """Seconds that a round of each level costs."""

    rest: float = 10 * MICRO
    gradients: float = 50 * MICRO
    weights: float = 50 * MICRO
    outputs: float = 300 * MICRO
    full: float = 2 * MILLI

    def of(self, watch: Any) -> float:
        if watch.sampled:
            return self.full
        cost = self.gradients if watch.norms else self.rest
        if watch.outputs:
            cost += self.outputs * watch.rows / 64
        return cost + (self.weights if watch.weights else 0.0)


class Training:
    """Rounds of a made-up training: time passes as it is told, on both clocks."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, share: float, *, step: float, costs: Costs, longest_gap: int = 100,
        longest_gap_seconds: float = 0.0,
    ) -> None:  # fmt: skip
        self.wall = self.processor = 0.0
        self.step, self.costs = step, costs
        clocks = SimpleNamespace(perf_counter=lambda: self.wall, process_time=lambda: self.processor, thread_time=None)
        monkeypatch.setattr(module, "time", clocks)
        self.watch: Any = SimpleNamespace(
            spent=0.0, learning=False, sampled=True, weights=True, outputs=True, norms=True, every_step=False, rows=64
        )
        self.budget = Budget(self.watch, share, DENSE, longest_gap, longest_gap_seconds)
        self.levels: list[int] = []
        self.spent = 0.0
        """What we really cost since the dense rounds: what the clock cannot see, too."""
        self.bare = 0.0

    def run(
        self, rounds: int, *, slower: float = 1.0, threads: int = 1, unseen: float = 0.0,
        preempted: Callable[[int], float] = lambda i: 0.0,
    ) -> Training:  # fmt: skip
        """Rounds in which neighbours slow the training down on the wall's clock, and sometimes stop us inside."""
        for i in range(rounds):
            watch = self.watch
            cost = self.costs.of(watch)
            closer = (
                (watch.sampled, FULL),
                (watch.outputs, OUTPUTS),
                (watch.weights, WEIGHTS),
                (watch.norms, GRADIENTS),
            )
            self.levels.append(next((level for asked, level in closer if asked), REST))
            stopped = preempted(i)
            watch.spent += cost + stopped
            self.wall += self.step * slower / threads + cost + stopped + unseen
            self.processor += self.step + cost + unseen
            if self.budget.rounds >= self.budget.dense_steps:
                self.spent += cost + unseen
                self.bare += self.step / threads
            watch.sampled = self.budget.end_round()
        return self

    @property
    def share(self) -> float:
        return self.spent / self.bare


@pytest.mark.parametrize("share", [0.02, 0.1])
@pytest.mark.parametrize("full", [2 * MILLI, 10 * MILLI])
@pytest.mark.parametrize("step", [10 * MILLI, 40 * MILLI, 300 * MILLI])
def test_full_measurements_stay_under_the_budget(
    monkeypatch: pytest.MonkeyPatch, share: float, full: float, step: float
) -> None:
    training = Training(monkeypatch, share, step=step, costs=Costs(full=full)).run(4000)
    assert 0 < training.share <= share
    overhead = training.budget.overhead
    assert overhead is not None
    assert overhead == pytest.approx(training.share, rel=0.05)
    assert training.budget.sampled_rounds > 2 * DENSE


def test_the_first_steps_are_all_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, 0.02, step=10 * MILLI, costs=Costs()).run(DENSE)
    assert training.budget.sampled_rounds == DENSE
    assert set(training.levels) == {FULL}


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, DENSE), (0.03, 15), (0.1, 50), (1.0, 64)])
def test_of_cheap_rounds_more_are_measured_at_the_start(
    monkeypatch: pytest.MonkeyPatch, seconds: float, rounds: int
) -> None:
    """A full measurement takes 2 ms here."""
    training = Training(monkeypatch, 0.02, step=10 * MILLI, costs=Costs())
    training.budget.dense_seconds = seconds
    training.run(300)
    assert training.budget.dense_steps == rounds
    assert training.levels[:rounds] == [FULL] * rounds
    assert training.levels.count(FULL) < rounds + 20


def test_long_steps_have_all_weights_at_every_step_and_activations_often(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, 0.02, step=40 * MILLI, costs=Costs()).run(1000)
    later = training.levels[100:]
    assert sum(level <= GRADIENTS for level in later) < 10
    assert sum(level >= OUTPUTS for level in later) > len(later) / 3
    assert training.watch.every_step
    assert training.budget.cadence()["weights"] < 1.02


def test_what_looks_cost_is_tried_again_when_calls_are_recorded_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first hundred rounds a look at the weights costs ten times as much, as all calls are noted in them."""
    training = Training(monkeypatch, 0.02, step=40 * MILLI, costs=Costs(weights=2 * MILLI, outputs=9 * MILLI)).run(
        DENSE_ROUNDS - 1
    )
    assert not training.watch.every_step
    training.costs = Costs(weights=200 * MICRO, outputs=9 * MILLI)
    training.run(60)
    assert training.watch.every_step


def test_a_round_that_is_tried_is_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried levels may be rested, too: not as many at once as of the level that is ordinary."""
    training = Training(monkeypatch, 0.02, step=0.4 * MILLI, costs=Costs(rest=20 * MICRO, gradients=90 * MICRO))
    seen = []
    for _ in range(DENSE + 40):
        training.run(1)
        seen.append((training.budget._level, training.budget.rounds_at_rest))
    assert {n for level, n in seen[DENSE:] if level in (GRADIENTS, WEIGHTS)} == {1}
    assert max(n for level, n in seen if level == REST) > 1


def test_what_is_given_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the activations, then how often they are looked at, then the weights, then the gradients."""
    seen = []
    for step in (100, 20, 10, 5, 1):
        training = Training(monkeypatch, 0.02, step=step * MILLI, costs=Costs()).run(3000)
        cadence = training.budget.cadence()
        seen.append((cadence["activations"], cadence["weights"], cadence["gradients"]))
        assert training.share <= max(0.02, 55 * MICRO / (step * MILLI))
    activations, weights, gradients = zip(*seen)
    assert list(activations[:3]) == sorted(activations[:3])
    assert list(weights[:4]) == sorted(weights[:4])
    assert list(gradients) == sorted(gradients)
    assert all(g <= w <= a for a, w, g in seen)
    assert gradients[2] < 1.02 < weights[3]
    assert weights[1] < 1.02 < activations[1]
    costly = Training(monkeypatch, 0.02, step=10 * MILLI, costs=Costs(outputs=20 * MILLI)).run(2000)
    assert costly.watch.rows == 4


def test_steps_that_leave_nothing_are_measured_after_the_longest_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(
        monkeypatch, 0.02, step=0.4 * MILLI, costs=Costs(rest=50 * MICRO, gradients=90 * MICRO), longest_gap=50
    )
    training.run(2000)
    later = training.levels[200:]
    assert sum(level == FULL for level in later) == len(later) // 50
    assert sum(level not in (REST, FULL) for level in later) <= 10, (
        "but for the levels that are tried again now and then"
    )


@pytest.mark.parametrize(("step", "gap"), [(0.4 * MILLI, 200), (2 * MILLI, 125), (10 * MILLI, 50)])
def test_short_steps_may_pass_for_a_quarter_of_a_second_but_no_more_than_four_gaps(
    monkeypatch: pytest.MonkeyPatch, step: float, gap: int
) -> None:
    costs = Costs(rest=step / 8, gradients=step / 4)
    training = Training(monkeypatch, 0.02, step=step, costs=costs, longest_gap=50, longest_gap_seconds=0.25).run(4000)
    full = [i for i, level in enumerate(training.levels) if level == FULL and i > 1000]
    assert {b - a for a, b in itertools.pairwise(full)} <= set(range(gap - 1, gap + 3))


def test_beside_short_steps_what_the_clock_cannot_see_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's own code gets slower beside us: by 0.4 of what ours takes."""
    for step, hidden in ((0.4 * MILLI, True), (10 * MILLI, False)):
        training = Training(monkeypatch, 0.02, step=step, costs=Costs(full=5 * MILLI)).run(4000)
        overhead = training.budget.overhead
        assert overhead is not None
        assert overhead == pytest.approx(training.share * (1.4 if hidden else 1.0) + 4 * MICRO / step, rel=0.05)


def test_a_level_that_was_interrupted_is_not_held_dearer_than_a_closer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every round of the gradients is stopped for 20 ms: everything is not measured instead."""
    training = Training(monkeypatch, 0.02, step=MILLI, costs=Costs(rest=30 * MICRO))
    training.run(1500, preempted=lambda i: 20 * MILLI if training.levels[-1] in (REST, GRADIENTS) else 0.0)
    assert sum(level == FULL for level in training.levels[200:]) < 1300 / 20


def test_neighbours_that_slow_the_training_down_do_not_raise_the_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall's clock runs three times as fast; what we cost is short, and not stretched."""
    training = Training(monkeypatch, 0.02, step=10 * MILLI, costs=Costs()).run(4000, slower=3.0)
    assert training.share <= 0.02


def test_threads_of_the_training_do_not_raise_the_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's clock runs twice as fast as the wall's; we work while both threads wait for us."""
    training = Training(monkeypatch, 0.02, step=10 * MILLI, costs=Costs()).run(4000, threads=2)
    assert training.share <= 0.02


def test_a_measurement_that_was_interrupted_starves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fourth round in which we are stopped for 5 ms, and a first one of 50 ms (cold caches)."""
    quiet = Training(monkeypatch, 0.02, step=20 * MILLI, costs=Costs()).run(4000)
    noisy = Training(monkeypatch, 0.02, step=20 * MILLI, costs=Costs())
    noisy.run(4000, preempted=lambda i: 50 * MILLI if i == 0 else 5 * MILLI if i % 4 == 0 else 0.0)
    assert noisy.share <= 0.02
    assert noisy.budget.overhead is not None
    assert noisy.budget.overhead <= 2 * noisy.share
    assert noisy.budget.sampled_rounds > quiet.budget.sampled_rounds / 3


def test_what_our_clock_cannot_see_is_left_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dispatch of the wrappers and caches: 15 % more than what is measured, and 4 µs per round."""
    costs = Costs()
    training = Training(monkeypatch, 0.02, step=10 * MILLI, costs=costs).run(4000, unseen=4 * MICRO)
    assert training.share <= 0.02 * 0.86
    assert training.budget.overhead == pytest.approx(training.share, rel=0.05)


def test_an_alarm_is_followed_by_a_short_dense_time(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, 0.02, step=10 * MILLI, costs=Costs()).run(500)
    training.budget.alarm()
    training.run(12)
    assert training.levels[-11:-3] == [FULL] * 8
    assert training.levels[-1] != FULL


def test_without_the_kernel_weights_wait_for_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, 0.02, step=10 * MILLI, costs=Costs(gradients=100 * MICRO, weights=400 * MICRO))
    training.budget.cheap = False
    training.run(3000)
    assert training.share <= 0.021
    assert not training.watch.every_step
    assert training.budget.cadence()["weights"] > 3


def test_rounds_booked_together_are_few_short_and_cost_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted in a rest is written at its end, so that may not be far; and the longest gap stays the longest."""
    training = Training(
        monkeypatch, 0.02, step=0.9 * MILLI, costs=Costs(rest=20 * MICRO, gradients=90 * MICRO), longest_gap=70
    )
    training.run(200)
    budget, rested, since_full, gaps = training.budget, [], 0, []
    for _ in range(3000):
        count = budget.rounds_at_rest if budget.resting else 1
        level = FULL if training.watch.sampled else REST
        since_full += count
        if level == FULL:
            gaps.append(since_full)
            since_full = 0
        rested += [count] if budget.resting else []
        cost = training.costs.of(training.watch)
        training.watch.spent += count * cost
        training.wall += count * (training.step + cost)
        training.processor += count * (training.step + cost)
        training.watch.sampled = budget.end_round(count)
    assert max(rested) > 10, "or nothing is won"
    assert max(rested) * training.step <= 0.04
    assert len(gaps) > 20
    assert max(gaps[1:]) <= 70
    assert budget.rounds == sum(rested) + 200 + 3000 - len(rested)
