"""What people read, as snapshots."""

from __future__ import annotations

import io
from textwrap import dedent
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location
from flightcheck.report.console import console_for
from flightcheck.report.terminal import print_report
from tests.report.made import DOUBLED, FAULTY, HEALTHY, case, run_with
from tests.verdicts import failed, info_of, passed, undecided


def printed(*verdicts: Verdict, width: int = 90, everything: bool = False, quiet: bool = False, **info: Any) -> str:
    out = io.StringIO()
    run, diagnosis = case(*verdicts, **info)
    print_report(run, diagnosis, console_for(out, width), everything=everything, quiet=quiet)
    return out.getvalue()


def snapshot(text: str) -> str:
    """The text of a test without its indentation."""
    return dedent(text).lstrip("\n")


def test_root_cause_first() -> None:
    assert printed(*FAULTY) == snapshot("""
        ✗ L03 double-softmax                                                           train.py:41
          41 │ return torch.softmax(x, dim=1)
          CrossEntropyLoss received probabilities (rows sum to 1 in 50 of 50 observed calls), so
          its floor is 1.461 and not 0.
          Fix:   Return the logits from forward(); apply softmax only when predicting.
          Explains 2 more findings: C07 vanishing-gradient, P33 plateau

        ! P13 weight-decay-misapplied                                                  train.py:12
          Weight decay 0.5 shrinks norm gains.
          Fix:   The fix of P13.

        2 checks passed, 1 inconclusive, 1 note (flightcheck show --all) · 300 steps and 2
        evaluations · observed 14 of 14 modules, every 3rd step · cost 1.3 %
        """)


def test_everything() -> None:
    assert printed(DOUBLED, failed("P33", 200), failed("T01"), passed("P01"), undecided("D07", "1 of 8 batches"),
                   everything=True) == snapshot("""
        ✗ L03 double-softmax                                                           train.py:41
          41 │ return torch.softmax(x, dim=1)
          CrossEntropyLoss received probabilities (rows sum to 1 in 50 of 50 observed calls), so
          its floor is 1.461 and not 0.
          Fix:   Return the logits from forward(); apply softmax only when predicting.
          Explains 1 more finding: P33 plateau

        ! P33 plateau
          The message of P33.
          Fix:   The fix of P33.
          Explained by L03.

        · T01 seed-not-set
          The message of T01.
          Fix:   The fix of T01.

        Confirm your loss
          ✗ L03 double-softmax failed
        Diagnose parameters
          ✓ P01 lr-too-high passed
          ✗ P33 plateau failed
        Track your work
          · T01 seed-not-set noted
        Data
          ? D07 inputs-and-labels-misaligned inconclusive: 1 of 8 batches

        1 check passed, 1 inconclusive, 1 note · 300 steps and 2 evaluations · observed 14 of 14
        modules, every 3rd step · cost 1.3 %
        """)  # fmt: skip


def test_nothing_found_is_one_quiet_line() -> None:
    assert printed(*HEALTHY, width=60) == (
        "✓ flightcheck: nothing found in 300 steps and 2 evaluations · "
        "3 checks passed, 1 inconclusive (flightcheck show --all) · cost 1.3 %\n"
    )
    assert printed(passed("P01"), overhead=None) == (
        "✓ flightcheck: nothing found in 300 steps and 2 evaluations · 1 check passed, 0 inconclusive\n"
    )


def test_a_cost_below_nothing_is_an_error_of_ours_and_not_free_of_charge() -> None:
    told = printed(*HEALTHY, overhead=-0.2)
    assert "cost unknown: -20.0 % was measured, which is an error of Flightcheck" in " ".join(told.split())
    assert "cost 0.0 %" in printed(*HEALTHY, overhead=0.0)


def test_beside_short_steps_the_cost_is_said_in_microseconds_as_well() -> None:
    assert "cost 14.2 % (48 µs a step)" in printed(*HEALTHY, overhead=0.142, overhead_seconds=48e-6)
    assert "a step" not in printed(*HEALTHY, overhead=0.013, overhead_seconds=48e-6)
    assert "a step" not in printed(*HEALTHY, overhead=0.142, overhead_seconds=5e-3)


