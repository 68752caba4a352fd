"""The same bits, the same within noise, or not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from flightcheck.recording.batches import Evaluation
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.reproduction.curves import curves, noise


def run(losses: Sequence[float], every: int = 1, evaluations: Sequence[float] = ()) -> Run:
    steps = np.arange(0, len(losses) * every, every, dtype=np.int64)
    rows = [np.array([x], dtype=np.float32) for x in losses]
    records = {"Evaluation": [Evaluation(0, i, 1, None, loss_value=x) for i, x in enumerate(evaluations)]}
    return Run(records, {LOSS.name: (steps, rows)})


def seeded(seed: int, end: float = 0.5, steps: int = 100) -> Run:
    generator = np.random.default_rng(seed)
    scale = 1 + 0.05 * generator.normal()
    return run([float(scale * (end + math.exp(-i / 10)) + 0.01 * generator.normal()) for i in range(steps)])


def test_the_same_bits() -> None:
    (found,) = curves(run([1.0, math.nan, 0.5]), run([1.0, math.nan, 0.5]))
    assert (found.same, found.points, found.equal) == (True, 3, 3)
    assert found.in_words() == "training loss: the same bits at all 3 points"


def test_one_bit_is_another() -> None:
    other = float(np.nextafter(np.float32(0.5), np.float32(1)))
    found, evaluated = curves(run([1.0, 0.5], 10, [0.25]), run([1.0, other], 10, [0.25]))
    assert (found.same, found.differs_at, found.equal, evaluated.same) == (False, 10, 1, True)
    assert "from step 10 on (0.5 → 0.5000000596" in found.in_words()


def test_evaluations_count_too() -> None:
    found = curves(run([1.0], evaluations=[0.5, 0.4]), run([1.0], evaluations=[0.5, 0.3]))
    assert [(c.name, c.same) for c in found] == [("training loss", True), ("loss of evaluations", False)]


def test_no_common_step() -> None:
    one, other = run([1.0, 2.0], 2), run([1.0])
    other.frames[LOSS.name] = (np.array([1]), other.frames[LOSS.name][1])
    assert curves(one, other) == []


def test_noise_holds_what_other_seeds_make_and_rejects_what_they_do_not() -> None:
    repetitions = [seeded(s) for s in range(4)]
    inside = [all(n.within for n in noise(seeded(100 + s), repetitions)) for s in range(200)]
    assert sum(inside) >= 0.85 * len(inside)  # 95 % of samples of repetitions and original; this one is one sample
    assert [n.within for n in noise(seeded(7, end=5.0), repetitions)] == [False, False]


def test_the_interval_has_the_coverage_that_it_claims() -> None:
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        losses = generator.normal(size=(5, 1))
        found = noise(run(losses[0].tolist()), [run(x.tolist()) for x in losses[1:]])
        inside += all(n.within for n in found)
    assert 0.94 <= inside / 400 <= 1.0


def test_equal_repetitions_leave_no_room_for_noise() -> None:
    repetitions = [run([1.0, 0.5])] * 4
    assert not all(n.within for n in noise(run([1.0, 0.6]), repetitions))


def test_too_few_repetitions_or_no_finite_number_say_nothing() -> None:
    assert noise(run([1.0]), [run([1.0])] * 2) == []
    assert noise(run([math.nan]), [run([1.0])] * 4) == []
