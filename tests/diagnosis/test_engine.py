"""One root cause first: the worked example of the catalogue, the faults that peers were tried on, the rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.checks.base import Finding, Verdict
from flightcheck.checks.registry import all_checks
from flightcheck.diagnosis import Diagnosis, diagnose
from flightcheck.diagnosis.engine import explains_crash
from flightcheck.diagnosis.graph import CAUSES, SYMPTOMS
from flightcheck.recording.records import Location, ModuleInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.testing import run_of
from tests.verdicts import failed, info_of, passed, undecided

RUN = run_of(steps=300, evaluations=3)


def roots(*verdicts: Verdict, run: Run = RUN) -> list[str]:
    return [f.code for f in diagnose(run, verdicts).roots]


def layers(*names: str) -> list[ModuleInfo | ParameterInfo]:
    """A stack of linear layers, each with one matrix of the same index."""
    modules = [ModuleInfo(i, f"net.{n}", "Linear", "linear", 0, order=i) for i, n in enumerate(names)]
    return [*modules, *[ParameterInfo(i, f"{n}.weight", i, [4, 4], "matrix") for i, n in enumerate(names)]]


# The worked example of the catalogue: SGD, learning rate 3, ReLU network.
DIVERGED = [
    failed("P01"), failed("C11", 5), failed("C08", 8), failed("C05", 40), failed("C07", 45), failed("C13", 60),
    failed("L16", 120), failed("P33", 200), failed("S07", 100),
]  # fmt: skip


def test_worked_example() -> None:
    diagnosis = diagnose(RUN, DIVERGED)
    (root,) = diagnosis.roots
    assert (root.code, root.root, root.rank) == ("P01", True, 1)
    assert diagnosis.explains == {"P01": ["C11", "C08", "C05", "C07", "C13", "S07", "L16", "P33"]}
    assert all(f.explained_by == "P01" for f in diagnosis.findings[1:])


def test_same_pattern_with_a_signal_lost_before_the_first_step() -> None:
    at_start = [replace(v, findings=(replace(v.findings[0], onset_step=0),)) for v in DIVERGED]
    diagnosis = diagnose(RUN, [*at_start, failed("C09")])
    assert [f.code for f in diagnosis.roots] == ["C09"]
    assert diagnosis.worst() == "error"  # the exit status does not forget what is folded under a warning


@pytest.mark.parametrize(
    ("fault", "verdicts", "root"),
    [
        ("double softmax", [failed("L03"), failed("L16", 90), failed("C07"), failed("P33", 150)], "L03"),
        ("no zero_grad", [failed("P12"), failed("C08", 10), failed("P01", 15), failed("C05", 60)], "P12"),
        ("optimizer of another model", [failed("P10"), failed("P08"), failed("C12"), failed("S07", 90)], "P10"),
        ("dead by learning rate", [failed("P01"), failed("C05", 10), failed("C02", 20)], "P01"),
        (
            "ten sigmoid layers",
            [failed("C07", evidence={"activation": "Sigmoid"}), failed("C09"), failed("C13"), failed("L16", 50)],
            "C07",
        ),
        ("MSE broadcast", [failed("L07"), failed("C13", 40), failed("L16", 90), failed("S07", 90)], "L07"),
        ("inputs 0 to 255", [failed("D03"), failed("P01"), failed("C05", 3), failed("C13"), failed("C08")], "D03"),
        ("labels shuffled", [failed("D07"), failed("S07", 100), failed("P33", 150)], "D07"),
        ("evaluation in training mode", [failed("C30", 60), failed("C25", 60), failed("P34", 90)], "C30"),
        ("NaN from log(0)", [failed("C14", 168), failed("P01", 168), failed("C08", 168), failed("C12", 170)], "C14"),
        ("all-zero initialization", [failed("C10"), failed("C02"), failed("C09"), failed("C12"), failed("C13")], "C10"),
        ("detached encoder", [failed("L17"), failed("C02"), failed("C12"), failed("P33", 200)], "L17"),
    ],
)  # fmt: skip
def test_faults_of_the_peers(fault: str, verdicts: list[Verdict], root: str) -> None:
    diagnosis = diagnose(RUN, [*verdicts, failed("T01"), passed("D01")])
    assert [f.code for f in diagnosis.roots] == [root], fault
    assert len(diagnosis.explains[root]) == len(verdicts) - 1


def test_the_activation_decides_between_vanishing_gradients_and_lost_signal() -> None:
    assert roots(failed("C07", evidence={"activation": "Tanh ×12"}), failed("C09")) == ["C07"]
    assert roots(failed("C07", evidence={"activation": "ReLU"}), failed("C09")) == ["C09"]


def test_divergence_before_the_nan_explains_it_and_not_after() -> None:
    assert roots(failed("P01", 30), failed("C14", 60)) == ["P01"]
    assert roots(failed("P01", 60), failed("C14", 60)) == ["C14"]
    assert roots(failed("P01", 70), failed("C14", 60)) == ["C14"]


def test_nan_in_the_input_explains_everything_non_finite() -> None:
    assert roots(failed("D01", 5), failed("C14", 5), failed("C08", 5), failed("P01", 6)) == ["D01"]


def test_a_step_behind_the_loop_explains_that_one_loss_is_left_of_it() -> None:
    behind = failed("P12")
    behind = replace(behind, findings=(replace(behind.findings[0], evidence={"loop": 60}),))
    assert roots(behind, failed("L23")) == ["P12"]
    assert set(roots(failed("P12"), failed("L23"))) == {"P12", "L23"}


def test_gradients_that_are_a_sum_explain_what_too_large_steps_do_where_that_is_told_as_a_fault() -> None:
    summed = failed("P21", 1000)
    assert roots(summed, failed("C13", 1240), failed("P33", 1300)) == ["P21"]
    known = replace(summed, findings=(replace(summed.findings[0], severity="info"),))
    assert "C13" in roots(known, failed("C13", 1240))


def test_learning_rate_zero_and_lost_state() -> None:
    assert roots(failed("P06", 50), failed("C12", 50), failed("C11", 50), failed("P33", 100)) == ["P06"]
    assert roots(failed("P12"), failed("P25", 40), failed("C11")) == ["P12"]


def test_an_effect_that_came_first_is_not_explained() -> None:
    # schedule ends at step 200; the plateau was there at step 20
    diagnosis = diagnose(RUN, [failed("P06", 200), failed("P33", 20)])
    assert [(f.code, f.explained_by) for f in diagnosis.findings] == [("P06", None), ("P33", None)]


def test_elsewhere_is_not_explained() -> None:
    run = run_of(*layers("encoder", "head"), steps=300)
    forgotten = failed("P08", parameters=(1,))
    assert roots(forgotten, failed("C12", parameters=(1,)), run=run) == ["P08"]
    diagnosis = diagnose(run, [forgotten, failed("C12", parameters=(0,))])
    assert diagnosis.explains == {}
    diagnosis = diagnose(run, [failed("P08", module="net.head"), failed("C12", parameters=(1,))])
    assert diagnosis.explains == {"P08": ["C12"]}


def test_gradients_travel_back_and_signals_forward() -> None:
    run = run_of(*layers("first", "middle", "last"), steps=300)
    dead = failed("C05", module="net.middle", onset=0)
    assert diagnose(run, [dead, failed("C07", module="net.first")]).explains == {"C05": ["C07"]}
    assert diagnose(run, [dead, failed("C07", module="net.last")]).explains == {}
    assert diagnose(run, [dead, failed("C13", module="net.last")]).explains == {"C05": ["C13"]}
    assert diagnose(run, [dead, failed("C13", module="net.first")]).explains == {}


def test_a_missing_path_is_not_a_number_that_went_wrong() -> None:
    cut = failed("C02", evidence={"gradient": "none", "cut": "detach"})
    assert set(roots(failed("P01"), cut)) == {"P01", "C02"}
    assert roots(failed("P01"), failed("C02", evidence={"gradient": "zero", "cut": ""})) == ["P01"]


def test_a_symptom_is_no_root_beside_one() -> None:
    diagnosis = diagnose(RUN, [failed("P13", onset=250), failed("S07", 20), failed("P33", 20)])
    assert [(f.code, f.root, f.explained_by) for f in diagnosis.findings] == [
        ("P13", True, None),
        ("S07", False, None),
        ("P33", False, "S07"),
    ]


def test_a_symptom_alone_comes_first() -> None:
    diagnosis = diagnose(RUN, [failed("T01"), failed("C13", 40), failed("L16", 90), failed("P33", 150)])
    assert (diagnosis.findings[0].code, diagnosis.findings[0].root) == ("C13", True)
    assert diagnosis.explains == {"C13": ["L16", "P33"]}


def test_vanishing_gradient_is_a_root_only_while_its_causes_are_silent() -> None:
    assert "C07" in roots(failed("C07"), failed("P13", onset=250))
    lost = failed("C07", evidence={"from_start": True})
    assert roots(lost, failed("P13", onset=250)) == ["C07"], "decay moves what no gradient moves"
    run = run_of(*layers("first", "last"), steps=300)
    assert roots(failed("C05", module="net.first"), failed("C07", module="net.last"), run=run) == ["C05"]


def test_no_exact_error_is_hidden_under_a_heuristic_root() -> None:
    # D03 explains P01, and P01 explains skipped steps; but D03 is a heuristic and P19 a fact
    diagnosis = diagnose(RUN, [failed("D03"), failed("P01"), failed("P19", 30), failed("C12", 30), failed("C14", 50)])
    assert {f.code for f in diagnosis.roots} == {"D03", "P19"}
    by_code = {f.code: f.explained_by for f in diagnosis.findings}
    assert by_code["C14"] == "D03"  # a fact that is a symptom by nature


def test_advice_is_no_root_and_hides_nothing() -> None:
    assert roots(failed("T01")) == []
    quiet = Verdict(info_of("P12", preview=True), "fail", "", (Finding("…"),))
    diagnosis = diagnose(RUN, [quiet, failed("P01")])
    assert [(f.code, f.severity, f.root) for f in diagnosis.findings] == [
        ("P01", "error", True),
        ("P12", "info", False),
    ]


def test_order_of_independent_roots() -> None:
    verdicts = [failed("P13"), failed("C30", 60), failed("D07"), failed("C14", 60), failed("L17")]
    # severity, then evidence, then the number of explained findings, then onset
    assert roots(*verdicts) == ["C14", "L17", "C30", "D07", "P13"]


def test_two_findings_of_one_check_are_both_told() -> None:
    two = Verdict(info_of("L03"), "fail", "", (Finding("first"), Finding("second")))
    diagnosis = diagnose(RUN, [two, failed("P33", 100)])
    assert [(f.code, f.rank) for f in diagnosis.roots] == [("L03", 1), ("L03", 2)]
    assert diagnosis.explains == {"L03": ["P33"]}


def test_nothing_found() -> None:
    assert diagnose(RUN, [passed("P01"), undecided("L03", "2 of 3 calls")]) == Diagnosis(
        (), (), (passed("P01"), undecided("L03", "2 of 3 calls")), {}
    )


def test_crashes_are_explained() -> None:
    def crashed(error: str, line: int = 9) -> Run:
        return run_of(steps=3, ended="exception", error=error, error_location=Location("train.py", line))

    def cause(run: Run, *verdicts: Verdict) -> str | None:
        found = explains_crash(run, diagnose(run, verdicts))
        return found.code if found else None

    no_grad = crashed("RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn")
    assert cause(no_grad, failed("D03"), failed("L17")) == "L17"
    alone = crashed("ValueError: Expected more than 1 value per channel when training, got input size [1, 8]")
    assert cause(alone, failed("L07"), failed("S04")) == "S04"
    assert cause(crashed("IndexError: Target 10 is out of bounds."), failed("L08")) == "L08"
    assert cause(crashed("ValueError: loss is nan"), failed("C14")) == "C14"
    assert cause(crashed("KeyError: 'x'"), failed("D03")) is None
    assert cause(crashed("KeyError: 'x'", line=4), failed("D03", location=Location("train.py", 4))) == "D03"
    assert cause(run_of(steps=3), failed("L17")) is None


def test_every_pair_of_checks_ends_in_a_diagnosis() -> None:
    """No pair of findings makes both vanish, whatever the table says."""
    codes = sorted({row.code for row in CAUSES} | SYMPTOMS)
    infos = {c: replace(info_of("L03"), code=c) for c in codes}
    for a in codes:
        for b in codes:
            verdicts = [Verdict(infos[c], "fail", "", (Finding("…"),)) for c in (a, b)]
            diagnosis = diagnose(RUN, verdicts)
            assert diagnosis.roots
            assert {f.explained_by for f in diagnosis.findings} <= {None, a, b}


def test_all_findings_at_once() -> None:
    codes = sorted({row.code for row in CAUSES} | SYMPTOMS)
    verdicts = [Verdict(replace(info_of("L03"), code=c), "fail", "", (Finding("…"),)) for c in codes]
    diagnosis = diagnose(RUN, verdicts)
    assert len(diagnosis.findings) == len(codes)
    assert all(f.root != (f.explained_by is not None) for f in diagnosis.findings if f.code not in SYMPTOMS)


def test_a_row_never_names_itself() -> None:
    assert [row for row in CAUSES if row.code in row.explains] == []


def test_the_table_names_checks_by_their_code() -> None:
    sections = "SLCPTD"
    codes = {c for row in CAUSES for c in (row.code, *row.explains)} | SYMPTOMS
    assert all(len(c) == 3 and c[0] in sections and c[1:].isdigit() for c in codes)
    assert all_checks()  # the table may name checks that come later


def test_targets_out_of_range_explain_a_binary_cross_entropy_without_floor() -> None:
    def roots_for(loss: str, **climbed: float) -> list[str]:
        outside = failed("L08", evidence={"loss": loss})
        return roots(outside, failed("L19", 90, evidence=climbed))

    assert roots_for("binary_cross_entropy_with_logits") == ["L08"]
    assert "L19" in roots_for("cross_entropy")
    assert "L19" in roots_for("binary_cross_entropy", coefficient=-1.0)  # a term whose sign is wrong is a fault itself


def test_an_output_at_its_limit_explains_zeros_that_never_change() -> None:
    assert roots(failed("C16"), failed("C10", evidence={"gradient": "zero"}), failed("C05", 20)) == ["C16"]
    assert "C10" in roots(failed("C16"), failed("C10", evidence={"gradient": "some"}))
