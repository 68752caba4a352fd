"""Runs and reports where a notebook shows them, and the line of a training that goes on."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import flightcheck
from flightcheck import notebook
from flightcheck.recording.run import Run
from tests.report.made import HEALTHY, case
from tests.report.paged import HOSTILE, Reader, broken, hostile


def test_a_report_shows_the_root_cause_with_line_fix_and_trial() -> None:
    report = flightcheck.Report(*broken())
    read = Reader(report._repr_html_())
    assert "✗ L03 double-softmax" in read.text
    assert "train.py:41" in read.text
    assert "return torch.softmax(x, dim=1)" in read.text
    assert "Fix: Return the logits" in read.text
    assert "Tried: " in read.text
    assert "Explains C07, P33." in read.text
    assert "seed-not-set" not in read.text, "a note"
    assert {tag for tag, _ in read.tags}.isdisjoint({"script", "link", "img", "iframe", "style"})


def test_its_text_is_the_one_of_the_terminal() -> None:
    report = flightcheck.Report(*broken())
    assert repr(report) == str(report)
    assert "✗ L03 double-softmax" in str(report)
    assert "\x1b" not in str(report)
    assert report.page().startswith("<!doctype html>")


def test_its_text_is_a_text_in_jupyter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "✗ L03 double-softmax" in str(flightcheck.Report(*broken()))


def test_nothing_found() -> None:
    assert (
        "✓ nothing found in 300 steps, 2 evaluations" in Reader(flightcheck.Report(*case(*HEALTHY))._repr_html_()).text
    )
    assert "no training was seen" in flightcheck.Report(*case(steps=0))._repr_html_()


def test_a_run_shows_a_few_facts() -> None:
    run, _ = broken()
    read = Reader(run._repr_html_())
    for fact in ("20261123-1", "train.py --lr 0.1", "2.5 → 0.6", "256 in 4 tensors", "Adam", "loss at 60 steps"):
        assert fact in read.text.replace("0.605", "0.6").replace("0.6051", "0.6"), fact
    assert repr(run).startswith("Run(run: 20261123-1, command: train.py --lr 0.1, ")
    assert len(repr(run)) < 1000
    assert repr(Run()) == "Run(ended: running, steps: 0)"


def test_hostile_strings_are_text() -> None:
    run, diagnosis = hostile()
    run.records["RunInfo"][0] = replace(run.records["RunInfo"][0], id=HOSTILE[0], command=HOSTILE[1], error=HOSTILE[2])
    for markup in (run._repr_html_(), flightcheck.Report(run, diagnosis)._repr_html_()):
        read = Reader(markup)
        assert {tag for tag, _ in read.tags}.isdisjoint({"script", "img"})
        assert not set(markup) & set("\x00\x1b\u202e")
    assert not set(repr(run)) & set("\x00\x1b\u202e")


class Jupyter:
    """What a kernel offers, and what it was given to show."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.updates: list[Any] = []
        module = ModuleType("IPython")
        module.__dict__["get_ipython"] = lambda: SimpleNamespace(kernel=object())
        module.__dict__["display"] = SimpleNamespace(display=self.display)
        self.module = module

    def display(self, value: Any, display_id: bool = False) -> Any:
        self.shown.append(value)
        return SimpleNamespace(update=self.updates.append) if display_id else None


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> Jupyter:
    made = Jupyter()
    monkeypatch.setitem(sys.modules, "IPython", made.module)
    return made


def train(steps: int = 30) -> Any:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
        optimizer.step()
    return model.weight.detach().clone()


def test_watch_shows_the_line_and_then_the_report(
    jupyter: Jupyter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = train()
    with flightcheck.watch(runs_dir=tmp_path) as watched:
        assert repr(watched).endswith("not over)")
        weight = train()
    assert (weight == alone).all(), "the same bits"
    assert repr(jupyter.shown[0]) == "waiting for the first step"
    assert "step 30 · loss " in repr(jupyter.updates[-1])
    assert jupyter.updates[-1]._repr_html_().startswith("<pre")
    assert isinstance(jupyter.shown[-1], flightcheck.Report)
    assert capsys.readouterr().err == ""
    assert watched.report is not None
    assert "step" in repr(watched)


def test_a_display_that_fails_does_not_fail_the_training(jupyter: Jupyter, tmp_path: Path) -> None:
    def broken_display(value: Any, display_id: bool = False) -> Any:
        raise RuntimeError("no front end")

    jupyter.module.display.display = broken_display
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        train()
    assert watched.run is not None
    assert watched.run.info.ended == "finished"


def test_a_script_and_a_terminal_are_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not notebook.in_notebook()
    shell = ModuleType("IPython")
    shell.__dict__["get_ipython"] = lambda: SimpleNamespace()  # IPython's terminal has no kernel
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert not notebook.in_notebook()
