"""L25 value-behind-the-end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flightcheck.recording.episode_ends import UnendedTarget, chance_of
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

LINE, FLAG = Location("train.py", 90), Location("train.py", 55)
FOUND = UnendedTarget(0, LINE, 1, 8, 0, FLAG, 1, 1, rows=512, ends=20, chance=1e-12)


def test_a_target_without_the_ends_fails_at_its_discount() -> None:
    (finding,) = verdict_of("L25", run_of(FOUND)).findings
    assert finding.location == LINE
    assert finding.patch == "episode-end:train.py:90,train.py:55,1,1"
    assert "line 55" in finding.message


def test_a_mask_passes() -> None:
    assert verdict_of("L25", run_of(replace(FOUND, masked=8))).status == "pass"
    assert verdict_of("L25", run_of(replace(FOUND, masked=1))).status == "pass"


def test_flags_that_say_nothing_of_the_state_are_inconclusive() -> None:
    for unsure in (replace(FOUND, chance=1.0), replace(FOUND, ends=2), replace(FOUND, calls=2)):
        assert verdict_of("L25", run_of(unsure)).status == "inconclusive"


def test_without_such_a_target_it_is_skipped() -> None:
    assert verdict_of("L25", run_of()).status == "skipped"


def test_states_outside_of_the_others_are_no_chance_and_limits_of_time_are() -> None:
    states = np.random.default_rng(0).uniform(-1.2, 1.2, (400, 2))
    fallen = np.abs(states[:, 0]) > 1
    chance, count = chance_of(states, fallen)
    assert count == int(fallen.sum())
    assert chance < 1e-12
    late = np.zeros(400, dtype=bool)
    late[::20] = True
    assert chance_of(states, late)[0] == 1.0


def test_a_feature_of_the_state_is_no_end() -> None:
    states = np.random.default_rng(0).uniform(-1, 1, (400, 2))
    key = states[:, 0] > 0.8
    assert chance_of(np.column_stack([states[:, 1], key]), key) == (1.0, 0)
    assert chance_of(np.column_stack([states[:, 1], ~key]), key) == (1.0, 0)


def test_an_end_that_was_drawn_often_is_one_end() -> None:
    states = np.vstack([np.random.default_rng(0).uniform(-1, 1, (50, 2)), np.full((9, 2), 2.0)])
    chance, count = chance_of(states, states[:, 0] > 1)
    assert (count, chance > 0.05) == (1, True)
