"""Where no loss measures progress, a fix of who learns is judged by who learns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Finding
from flightcheck.lab.agenda import investigate
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.experiments import TRAINED_SHARE, Lab
from flightcheck.lab.trials import Trial
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import GraphCut, ParameterInfo
from tests.checks._network import line, network, with_parameters
from tests.lab.test_experiments import Numbers, watched
from tests.verdicts import info_of

KEEP = "keep-graph:train.py:40"
CUT_OFF: dict[str, Any] = {
    "gradients_seen": 0, "gradients_nonzero": 0, "in_graph": False, "updates_nonzero": 0,
}  # fmt: skip


class Players(Numbers):
    """Four parameters; a cut takes the gradient from two of them unless a patch keeps the graph."""

    def __init__(self, works: bool = True, **how: Any) -> None:
        super().__init__(**how)
        self.works = works
        self.more = self.parameters

    def parameters(self, trial: Trial) -> list[Any]:
        if trial.patches and self.works:
            return network(4, updates_nonzero=9)
        cut = GraphCut("detach", line(40), 0, [0, 1])
        return [*with_parameters(network(4, updates_nonzero=9), 0, 1, **CUT_OFF), cut]


def found(runner: Numbers, code: str = "C02", regime: str = "gan") -> list[Experiment]:
    candidate = Candidate(info_of(code), Finding("", line(40), evidence={"cut": "detach"}, patch=KEEP))
    return list(investigate(Lab(runner, 60.0), watched(regime), [candidate]))


@pytest.mark.parametrize("regime", ["gan", "reinforcement"])
def test_parameters_that_learn_confirm(regime: str) -> None:
    (e,) = found(Players(), regime=regime)
    assert (e.status, e.metric, e.before, e.after, e.seeds) == ("confirmed", TRAINED_SHARE, 0.5, 1.0, 3)
    assert e.gone == ["C02"]
    assert "keep-graph" in e.patch


def test_a_finding_that_stays_confirms_nothing() -> None:
    runner = Players(works=False)
    (e,) = found(runner)
    assert (e.status, e.reason, e.seeds) == ("inconclusive", "with it C02 stays", 1)


def test_a_finding_that_is_gone_while_no_more_parameters_move_confirms_nothing() -> None:
    class Decayed(Players):
        def parameters(self, trial: Trial) -> list[Any]:
            """Weight decay moves the cut parameters without a gradient: as many move with the patch."""
            return [
                replace(r, updates_nonzero=9) if isinstance(r, ParameterInfo) else r for r in super().parameters(trial)
            ]

    (e,) = found(Decayed())
    assert (e.status, e.reason, e.gone) == ("inconclusive", "with it no more parameters learn", ["C02"])


def test_what_is_no_matter_of_wiring_is_not_tried() -> None:
    (e,) = found(Players(), code="L07")
    assert (e.status, e.reason) == ("untested", "the losses of players against each other do not measure progress")


def test_a_failing_trial_says_nothing() -> None:
    (e,) = found(Players(failures={"": "the trial took too long"}))
    assert (e.status, e.reason) == ("untested", "the trial took too long")


def test_no_time_is_told() -> None:
    (e,) = list(
        investigate(Lab(Players(), 0.0), watched("gan"), [Candidate(info_of("C02"), Finding("", line(40), patch=KEEP))])
    )
    assert e.status == "untested"
    assert "time" in e.reason
