"""What the answers of a trial's evaluations say."""

from __future__ import annotations

from flightcheck.lab.trials import Trained, Trial
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.inputs import Confusion
from flightcheck.testing import run_of


def test_answers_of_the_first_evaluations_say_nothing_of_the_last_ones() -> None:
    known = [Confusion(i, [[3, 1], [2, 4]]) for i in (1, 2, 3)]
    told = Trained(Trial(), run_of(*known, *(Evaluation(i, 0, 1, None) for i in (1, 2, 3, 4))))
    assert told.answered() == (3, 10) and len(told.series("answers")) == 3
    late = Trained(Trial(), run_of(*known, *(Evaluation(i, 0, 1, None) for i in range(1, 200))))
    assert late.answered() is None and not len(late.series("answers"))
