"""What becomes of the findings of a check that cannot decide the rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check, run_check
from flightcheck.recording.records import RootInfo
from flightcheck.recording.run import Run
from flightcheck.testing import run_of

ROOTS = [RootInfo(0, "generator", "Net"), RootInfo(1, "critic", "Net")]


@pytest.mark.parametrize("reason", [NotEnoughEvidence("one batch"), NotApplicable("no model")])
def test_what_was_found_stands_though_of_the_rest_nothing_is_known(reason: Exception) -> None:
    @check("X99", "of-two-models", severity="warn", evidence="X", needs=(), fix="None.")
    class OfTwoModels(Check):
        """The first has a fault, of the second nothing is known."""

        def __call__(self, run: Run) -> Iterator[Finding]:
            yield from (Finding(r.name) for r in run.roots[:1])
            raise reason

    verdict = run_check(OfTwoModels, run_of())
    assert (verdict.status, verdict.reason) == (
        "inconclusive" if reason.args[0] == "one batch" else "skipped",
        str(reason),
    )
    verdict = run_check(OfTwoModels, run_of(*ROOTS))
    assert (verdict.status, [f.message for f in verdict.findings]) == ("fail", ["generator"])