def test_nothing_decided_is_not_called_healthy() -> None:
    assert printed(undecided("D07", "1 of 8 batches"), steps=1, evaluations=0).startswith(
        "? flightcheck: nothing could be decided in 1 step and 0 evaluations · 0 checks passed, 1 inconclusive"
    )


def test_quiet() -> None:
    assert printed(*HEALTHY, quiet=True) == ""
    assert printed(failed("T01"), quiet=True) == ""
    assert "checks passed" not in printed(*FAULTY, quiet=True)
    assert printed(*FAULTY, quiet=True).startswith("✗ L03")


def test_a_crash_is_told_with_its_place_and_its_cause() -> None:
    ended: dict[str, Any] = {
        "ended": "exception",
        "error": "IndexError: Target 10 is out of bounds.",
        "error_location": Location("train.py", 50),
        "steps": 12,
    }
    assert printed(failed("L08"), width=150, **ended).splitlines()[0] == (
        "The script ended with IndexError: Target 10 is out of bounds. at train.py:50 after 12 steps "
        "(explained by L08 target-invalid)."
    )
    assert "explained" not in printed(*HEALTHY, **ended)


@pytest.mark.parametrize(
    ("info", "line"),
    [
        ({"ended": "interrupted"}, "The script was interrupted after 300 steps; this is what was seen until then."),
        ({"ended": "exit", "exit_code": 3}, "The script exited with status 3 after 300 steps."),
        (
            {"ended": "running"},
            "The script has not ended, or was killed, after 300 steps; this is what was recorded until then.",
        ),
    ],
)
def test_how_the_script_ended(info: dict[str, Any], line: str) -> None:
    assert printed(*HEALTHY, width=110, **info).splitlines()[0] == line


def test_nothing_trained_is_one_sentence() -> None:
    assert printed(*HEALTHY, steps=0, seconds=2.1, width=200) == (
        "flightcheck: no training was seen: the script called neither backward() nor an optimizer's step() "
        "in the 2 s that it ran.\n"
    )


@pytest.mark.parametrize("width", [40, 60, 100])
def test_lines_fit_the_width(width: int) -> None:
    text = printed(*FAULTY, width=width, everything=True)
    assert max(map(len, text.splitlines())) <= width


def test_a_long_path_gets_its_own_line() -> None:
    path = "/somewhere/" + "deep/" * 10 + "train.py"
    lines = printed(failed("P01", location=Location(path, 3)), width=60).splitlines()
    assert lines[:2] == ["✗ P01 lr-too-high", f"  {path}:3"]


def test_no_trailing_blanks() -> None:
    assert all(line == line.rstrip() for line in printed(*FAULTY, everything=True).splitlines())


def test_strings_of_the_user_are_data() -> None:
    nasty = "[bold red]x[/] [link=http://a.b]y[/link] \x1b[31mred\x1b[0m\x1b[2J\x07 :smile:"
    text = printed(failed("P01", message=nasty, location=Location("[red]a.py", 1, "", nasty), module=nasty))
    assert "[bold red]x[/] [link=http://a.b]y[/link] red\ufffd[2J\ufffd :smile:" in text
    assert "[red]a.py:1" in text
    assert "\x1b" not in text


def test_colors_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def on_terminal() -> str:
        out = Terminal()
        print_report(*case(*FAULTY), console_for(out, 90))
        return out.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert "\x1b[1;31m" in on_terminal()
    assert "\x1b" not in printed(*FAULTY)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in on_terminal()


def test_a_damaged_file_and_a_broken_check_are_told() -> None:
    out = io.StringIO()
    run = run_with()
    run.damage.append("record Call 3")
    broken = Verdict(info_of("D03"), "error", "ZeroDivisionError: division by zero")
    _, diagnosis = case(*HEALTHY, broken)
    print_report(run, diagnosis, console_for(out, 200))
    first, second = out.getvalue().splitlines()
    assert first == "The run file is damaged, what could be read is used (unreadable: record Call 3)."
    assert "1 broke" in second
