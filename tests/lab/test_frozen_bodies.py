"""A body that is frozen at random values is trained in a trial: a short one, and a long one where that shows nothing."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.lab.agenda import investigate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.trials import Trained, Trial
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, ParameterInfo
from tests.checks._network import network
from tests.lab.test_experiments import Numbers, watched

FROZE = Location("train.py", 69, "", "weight.requires_grad = False")


def asked(runner: Numbers) -> list[Experiment]:
    frozen = {
        "requires_grad": False, "optimizers": [], "in_graph": False, "frozen_location": FROZE,
        "gradients_seen": 0, "gradients_nonzero": 0, "updates_nonzero": 0,
    }  # fmt: skip
    records = [replace(r, **frozen) if isinstance(r, ParameterInfo) and r.index < 5 else r for r in network(6)]
    run = watched(extra=records)
    return [e for e in investigate(Lab(runner, 60.0), run, []) if e.question == "P11"]


class Late(Numbers):
    """With the patch nothing is learnt in the first hundred steps either."""

    def _one(self, trial: Trial) -> Trained:
        self.ends["unfreeze:net"] = 0.4 if trial.steps > 100 else 1.95
        return super()._one(trial)


def test_what_learns_soon_is_confirmed_at_once() -> None:
    assert [(e.status, e.steps) for e in asked(Numbers({"unfreeze:net": 0.4}))] == [("confirmed", 80)]


def test_what_learns_late_is_given_more_steps() -> None:
    assert [(e.status, e.steps) for e in asked(Late())] == [("inconclusive", 80), ("confirmed", 300)]


def test_what_learns_no_better_is_no_fault() -> None:
    assert {e.status for e in asked(Numbers({"unfreeze:net": 1.99}))} == {"inconclusive"}
