"""What can be said of a training that goes on: less than of one that is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis.engine import Diagnosis, diagnose
from flightcheck.recording.records import Plan
from flightcheck.recording.run import Run

_ONCE = "seen at one look only: it is told when the next one sees it, too"


class SoFar:
    """Judges a run again and again as it grows.

    Nothing is said before the learning pass is over: until then it is not known what kind of training it is (a GAN,
    reinforcement). A finding is told when two looks in a row see it: records are not all written at the same moment.

    Args:
        select: codes, or beginnings of codes, of the checks to apply; all if empty.
        ignore: codes to leave out.
    """

    def __init__(self, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> None:
        self.select, self.ignore = list(select), list(ignore)
        self._before: set[str] = set()
        self._steps = -1

    def judged(self, run: Run) -> Diagnosis:
        """The diagnosis as far as the run has come."""
        if not run.recorded(Plan):
            return diagnose(run, ())
        verdicts = run_checks(run, self.select, self.ignore)
        failed = {v.info.code for v in verdicts if v.findings}
        told = [v if not v.findings or v.info.code in self._before else _doubted(v) for v in verdicts]
        if run.info.steps != self._steps:
            self._before, self._steps = failed, run.info.steps
        return diagnose(run, told)


def _doubted(verdict: Verdict) -> Verdict:
    return replace(verdict, status="inconclusive", findings=(), reason=_ONCE)
