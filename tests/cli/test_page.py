"""The page from the command line: where it is written, and what happens where it cannot be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flightcheck.cli.main import main
from tests.cli.made import PROBABILITIES, FakeSession, write_run

Output = pytest.CaptureFixture[str]
RUN = Path(".flightcheck/runs/20261123-1")


@pytest.fixture
def run(session: FakeSession) -> Path:
    return write_run(RUN, PROBABILITIES)


def test_show_writes_the_page_into_the_run(run: Path, capsys: Output) -> None:
    assert main(["show", "--html"]) == 0
    weight = (run / "report.html").stat().st_size / 1000
    assert capsys.readouterr() == (f"Page: .flightcheck/runs/20261123-1/report.html ({weight:,.0f} kB)\n", "")
    assert 300 < weight < 1000
    assert "Double softmax" in (run / "report.html").read_text(encoding="utf-8")


def test_show_writes_the_page_where_it_is_told(run: Path, capsys: Output) -> None:
    assert main(["show", "20261123-1", "--html", "page.html", "--json", "out.json"]) == 0
    assert capsys.readouterr().out.startswith("Page: page.html (")
    assert Path("page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert Path("out.json").exists()
    assert not (run / "report.html").exists()


def test_show_writes_the_page_to_stdout(run: Path, capsys: Output) -> None:
    assert main(["show", "--html", "-"]) == 0
    out, err = capsys.readouterr()
    assert (out[:15], out[-7:], err) == ("<!doctype html>", "</html>", "")
    assert main(["show", "--html", "-", "--json", "-"]) == 2


def test_the_run_after_the_option_is_the_run(run: Path, capsys: Output) -> None:
    assert main(["show", "--html", str(run)]) == 0
    assert (run / "report.html").exists()
    assert main(["show", "--html", "other", str(run)]) == 2
    assert "the name of the report must end in .html or .htm" in capsys.readouterr().err


def test_a_page_that_cannot_be_written(run: Path, capsys: Output) -> None:
    assert main(["show", "--html", "no/folder/page.html"]) == 2
    assert "no/folder/page.html: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_watched_run_gets_its_page(session: FakeSession, capsys: Output, command: str) -> None:
    session.call = PROBABILITIES
    assert main([command, "train.py"]) == 1
    assert re.search(r"Page: \.flightcheck/runs/20261123-1/report\.html \(\d+ kB\)\n$", capsys.readouterr().err)
    assert (RUN / "report.html").exists()


def test_quiet_writes_the_page_and_does_not_say_so(session: FakeSession, capsys: Output) -> None:
    assert main(["check", "--quiet", "train.py"]) == 0
    assert capsys.readouterr().err == ""
    assert (RUN / "report.html").exists()


def test_a_page_that_fails_costs_the_page_alone(
    session: FakeSession, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("oops")

    session.call = PROBABILITIES
    monkeypatch.delenv("FLIGHTCHECK_DEBUG", raising=False)
    monkeypatch.setattr("flightcheck.report.page.document.page", broken)
    assert main(["check", "--json", "a.json", "train.py"]) == 1
    err = capsys.readouterr().err
    assert "L03 double-softmax" in err
    assert err.endswith("flightcheck: no page (RuntimeError: oops)\n")
    assert Path("a.json").exists()


def test_the_page_needs_no_framework(run: Path) -> None:
    program = """
import sys
sys.modules["torch"] = None
from flightcheck.cli.main import main
sys.exit(main(["show", "--html", "-"]))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Double softmax" in done.stdout
