"""What counts as better: margins, signs, divergence, and how often pure noise is taken for a cure."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from flightcheck.lab.statistics import (
    ALPHA,
    BLOCKS,
    SEEDS,
    Comparison,
    Pair,
    compare,
    holm,
    seeds_needed,
    sign_flip,
    t_test,
)

STEPS = 60
NAN = float("nan")


def falling(end: float, start: float = 2.3, seed: int = 0, noise: float = 0.02) -> np.ndarray:
    """A loss that falls from `start` to `end`."""
    way = np.linspace(1, 0, STEPS) ** 2
    return end + (start - end) * way + noise * np.random.default_rng(seed).normal(size=STEPS)


def pairs(before: float, after: float, seeds: int = SEEDS, **how: float) -> list[Pair]:
    return [Pair(falling(before, seed=s, **how), falling(after, seed=s + 100, **how)) for s in range(seeds)]


def test_better_in_every_seed_is_confirmed() -> None:
    result = compare(pairs(2.0, 1.0))
    assert result.status == "confirmed"
    assert (round(result.before, 1), round(result.after, 1)) == (2.0, 1.0)
    assert 2.1 < result.start < 2.3  # the lower of the two: the better one has learnt within five steps
    assert len(result.differences) == SEEDS
    assert result.low < np.mean(result.differences) < result.high
    assert result.p == pytest.approx(2 / 2 ** (SEEDS * BLOCKS)), "there may be a second look"
    assert result.seeds_needed is None


def test_one_seed_that_does_not_agree_is_enough_to_doubt() -> None:
    data = [*pairs(2.0, 1.0, 2), Pair(falling(1.0, seed=7), falling(1.0, seed=8))]
    result = compare(data)
    assert result.status == "inconclusive"
    assert result.seeds_needed is not None
    assert result.seeds_needed > SEEDS


def test_two_seeds_refute_and_do_not_confirm() -> None:
    assert compare(pairs(2.0, 1.0, 2)).status == "inconclusive"
    assert compare(pairs(2.0, 2.0, 2)).status == "refuted"
    assert compare(pairs(1.0, 2.0, 2)).status == "refuted"
    assert compare(pairs(1.0, 2.0, 1)).status == "inconclusive"


def test_a_question_of_one_seed_is_answered_by_one() -> None:
    assert compare(pairs(1.0, 2.0, 1), seeds=1).status == "refuted"


def test_nothing_changed_at_all() -> None:
    same = [Pair(x, x.copy()) for x in (falling(1.0, seed=s) for s in range(SEEDS))]
    result = compare(same)
    assert (result.status, result.p, result.low, result.high) == ("refuted", 1.0, 0.0, 0.0)


def test_significant_and_too_small_is_refuted() -> None:
    assert compare(pairs(2.0, 1.99, noise=1e-4)).status == "refuted"
    assert compare(pairs(2.0, 1.90, noise=1e-4)).status == "confirmed"
    assert compare(pairs(2.0, 1.90, noise=1e-4), margin=0.5).status == "refuted"


def test_the_margin_is_two_percent_or_an_absolute_one() -> None:
    flat = [Pair(np.full(STEPS, 10.0), np.full(STEPS, 9.0))] * SEEDS
    assert compare(flat).margin == pytest.approx(0.2)
    small = [Pair(np.full(STEPS, 0.1), np.full(STEPS, 0.095))] * SEEDS
    assert compare(small).margin == pytest.approx(0.01)
    assert compare(small).status == "refuted"
    assert compare(small, absolute=1e-3).status == "confirmed"


def test_divergence_counts_as_bad_and_not_as_infinite() -> None:
    nan = falling(1.0)
    nan[30:] = NAN
    huge = falling(1.0)
    huge[30:] = 1e30
    for gone in (nan, huge):
        result = compare([Pair(gone, falling(1.0, seed=s)) for s in range(SEEDS)])
        assert result.status == "confirmed"
        assert result.before == pytest.approx(4 * result.start, rel=0.02)
        assert compare([Pair(falling(1.0, seed=s), gone) for s in range(SEEDS)]).status == "refuted"
    assert compare([Pair(nan, huge)] * SEEDS).status == "refuted"


def test_a_control_that_is_never_finite() -> None:
    never = np.full(STEPS, NAN)
    cured = compare([Pair(never, falling(1.0, seed=s)) for s in range(SEEDS)])
    assert cured.status == "confirmed"
    assert math.isfinite(cured.before)
    assert math.isfinite(cured.start)
    with pytest.raises(ValueError, match="no value is finite, with the patch or without it"):
        compare([Pair(never, never)] * SEEDS)


def test_a_control_that_exploded_at_once_does_not_set_the_start() -> None:
    exploded, learns = np.full(STEPS, 1e9), falling(1.0)
    pair = Pair(exploded, learns)
    assert pair.start() == 1e9
    assert pair.untrained() == Pair(learns, exploded).untrained() == pytest.approx(2.3, abs=0.3)
    before, after = pair.blocks()
    assert before == pytest.approx([4 * pair.untrained()] * BLOCKS)
    assert after.mean() < 1.3
    assert compare([Pair(exploded, falling(1.0, seed=s)) for s in range(SEEDS)]).status == "confirmed"
    never = Pair(np.full(STEPS, NAN), learns)
    assert never.untrained() == never.start()


def test_losses_around_zero_keep_their_size() -> None:
    """A policy's loss, or one of a critic, starts at 0: what comes after it is no divergence."""
    control, patched = falling(1.0, start=0.0), falling(0.5, start=0.0)  # they rise
    control[:5] = patched[:5] = 0.0
    result = compare([Pair(control, patched)] * SEEDS)
    assert result.status == "confirmed"
    assert result.before == pytest.approx(1.0, abs=0.1)
    below = compare([Pair(falling(-1.0, start=0.0, seed=s), falling(-3.0, start=0.0, seed=s)) for s in range(SEEDS)])
    assert below.status == "confirmed"


