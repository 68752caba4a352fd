"""check and run: what belongs to the script, what is refused before it starts, the exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from flightcheck.cli.main import COMMANDS, main
from flightcheck.recording.store import FILE_NAME
from tests.cli.made import PROBABILITIES, FakeSession

Output = pytest.CaptureFixture[str]


def one_sentence(capsys: Output) -> str:
    """What a refusal prints: nothing on stdout, one sentence of ours on stderr."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("flightcheck: ")
    assert "Traceback" not in err
    assert err.count("flightcheck: ") == 1
    return err.removeprefix("flightcheck: ").rstrip("\n")


def test_everything_after_the_script_is_the_scripts(session: FakeSession) -> None:
    assert main(["check", "--steps", "10", "train.py", "--lr", "3", "--json", "x", "-m", "--", "y"]) == 0
    (options,) = session.asked
    assert (options.script, options.module) == ("train.py", None)
    assert options.arguments == ["--lr", "3", "--json", "x", "-m", "--", "y"]
    assert (options.mode, options.steps, options.seconds, options.budget) == ("check", 10, 60.0, 0.02)
    assert options.runs_dir == Path(".flightcheck/runs")


def test_our_options_behind_a_script_that_does_not_know_them_are_told(session: FakeSession, capsys: Output) -> None:
    Path("train.py").write_text("import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--steps')\n")
    main(["check", "--lab-budget", "0", "train.py", "--steps", "3", "--lab-budget=0", "--mine"])
    said = capsys.readouterr().err
    assert "--lab-budget stands behind train.py, so it went to the script" in said
    assert "--steps stands" not in said
    assert "--mine stands" not in said


def test_a_module_and_its_arguments(session: FakeSession) -> None:
    Path("pkg").mkdir()
    Path("pkg/__init__.py").write_text("raise RuntimeError('imported before the run')\n")
    Path("pkg/train.py").write_text("")
    assert main(["run", "--budget=0.1", "-m", "pkg.train", "--lr", "3", "--all"]) == 0
    (options,) = session.asked
    assert (options.script, options.module, options.arguments) == (None, "pkg.train", ["--lr", "3", "--all"])
    assert (options.mode, options.steps, options.seconds, options.budget) == ("run", None, None, 0.1)


def test_two_dashes_end_our_options(session: FakeSession) -> None:
    Path("-odd.py").write_text("")
    assert main(["check", "--", "-odd.py", "-x"]) == 0
    assert (session.asked[0].script, session.asked[0].arguments) == ("-odd.py", ["-x"])


def test_the_report_goes_to_stderr(session: FakeSession, capsys: Output) -> None:
    assert main(["check", "train.py"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("✓ flightcheck: nothing found in 300 steps and 2 evaluations · ")
    (page,) = err.splitlines()[1:]
    assert page.startswith("Page: .flightcheck/runs/20261123-1/report.html (")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 1),
        (["--fail-on", "info"], 1),
        (["--fail-on", "critical"], 0),
        (["--fail-on", "never"], 0),
        (["--ignore", "L03"], 0),
        (["--select", "l03"], 1),
        (["--select", "L", "--ignore", "L0"], 0),
    ],
)
def test_exit_status(session: FakeSession, options: list[str], status: int) -> None:
    session.call = PROBABILITIES
    assert main(["check", *options, "train.py"]) == status


def test_experiments_are_run_after_a_check(session: FakeSession, capsys: Output) -> None:
    session.call = PROBABILITIES
    assert main(["check", "--jobs", "3", "train.py", "--lr", "0.1"]) == 1
    ((script, folder, jobs, runner),) = session.labs
    assert (script.script, script.module, script.arguments) == ("train.py", None, ["--lr", "0.1"])
    assert script.cwd == Path.cwd()
    assert folder == session.asked[0].runs_dir / "20261123-1"
    assert jobs == 3
    assert {str(t) for t in runner.asked} == {"unchanged, seed 0", "drop-module:softmax, seed 0"}
    assert runner.closed
    assert "Tried: without the softmax before the loss: untested (nothing is run here)" in capsys.readouterr().err


def test_a_module_is_tried_as_a_module(session: FakeSession) -> None:
    Path("pkg").mkdir()
    Path("pkg/train.py").write_text("")
    main(["check", "-m", "pkg.train", "x"])
    ((script, _, jobs, _),) = session.labs
    assert (script.script, script.module, script.arguments) == (None, "pkg.train", ["x"])
    assert 1 <= jobs <= 4


