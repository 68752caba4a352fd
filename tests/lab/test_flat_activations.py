"""Where nothing is learnt through saturating activations, ReLU takes their place in a trial."""

from __future__ import annotations

import pytest

from flightcheck.checks.connections.c07_vanishing_gradient import SWAPPED
from flightcheck.lab.agenda import investigate
from flightcheck.lab.experiments import Lab
from flightcheck.recording.experiments import Experiment
from tests.checks._network import network
from tests.lab.test_experiments import Numbers, watched


def asked(activation: str, runner: Numbers) -> list[Experiment]:
    run = watched(extra=network(4, activation=activation))
    return [e for e in investigate(Lab(runner, 60.0), run, []) if e.question == "C07"]


def test_what_learns_with_relu_is_confirmed() -> None:
    (e,) = asked("Sigmoid", Numbers({SWAPPED: 0.5}, control=2.29))
    assert (e.patch, e.status, e.steps) == (SWAPPED, "confirmed", 80)


def test_what_does_not_is_not() -> None:
    found = asked("Sigmoid", Numbers({SWAPPED: 2.25}, control=2.29))
    assert [e.steps for e in found] == [80, 300]
    assert {e.status for e in found} == {"inconclusive"}, "five times as much is asked for, and 5 % of the start"


@pytest.mark.parametrize(("activation", "control"), [("ReLU", 2.29), ("Sigmoid", 1.0)])
def test_other_layers_and_trainings_that_learn_are_not_asked(activation: str, control: float) -> None:
    assert asked(activation, Numbers({SWAPPED: 0.5}, control=control)) == []