def test_the_last_third_counts() -> None:
    early = falling(1.0)
    early[:30] -= 1.0
    assert compare([Pair(falling(1.0), early)] * SEEDS).status == "refuted"


def test_the_shorter_training_is_the_measure() -> None:
    before, after = Pair(falling(2.0), falling(1.0)[:48]).blocks()
    assert len(before) == len(after) == BLOCKS
    assert before[-1] == pytest.approx(falling(2.0)[44:48].mean())


@pytest.mark.parametrize("n", [0, 1, 11])
def test_too_few_steps(n: int) -> None:
    with pytest.raises(ValueError, match=f"{n} steps with and without the patch; at least 12 are needed"):
        compare([Pair(falling(2.0)[:n], falling(1.0))])
    assert compare([Pair(falling(2.0)[:12], falling(1.0))] * SEEDS).status in ("confirmed", "inconclusive")


def test_sign_flip_is_the_exact_randomization_test() -> None:
    x = np.random.default_rng(3).normal(0.4, 1, 8)
    signs = np.array(list(itertools.product((1, -1), repeat=8)))
    exact = float(((signs @ x) >= x.sum() - 1e-12).mean())
    assert sign_flip(x) == pytest.approx(exact)
    scipys = stats.permutation_test((x,), np.mean, permutation_type="samples", alternative="greater", vectorized=False)
    assert sign_flip(x) == pytest.approx(float(scipys.pvalue))
    assert sign_flip(-np.abs(x)) == 1.0
    assert sign_flip(np.zeros(8)) == 1.0
    many = np.random.default_rng(4).normal(0.3, 1, 40)
    assert sign_flip(many) == sign_flip(many)
    assert sign_flip(many) == pytest.approx(float(stats.ttest_1samp(many, 0, alternative="greater").pvalue), abs=0.02)


