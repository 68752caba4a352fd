"""What was tried changes the diagnosis: a proof is louder, a refutation is quieter, a fact stays a fact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.checks.base import Finding, Verdict
from flightcheck.diagnosis import Diagnosis, diagnose
from flightcheck.diagnosis.engine import _tried
from flightcheck.recording.experiments import Experiment, Status
from flightcheck.testing import run_of
from tests.verdicts import failed


def diagnosed(*verdicts: Verdict, tried: tuple[tuple[str, Status], ...] = ()) -> Diagnosis:
    experiments = [Experiment(code, f"patch-of-{i}", status=status) for i, (code, status) in enumerate(tried)]
    return diagnose(run_of(*experiments, steps=300, evaluations=3), verdicts)


def codes(diagnosis: Diagnosis) -> list[str]:
    return [f.code for f in diagnosis.findings]


def test_a_refuted_heuristic_is_told_apart() -> None:
    diagnosis = diagnosed(failed("D03"), failed("P33", 100), tried=(("D03", "refuted"),))
    assert codes(diagnosis) == ["P33"]
    assert [f.code for f in diagnosis.refuted] == ["D03"]
    assert diagnosis.refuted[0].tried is not None
    assert diagnosis.explains == {}
    assert [f.code for f in diagnosis.roots] == ["P33"]


@pytest.mark.parametrize("code", ["P12", "L03", "P01"])
def test_what_is_exact_bounded_or_tested_stays_though_its_fix_is_refuted(code: str) -> None:
    diagnosis = diagnosed(failed(code), tried=((code, "refuted"),))
    assert codes(diagnosis) == [code]
    assert diagnosis.findings[0].severity == "error"
    assert diagnosis.refuted == ()


@pytest.mark.parametrize(
    ("status", "severity"), [("confirmed", "error"), ("inconclusive", "warn"), ("untested", "warn")]
)
def test_a_heuristic_warning_that_is_confirmed_becomes_an_error(status: Status, severity: str) -> None:
    diagnosis = diagnosed(failed("D03"), tried=(("D03", status),))
    assert (diagnosis.findings[0].severity, diagnosis.worst()) == (severity, severity)


def test_advice_never_becomes_an_error() -> None:
    verdict = failed("D03", severity="info")
    assert diagnosed(verdict, tried=(("D03", "confirmed"),)).findings[0].severity == "info"


def test_of_several_findings_of_a_check_only_those_whose_fix_was_tried_are_proved() -> None:
    one, other = (Finding("cut", patch=f"keep-graph:train.py:{line}") for line in (47, 48))
    verdict = replace(failed("C02"), findings=(one, other))

    def proved(patch: str) -> list[bool]:
        run = run_of(Experiment("C02", patch, status="confirmed"), steps=300)
        return [f.tried is not None for f in diagnose(run, [verdict]).findings]

    assert proved("keep-graph:train.py:47") == [True, False]
    assert proved("keep-graph:train.py:47 + keep-graph:train.py:48") == [True, True]
    assert proved("a question's own") == [True, False]


def test_confirmed_comes_before_unconfirmed() -> None:
    both = (failed("P12"), failed("D07"))
    assert [f.code for f in diagnosed(*both).roots] == ["P12", "D07"]
    assert [f.code for f in diagnosed(*both, tried=(("D07", "confirmed"),)).roots] == ["D07", "P12"]
    assert [f.code for f in diagnosed(*both, tried=(("P12", "refuted"),)).roots] == ["P12", "D07"]
    weaker = (failed("P01"), failed("D07"))
    assert diagnosed(*weaker).roots[0].code == "D07"
    assert [f.code for f in diagnosed(*weaker, tried=(("D07", "refuted"),)).roots] == ["P01", "D07"]


def test_one_confirmed_alternative_is_enough_and_refuted_are_all_together() -> None:
    alternatives = diagnosed(failed("P01"), tried=(("P01", "refuted"), ("P01", "confirmed"), ("P01", "inconclusive")))
    assert alternatives.findings[0].tried is not None
    assert alternatives.findings[0].tried.patch == "patch-of-1"
    undecided = diagnosed(failed("D03"), tried=(("D03", "refuted"), ("D03", "inconclusive")))
    assert codes(undecided) == ["D03"]


def test_questions_are_no_fixes() -> None:
    question = Experiment("D03", "inputs:permute", purpose="question", status="refuted")
    diagnosis = diagnose(run_of(question, steps=300), [failed("D03")])
    assert codes(diagnosis) == ["D03"]
    assert diagnosis.findings[0].tried is None


def test_what_its_own_fix_removes_is_not_the_work_of_a_cause_whose_fix_does_not() -> None:
    rivals = (failed("D03"), failed("P01"))
    assert diagnosed(*rivals).explains == {"D03": ["P01"]}
    apart = diagnosed(*rivals, tried=(("D03", "inconclusive"), ("P01", "confirmed")))
    assert apart.explains == {}
    assert [f.code for f in apart.roots] == ["P01", "D03"]
    together = diagnosed(*rivals, tried=(("D03", "confirmed"), ("P01", "confirmed")))
    assert together.explains == {"D03": ["P01"]}


def test_of_two_trials_that_confirm_the_same_change_the_longer_one_is_shown() -> None:
    both = [
        Experiment("P02", "lr:x10", status="confirmed", steps=n, before=1.0, after=0.1, start=1.1) for n in (80, 900)
    ]
    shown = _tried(run_of(*both, steps=300))["P02"]
    assert shown.steps == 900
    another = [both[0], Experiment("P02", "lr:x100", status="confirmed", steps=900)]
    assert _tried(run_of(*another, steps=300))["P02"].steps == 80
