"""show, list, explain, and what may not be imported for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flightcheck.checks.registry import all_checks
from flightcheck.cli.main import COMMANDS, main
from flightcheck.recording.store import FILE_NAME
from tests.cli.made import PROBABILITIES, FakeSession, write_run

Output = pytest.CaptureFixture[str]
RUNS = Path(".flightcheck/runs")


@pytest.fixture
def runs(session: FakeSession) -> Path:
    for i, (name, call) in enumerate({"0a1": None, "0a2": PROBABILITIES, "1b1": None}.items()):
        folder = write_run(RUNS / name, call or session.call)
        os.utime(folder / FILE_NAME, (1000.0 + i, 1000.0 + i))
    return RUNS


def shown(capsys: Output, *arguments: str) -> str:
    assert main(["show", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_show_takes_the_last_run(runs: Path, capsys: Output) -> None:
    assert shown(capsys).startswith("✓ flightcheck: nothing found")
    assert json.loads(shown(capsys, "--json"))["run"]["id"] == "1b1"


@pytest.mark.parametrize("name", ["0a2", str(RUNS / "0a2"), str(RUNS / "0a2" / FILE_NAME)])
def test_show_by_id_and_path(runs: Path, capsys: Output, name: str) -> None:
    assert shown(capsys, name).startswith("✗ L03 double-softmax")
    assert "✗ L03 double-softmax failed" in shown(capsys, name, "--all")


def test_show_by_the_beginning_of_the_id(runs: Path, capsys: Output) -> None:
    assert json.loads(shown(capsys, "1", "--json"))["run"]["id"] == "1b1"


def test_show_for_machines(runs: Path, capsys: Output) -> None:
    assert json.loads(shown(capsys, "--json", "0a2"))["root_causes"] == ["L03"]  # 0a2 is the run, not a file
    assert json.loads(shown(capsys, "0a2", "--sarif", "-"))["version"] == "2.1.0"
    assert shown(capsys, "0a2", "--json", "out.json") == ""
    assert json.loads(Path("out.json").read_text())["root_causes"] == ["L03"]
    assert not Path("0a2").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "0"], "2 runs begin with '0': 0a1, 0a2"),
        (["show", "zz"], "there is no run 'zz' in .flightcheck/runs (3 runs; the last is 1b1)"),
        (["show", "--runs-dir", "none"], "there is no recorded run in none; 'flightcheck check SCRIPT' records one"),
        (["show", "."], ".: holds no run (run.sqlite is missing)"),
        (["show", "train.py"], "train.py: damaged, or not a run file"),
        (["show", "0a1", "--json", "0a2"], "0a2: the name of the report must end in .json or .sarif"),
        (["show", "a", "b"], "unrecognized arguments: b; see 'flightcheck show --help'"),
        (["explain", "double-softmx"], "unknown check 'double-softmx'; did you mean L03?"),
        (["explain", "??"], "unknown check '??'; 'flightcheck list' shows all"),
        (["explain"], "the following arguments are required: CODE"),
        (["list", "more"], "unrecognized arguments: more"),
    ],
)
def test_refused(runs: Path, capsys: Output, arguments: list[str], sentence: str) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"flightcheck: {sentence}")
    assert err.count("\n") == 1


def test_a_run_file_cut_off_in_the_middle(runs: Path, capsys: Output) -> None:
    file = runs / "1b1" / FILE_NAME
    file.write_bytes(file.read_bytes()[:2000])
    status = main(["show", "1b1"])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert status in (0, 2)


def test_list(capsys: Output) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{code}  " in out for code in all_checks())
    assert "Confirm your loss" in out


@pytest.mark.parametrize("wanted", ["L03", "l03", "double-softmax"])
def test_explain(capsys: Output, wanted: str) -> None:
    assert main(["explain", wanted]) == 0
    out = capsys.readouterr().out
    assert out.startswith("L03 double-softmax\n")
    for heading in ("What it checks", "Why it matters", "How to fix", "Source", "Known false alarms", "Thresholds"):
        assert f"\n{heading}\n" in out
    assert "row_sum = 0.001: float32 softmax rows sum to 1" in out
    assert "severity error · evidence: a bound" in out


def test_every_check_can_be_explained(capsys: Output) -> None:
    for code in all_checks():
        assert main(["explain", code]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_help_and_version(capsys: Output) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("flightcheck ")
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        assert f"usage: flightcheck {name}" in capsys.readouterr().out
    assert main([]) == 2
    assert "usage: flightcheck" in capsys.readouterr().err


def run_python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, check=False)


IMPORTED = """
import sys
from flightcheck.cli.main import main
status = main({arguments!r})
loaded = sorted({{m.split(".")[0] for m in sys.modules}} & {{"torch", "jax", "tensorflow", "scipy", "flightcheck_probe"}})
print("LOADED", status, loaded)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["list"], ["explain", "L03"], ["show"]])
def test_no_framework_is_imported(tmp_path: Path, arguments: list[str]) -> None:
    write_run(tmp_path / RUNS / "0a1", PROBABILITIES)
    done = run_python(IMPORTED.format(arguments=arguments), tmp_path)
    assert "LOADED 0 []" in done.stdout, done.stderr


def test_the_test_of_imports_can_fail(tmp_path: Path) -> None:
    (tmp_path / "flightcheck_probe.py").write_text("")
    done = run_python("import flightcheck_probe" + IMPORTED.format(arguments=["--help"]), tmp_path)
    assert "LOADED 0 ['flightcheck_probe']" in done.stdout


def test_python_m_and_a_closed_pipe(tmp_path: Path) -> None:
    command = f"{sys.executable} -m flightcheck list | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_unicode(tmp_path: Path) -> None:
    write_run(tmp_path / RUNS / "0a1", PROBABILITIES)
    done = subprocess.run(
        [sys.executable, "-m", "flightcheck", "show"],
        capture_output=True, cwd=tmp_path, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"? L03 double-softmax" in done.stdout