def test_holm() -> None:
    assert holm([]) == []
    assert holm([0.04]) == [0.04]
    # Holm 1979, worked by hand: 3 × 0.01, then 2 × 0.03, then never below what came before.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    adjusted = holm([0.001, 0.2, 0.004])
    assert [p < ALPHA for p in adjusted] == [True, False, True]


def test_seeds_needed() -> None:
    assert seeds_needed([0.1, 0.12, 0.11], 0.2) is None
    assert seeds_needed([1.0, 1.0, 1.0], 0.1) == 4
    assert seeds_needed([1.0, 1.0, 1.0, 1.0, 1.0], 0.1) == 6
    noisy = seeds_needed([0.1, 0.9, 0.5], 0.1)
    assert noisy is not None
    # One-sided, α 0.01, power 0.8: n = ((z.99 + z.8) σ / δ)²
    assert noisy == math.ceil(((2.3263 + 0.8416) * 0.4 / 0.4) ** 2)
    assert seeds_needed([0.1, 1.7, 0.9], 0.1) == noisy  # twice the spread, twice the effect


def simulated(change: float, times: int, scale: float, memory: float = 0.0) -> list[Comparison]:
    """Experiments on losses that are noise; `memory` is the correlation of neighbouring steps."""
    rng = np.random.default_rng(20)

    def loss(shift: float) -> np.ndarray:
        x = rng.normal(size=STEPS)
        for i in range(1, STEPS if memory else 0):
            x[i] = memory * x[i - 1] + math.sqrt(1 - memory**2) * x[i]
        return 2.3 - shift + scale * x

    return [compare([Pair(loss(0), loss(change)) for _ in range(SEEDS)]) for _ in range(times)]


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_pure_noise_is_rarely_taken_for_a_cure(scale: float) -> None:
    confirmed = [c for c in simulated(0.0, 1000, scale) if c.status == "confirmed"]
    assert len(confirmed) < 10


def test_noise_that_wanders_is_taken_for_a_cure_in_few_cases() -> None:
    confirmed = [c for c in simulated(0.0, 1000, 0.3, memory=0.8) if c.status == "confirmed"]
    assert len(confirmed) < 30


def test_a_real_effect_in_the_same_noise_is_found() -> None:
    confirmed = [c for c in simulated(0.5, 50, 0.3) if c.status == "confirmed"]
    assert len(confirmed) >= 48


def test_seeds_that_differ_as_much_as_the_effect_are_worth_two_more() -> None:
    changes = (0.5, 1.5, 0.3, 0.6, 0.9)
    noise = [Pair(falling(2.0, seed=s), falling(2.0 - d, seed=s + 9)) for s, d in enumerate(changes)]
    first = compare(noise[:SEEDS])
    assert (first.status, first.p < ALPHA, first.worth_more_seeds) == ("inconclusive", True, True)
    assert compare(noise[:4]).status == "inconclusive", "no look in between"
    assert compare(noise).status == "confirmed"
    one_fails = [*noise[:2], Pair(falling(2.0), falling(2.0, seed=1))]
    assert not compare(one_fails).worth_more_seeds


def evaluated(changes: list[float], evaluations: int = 4) -> Comparison:
    """Evaluations of 2.0 with little noise against evaluations that are lower, by one number for each seed."""
    rng = np.random.default_rng(5)
    noise = 0.01 * rng.normal(size=(2, len(changes), evaluations))
    pairs = [Pair(2.0 + noise[0, i], 2.0 - change + noise[1, i], evaluations=True) for i, change in enumerate(changes)]
    return compare(pairs, seeds=len(changes))


def test_evaluations_of_one_training_are_one_observation() -> None:
    clear = evaluated([0.9, 1.0, 1.1])
    assert clear.status == "confirmed"
    assert clear.p == pytest.approx(2 * float(stats.ttest_1samp(clear.differences, 0, alternative="greater").pvalue))
    spread = evaluated([0.2, 1.0, 1.8], evaluations=40)  # more evaluations of the same three models tell no more
    assert spread.status == "inconclusive"
    assert spread.p > ALPHA
    assert evaluated([0.0, 0.0, 0.0], evaluations=40).status == "refuted"