@pytest.mark.parametrize("none", ["0", "0.0"])
def test_no_budget_no_trials(session: FakeSession, none: str) -> None:
    session.call = PROBABILITIES
    assert main(["check", "--lab-budget", none, "train.py"]) == 1
    assert main(["check", f"--lab-budget={none}", "train.py"]) == 1
    assert main(["run", "train.py"]) == 1
    assert session.labs == []


def test_experiments_that_fail_do_not_cost_the_report(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    session.call = PROBABILITIES
    monkeypatch.setattr("flightcheck.investigation.experiment", lambda *_: 1 / 0)
    assert main(["check", "train.py"]) == 1
    err = capsys.readouterr().err
    assert "flightcheck: no experiments, by a fault of ours (ZeroDivisionError: division by zero)\n" in err
    assert "L03 double-softmax" in err


def test_an_interrupt_ends_experiments_and_the_report_is_printed(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    session.call = PROBABILITIES
    monkeypatch.setattr("flightcheck.investigation.experiment", interrupted)
    assert main(["check", "train.py"]) == 1
    assert "L03 double-softmax" in capsys.readouterr().err


def test_a_failed_script_keeps_its_own_exit_status(session: FakeSession, capsys: Output) -> None:
    session.call, session.exit_code, session.failed = PROBABILITIES, 7, True
    assert main(["run", "--fail-on", "never", "train.py"]) == 7
    assert "L03 double-softmax" in capsys.readouterr().err


def test_nothing_trained(session: FakeSession, capsys: Output) -> None:
    session.info = {"steps": 0}
    assert main(["check", "--quiet", "train.py"]) == 2
    assert capsys.readouterr().err.count("no training was seen") == 1
    assert main(["run", "train.py"]) == 0
    session.exit_code, session.failed = 5, True
    assert main(["check", "train.py"]) == 5


def test_quiet_and_all(session: FakeSession, capsys: Output) -> None:
    assert main(["check", "--quiet", "train.py"]) == 0
    assert capsys.readouterr().err == ""
    main(["check", "--all", "--select", "L03", "train.py"])
    assert "✓ L03 double-softmax passed" in capsys.readouterr().err


def test_reports_for_machines(session: FakeSession, capsys: Output) -> None:
    session.call = PROBABILITIES
    assert main(["check", "--json", "a.json", "--sarif", "b.sarif", "train.py"]) == 1
    assert json.loads(Path("a.json").read_text())["root_causes"] == ["L03"]
    assert json.loads(Path("b.sarif").read_text())["version"] == "2.1.0"
    assert not session.asked[0].json_to_stdout
    capsys.readouterr()
    assert main(["check", "--json", "-", "train.py"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["root_causes"] == ["L03"]
    assert "L03" in err
    assert session.asked[1].json_to_stdout


def test_nobody_reads_the_report(tmp_path: Path) -> None:
    script = """
import sys
from tests.cli.made import FakeSession, PROBABILITIES
sys.modules["flightcheck.session"] = session = FakeSession()
session.call = PROBABILITIES
from flightcheck.cli.main import COMMANDS, main
sys.exit(main(["check", "--lab-budget", "0", "--json", "-", "train.py"]))
"""
    (tmp_path / "train.py").write_text("")
    command = ["bash", "-c", '"$0" -c "$1" 2>&1 | true; exit ${PIPESTATUS[0]}', sys.executable, script]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(command, cwd=tmp_path, check=False, env={**os.environ, "PYTHONPATH": root}, timeout=60)
    assert done.returncode == 1


def test_a_report_that_fails_does_not_change_the_exit_status(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("flightcheck.diagnosis.engine.diagnose", lambda *_: 1 / 0)
    assert main(["run", "train.py"]) == 0
    assert "by a fault of ours (ZeroDivisionError: division by zero); the run is in" in one_sentence(capsys)


REFUSED = [
    (["check", "gone.py"], "gone.py: there is no such script (current folder: {cwd})"),
    (["check", "train"], "train: there is no such script; did you mean train.py?"),
    (["check", "empty"], "empty: is a folder without a __main__.py, so there is no script to run"),
    (["check", "bad.py"], "bad.py:2: the script has a syntax error: '(' was never closed\n  x = (1,"),
    (["check", "tabs.py"], "tabs.py:3: the script has a syntax error: inconsistent use of tabs"),
    (["check", "binary.bin"], "binary.bin: is not Python source"),
    (["check", "latin.py"], "latin.py"),
    (["check"], "no script given; usage: flightcheck check [options] SCRIPT"),
    (["check", "--json", "train.py"], "no script given"),
    (["check", "-m"], "argument -m: expected one argument; see 'flightcheck check --help'"),
    (["check", "-m", "gone.module"], "there is no module 'gone.module' in the current folder ({cwd})"),
    (["check", "-m", "train.py"], "there is no module 'train.py'"),
    (["check", "-m", "a/b.py"], "'a/b.py' is no name of a module; for a file: flightcheck check a/b.py"),
    (["check", "-m", "json"], "json is a package without a __main__ module"),
    (["check", "-m", "bad"], "{cwd}/bad.py:2: the script has a syntax error"),
    (["check", "--select", "L99", "train.py"], "unknown check 'L99'; 'flightcheck list' shows all"),
    (["check", "--ignore", "Q", "train.py"], "unknown check 'Q'"),
    (["check", "--select", ",", "train.py"], "argument --select: codes of checks wanted"),
    (["check", "--steps", "0", "train.py"], "argument --steps: a whole number above 0 wanted, but got '0'"),
    (["check", "--time", "nan", "train.py"], "argument --time: a number above 0 wanted, but got 'nan'"),
    (["check", "--lab-budget", "-1", "train.py"], "argument --lab-budget: a number above 0 wanted, but got '-1'"),
    (["check", "--lab-budget", "inf", "train.py"], "argument --lab-budget: a number above 0 wanted, but got 'inf'"),
    (["check", "--lab-budget", "long", "train.py"], "argument --lab-budget: a number above 0 wanted, but got 'long'"),
    (["check", "--jobs", "0", "train.py"], "argument --jobs: a whole number above 0 wanted, but got '0'"),
    (["check", "--jobs", "1.5", "train.py"], "argument --jobs: a whole number above 0 wanted, but got '1.5'"),
    (["run", "--jobs", "2", "train.py"], "unrecognized arguments: --jobs; see 'flightcheck run --help'"),
    (["check", "--budget", "2", "train.py"], "argument --budget: a share between 0 and 1 wanted (0.02 is 2 %)"),
    (["run", "--steps", "5", "train.py"], "unrecognized arguments: --steps; see 'flightcheck run --help'"),
    (["check", "--fail-on", "bad", "train.py"], "argument --fail-on: invalid choice: 'bad'"),
    (["check", "--runs-dir", "train.py", "train.py"], "train.py: cannot write there (File exists)"),
    (["check", "--json", "no/where.json", "train.py"], "no/where.json: there is no folder no"),
    (["check", "--sarif", "empty", "train.py"], "empty: is a folder; --sarif wants a file"),
    (["check", "--json", "-", "--sarif", "-", "train.py"], "--json and --sarif cannot both go to stdout"),
    (["chek", "train.py"], "unknown command 'chek'; did you mean 'check'?"),
    (["train.py"], "'train.py' is no command; did you mean 'flightcheck check train.py'?"),
    (["frobnicate"], f"unknown command 'frobnicate'; the commands are {', '.join(COMMANDS)}"),
    (["--nonsense"], "unrecognized arguments: --nonsense"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_refused_before_the_script_starts(
    session: FakeSession, capsys: Output, arguments: list[str], sentence: str
) -> None:
    Path("empty").mkdir()
    Path("bad.py").write_text("import os\nx = (1,\n")
    Path("tabs.py").write_text("if True:\n        x = 1\n\ty = 2\n")
    Path("binary.bin").write_bytes(bytes(range(256)))
    Path("latin.py").write_bytes("x = 'é'\n".encode("latin-1"))
    assert main(arguments) == 2
    assert one_sentence(capsys).startswith(sentence.format(cwd=Path.cwd()))
    assert session.asked == []


def test_scripts_that_are_no_plain_file(session: FakeSession) -> None:
    Path("folder").mkdir()
    Path("folder/__main__.py").write_text("")
    with zipfile.ZipFile("app.pyz", "w") as z:
        z.writestr("__main__.py", "")
    Path("latin.py").write_bytes("# coding: latin-1\nx = 'é'\n".encode("latin-1"))
    for script in ("folder", "app.pyz", "latin.py"):
        assert main(["check", script]) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_runs_dir(session: FakeSession, capsys: Output) -> None:
    Path("locked").mkdir(mode=0o500)
    assert main(["check", "--runs-dir", "locked/runs", "train.py"]) == 2
    assert "cannot write there (Permission denied); choose another folder with --runs-dir" in one_sentence(capsys)


def test_a_damaged_run_file_after_the_run(
    session: FakeSession, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flightcheck.recording.run import Run

    real = Run.open

    def damaged(path: Path) -> Run:
        (path / FILE_NAME).write_bytes(b"no database")
        return real(path)

    monkeypatch.setattr(Run, "open", damaged)
    assert main(["check", "train.py"]) == 2
    assert "damaged, or not a run file" in one_sentence(capsys)