def test_one_evaluation_a_training_is_enough_to_compare() -> None:
    assert evaluated([0.9, 1.0, 1.1], evaluations=1).status == "confirmed"
    assert evaluated([1.0], evaluations=1).p == 1.0
    with pytest.raises(ValueError, match="0 evaluations with and without the patch; at least 1 are needed"):
        evaluated([1.0], evaluations=0)


def test_evaluations_that_seeds_decide_are_rarely_taken_for_a_cure() -> None:
    rng = np.random.default_rng(6)

    def evaluations() -> np.ndarray:
        return 2.0 + rng.normal() + 0.05 * rng.normal(size=4)

    confirmed = [
        compare([Pair(evaluations(), evaluations(), evaluations=True) for _ in range(SEEDS)]).status == "confirmed"
        for _ in range(3000)
    ]
    assert 0 < sum(confirmed) < 30  # half of the declared 1 % for each of two looks


def test_t_test() -> None:
    assert t_test([0.3]) == 1.0
    assert t_test([0.0, 0.0]) == t_test([-0.1, -0.1]) == 1.0
    assert t_test([0.1, 0.1]) == 0.0
    assert t_test([1.0, 2.0, 3.0]) == pytest.approx(0.0371, abs=1e-4)


@pytest.mark.parametrize("after", [0.0, 0.0025])
@pytest.mark.parametrize(("before", "largest"), [(0.8, 1.0), (0.8, math.inf), (2.5, math.inf)])
def test_one_evaluation_by_each_training_shows_how_far_they_are_apart(
    before: float, after: float, largest: float
) -> None:
    """The only evaluation is no start: a control far above a perfect patched one is not cut to its size."""
    pairs = [
        Pair(np.array([before + 0.01 * i]), np.array([after * (1 + i)]), evaluations=True, largest=largest)
        for i in range(3)
    ]
    found = compare(pairs)
    assert found.status == "confirmed"
    assert found.before == pytest.approx(before + 0.01, rel=1e-6)


def test_an_evaluation_that_diverged_is_as_bad_as_any() -> None:
    pairs = [Pair(np.array([1e30 * 10**i]), np.array([0.05]), evaluations=True) for i in range(3)]
    found = compare(pairs)
    assert found.status == "confirmed"
    assert found.before == pytest.approx(0.05 + 3 * 1000 * 0.05)
    assert compare([Pair(np.array([math.nan]), np.array([0.4]), True, 1.0) for _ in range(3)]).before == 1.0


def test_evaluations_of_the_same_training_are_compared_one_by_one() -> None:
    """The same weights judged twice: seeds in which much is gained and others with less do not speak against it."""
    gains = (0.6, 0.05, 0.05)
    for same, status in ((True, "confirmed"), (False, "inconclusive")):
        pairs = [
            Pair(np.full(12, 0.9), np.full(12, 0.9 - gain), evaluations=True, largest=1.0, same_training=same)
            for gain in gains
        ]
        assert compare(pairs).status == status


def test_a_few_evaluations_of_the_same_weights_are_compared_by_their_answers() -> None:
    def answered(before: int, after: int, n: int = 400) -> list[Pair]:
        ends = [(np.array([before / n + 0.01 * s]), np.array([after / n])) for s in range(SEEDS)]
        return [Pair(a, b, True, 1.0, True, (before, after, n)) for a, b in ends]

    assert compare(answered(200, 40)).status == "confirmed"
    assert compare(answered(200, 190)).status == "inconclusive", "as many answers as this differ by chance"
    assert compare(answered(8, 1, 20)).status == "inconclusive"
    assert compare(answered(40, 40)).status != "confirmed"
    other = [Pair(p.control, p.patched, True, 1.0, False, p.answers) for p in answered(200, 40)]
    assert compare(other[:1]).status == "inconclusive", "of other weights the seeds tell"
