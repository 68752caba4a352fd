"""Comparing runs: real small trainings that differ in one thing, which stands first."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from flightcheck.checks.registry import run_checks
from flightcheck.cli.compare import letters
from flightcheck.cli.main import main
from flightcheck.diagnosis.engine import diagnose
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.surroundings import SourceFile
from flightcheck.testing import run_of
from flightcheck.tracking.code_diff import code_differences
from flightcheck.tracking.compare import Comparison, Recorded, compare
from flightcheck.tracking.curves import parting
from flightcheck.tracking.summary import SUMMARY_FILE
from tests.harmless.processes import Server, watched

SCRIPT = '''"""A small classifier."""
import argparse
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--relabel", type=int, default=None)
parser.add_argument("--smooth", action="store_true")
args = parser.parse_args()
data = torch.Generator().manual_seed(7)
x = torch.randn(300, 6, generator=data)
y = (x[:, 0] + x[:, 1] > 0).long()
if args.relabel is not None:
    y[args.relabel] = 1 - y[args.relabel]
torch.manual_seed(args.seed)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(4):
    for a, b in DataLoader(TensorDataset(x, y), batch_size=30, shuffle=True):
        optimizer.zero_grad()
        loss = loss_fn(model(a + 0.01 * torch.randn_like(a)), b)
        loss.backward()
        optimizer.step()
'''


class Made:
    """Runs of the script, recorded in one folder."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.runs = folder / "runs"

    def run(self, name: str, *arguments: str, script: str = SCRIPT, **variables: str) -> Path:
        (self.folder / "train.py").write_text(script)
        command = ("run", "--quiet", "--runs-dir", "new", "train.py", *arguments)
        if variables:  # some are read only as Python starts
            watched(self.folder, *command, **variables)
        else:
            self.server.watched(self.folder, *command)
        (made,) = (self.folder / "new").iterdir()
        return made.rename(self.runs / name)


@pytest.fixture(scope="module")
def made(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Made:
    found = Made(server, tmp_path_factory.mktemp("compared"))
    found.runs.mkdir()
    found.run("base")
    return found


def compared(made: Made, *names: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    arguments = ["compare", "--runs-dir", str(made.runs), *names]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out), text


def first_line(text: str) -> str:
    lines = text.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("What differs")) + 1]


Output = pytest.CaptureFixture[str]


def test_a_learning_rate_given_as_an_argument(made: Made, capsys: Output) -> None:
    made.run("lr", "--lr", "0.01")
    found, text = compared(made, "base", "lr", capsys=capsys)
    first = found["differences"][0]
    assert (first["kind"], first["name"], first["values"]) == ("value", "lr", ["0.1", "0.01"])
    assert "lr  0.1 → 0.01" in first_line(text)
    assert {d["kind"] for d in found["differences"][1:]} <= {"unlikely"}, "the option says the same again"
    assert found["same"] == ["training data", "code", "packages in use", "device and precision", "seeds"]


def test_a_learning_rate_written_in_the_script(made: Made, capsys: Output) -> None:
    made.run("edited", script=SCRIPT.replace("lr=args.lr", "lr=0.03"))
    found, text = compared(made, "base", "edited", capsys=capsys)
    first, second = found["differences"]
    assert first["kind"] == "code"
    assert [line.split(" ", 1)[1].strip() for line in first["lines"]] == [
        "- optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)",
        "+ optimizer = torch.optim.SGD(model.parameters(), lr=0.03)",
    ]
    assert (second["name"], second["values"]) == ("lr", ["0.1", "0.03"])
    assert "train.py" in first_line(text)


def test_the_version_of_a_package(made: Made, capsys: Output) -> None:
    shutil.copytree(made.runs / "base", made.runs / "upgraded")
    with sqlite3.connect(made.runs / "upgraded" / "run.sqlite") as db:
        (text,) = db.execute("SELECT data FROM record WHERE kind='Packages'").fetchone()
        packages = json.loads(text)
        packages["installed"] |= {"numpy": "0.0.1", "pytest": "0.0.1"}
        db.execute("UPDATE record SET data=? WHERE kind='Packages'", (json.dumps(packages),))
    found, text = compared(made, "base", "upgraded", capsys=capsys)
    first, second = found["differences"]
    assert (first["kind"], first["name"], first["values"][1]) == ("package", "numpy", "0.0.1")
    assert second["kind"] == "unlikely", "pytest is installed, and was not imported"
    assert "numpy" in first_line(text)


def test_a_package_that_was_upgraded(made: Made, capsys: Output) -> None:
    """Two real runs, between which an imported package with the same code became another version."""
    packages = made.folder / "site-packages"
    (packages / "noisy").mkdir(parents=True)
    (packages / "noisy" / "__init__.py").write_text("WIDTH = 16\n")
    script = "import noisy\n" + SCRIPT.replace("16", "noisy.WIDTH")
    installed = packages / "noisy-1.4.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1.4.0\n")
    made.run("earlier", script=script, PYTHONPATH=with_path(packages))
    installed.rename(packages / "noisy-1.5.0.dist-info")
    made.run("later", script=script, PYTHONPATH=with_path(packages))
    found, text = compared(made, "earlier", "later", capsys=capsys)
    (only,) = found["differences"]
    assert (only["kind"], only["name"], only["values"]) == ("package", "noisy", ["1.4.0", "1.5.0"])
    assert "noisy  1.4.0 → 1.5.0" in first_line(text)
    assert found["curves"][0]["differs_at"] is None


def with_path(folder: Path) -> str:
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


def test_one_relabelled_example(made: Made, capsys: Output) -> None:
    made.run("relabelled", "--relabel", "17")
    found, text = compared(made, "base", "relabelled", capsys=capsys)
    first = found["differences"][0]
    assert first["kind"] == "data"
    assert "in 1 of 300 examples (number 17, counted from 0); field 1 and not field 0" in first["sentence"]
    assert "training data differ" in first_line(text)
    assert [(c["code"], c["status"]) for c in found["checks"]] == [("T06", "fail"), ("T08", "inconclusive")]


def test_a_changed_line(made: Made, capsys: Output) -> None:
    made.run("changed", script=SCRIPT.replace("0.01 * torch", "0.5 * torch"))
    found, text = compared(made, "base", "changed", capsys=capsys)
    assert [d["kind"] for d in found["differences"]] == ["code"]
    assert "0.5 * torch.randn_like(a)" in found["differences"][0]["lines"][1]
    assert "train.py" in first_line(text)


def test_an_option_that_shows_in_no_recorded_value(made: Made, capsys: Output) -> None:
    made.run("smooth", "--smooth", "--seed", "3")
    found, _ = compared(made, "base", "smooth", capsys=capsys)
    assert [(d["kind"], d["name"]) for d in found["differences"]][:2] == [
        ("option", "--smooth"),
        ("seed", "seed of torch"),
    ]


def test_a_comment_hardly_matters(made: Made, capsys: Output) -> None:
    made.run("commented", script="# the best one\n" + SCRIPT.replace("A small classifier", "The classifier"))
    found, text = compared(made, "base", "commented", capsys=capsys)
    assert [d["kind"] for d in found["differences"]] == ["unlikely"]
    assert found["curves"][0]["differs_at"] is None
    assert "the same loss, bit for bit, in all 40 recorded steps" in text


def test_seeds_of_the_history_decide(made: Made, capsys: Output) -> None:
    for seed in (1, 2):
        made.run(f"seed{seed}", "--seed", str(seed))
        made.run(f"slow{seed}", "--seed", str(seed), "--lr", "0.001")
    made.run("slow", "--lr", "0.001")
    found, _ = compared(made, "base", "slow", capsys=capsys)
    assert [(c["code"], c["status"]) for c in found["checks"]] == [("T06", "pass"), ("T08", "pass")]
    found, _ = compared(made, "base", "seed1", capsys=capsys)
    assert [c["status"] for c in found["checks"]] == ["pass", "skipped"]
    found, _ = compared(made, "base", "seed1", "slow", capsys=capsys)
    assert [(c["runs"], c["status"]) for c in found["checks"]] == [("A → C", "pass"), ("A → C", "pass")]
    assert next(d for d in found["differences"] if d["name"] == "lr")["values"] == ["0.1", "0.1", "0.001"]


def test_findings_that_appeared(made: Made, capsys: Output) -> None:
    made.run("softmax", script=SCRIPT.replace("nn.Linear(16, 2))", "nn.Linear(16, 2), nn.Softmax(1))"))
    found, text = compared(made, "base", "softmax", capsys=capsys)
    assert [(f["code"], f["runs"]) for f in found["findings"]] == [("L03", ["B"])]
    assert "B  L03 double-softmax" in text


def test_the_page(made: Made, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made.runs / "base", made.runs / "again")
    for name in ("base", "again"):
        assert main(["tag", "--runs-dir", str(made.runs), name, "paged"]) == 0
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    runs = ["--runs-dir", str(made.runs)]
    assert main(["compare", *runs, "--html", "base", "again"]) == 0
    assert re.fullmatch(r"Page: comparison\.html \([\d,]+ kB\)\n", capsys.readouterr().out)
    page = (tmp_path / "comparison.html").read_text()
    assert "Nothing that was recorded differs." in page
    assert main(["compare", *runs, "--where", "tag=paged", "--html", "chosen.html"]) == 0
    assert "2 runs compared" in (tmp_path / "chosen.html").read_text()
    assert main(["compare", *runs, "base", "again", "--html", "nowhere/page.html"]) == 2
    assert "nowhere/page.html: cannot be written" in capsys.readouterr().err


def test_more_runs_than_letters() -> None:
    assert list(letters(54))[24:29] == ["Y", "Z", "AA", "AB", "AC"]
    assert list(letters(54))[-2:] == ["BA", "BB"]


def test_old_runs_can_be_compared(made: Made, capsys: Output) -> None:
    old = made.runs / "old"
    shutil.copytree(made.runs / "base", old)
    (old / SUMMARY_FILE).unlink()
    with sqlite3.connect(old / "run.sqlite") as db:
        db.execute("DELETE FROM record WHERE kind IN ('Packages', 'SourceFile', 'DataDigest', 'Numerics')")
    found, text = compared(made, "base", "old", capsys=capsys)
    assert "the training data of B" in text
    assert "an older version recorded no copy" in text
    assert not [d for d in found["differences"] if d["kind"] in ("data", "code", "package", "value")]


@pytest.mark.parametrize("names", [["base"], ["base", "nothing"]])
def test_what_cannot_be_compared(made: Made, names: list[str], capsys: Output) -> None:
    assert main(["compare", "--runs-dir", str(made.runs), *names]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


# -- parts ----------------------------------------------------------------------------------------------------------


def comparison(*runs: Run) -> Comparison:
    return compare([Recorded(n, r, diagnose(r, run_checks(r))) for n, r in zip("ABC", runs)])


def test_runs_of_nothing() -> None:
    found = comparison(run_of(), run_of())
    assert found.differences == []
    assert found.partings[0].steps == 0


def test_files_that_came_and_went() -> None:
    one = run_of(SourceFile("a.py", "1", "x = 1\n", main=True), SourceFile("m.py", "2", "y = 1\n"), ended="finished")
    other = run_of(SourceFile("b.py", "1", "x = 1\n", main=True), SourceFile("n.py", "3", ""), ended="finished")
    assert [(d.path, d.why) for d in code_differences(one, other)] == [
        ("m.py", "only in the first run"),
        ("n.py", "only in the second run"),
    ]


def test_of_a_run_that_was_killed_not_all_files_are_known() -> None:
    one = run_of(SourceFile("a.py", "1", "x = 1\n", main=True), SourceFile("m.py", "2", "y = 1\n"), ended="finished")
    killed = run_of(SourceFile("a.py", "1", "x = 1\n", main=True))
    assert code_differences(one, killed) == []


def test_code_that_is_no_python_differs_by_its_lines() -> None:
    one, other = (run_of(SourceFile("a.py", t, t, main=True)) for t in ("x = (", "x = ["))
    (found,) = code_differences(one, other)
    assert (found.matters, found.lines) == (True, ["1 - x = (", "1 + x = ["])


def test_where_curves_part() -> None:
    falling = [1.0 / (1 + i / 20) for i in range(200)]
    later = [v if i < 100 else v + 0.2 for i, v in enumerate(falling)]
    found = parting("A", "B", run_of(series={LOSS: falling}), run_of(series={LOSS: later}))
    assert (found.equal, found.differs_at, found.apart_from) == (100, 100, 100)
    wandering = [v + 0.01 * (-1) ** i for i, v in enumerate(falling)]
    found = parting("A", "B", run_of(series={LOSS: falling}), run_of(series={LOSS: wandering}))
    assert (found.differs_at, found.apart_from) == (0, None)
    broken = [v if i < 150 else float("nan") for i, v in enumerate(falling)]
    assert parting("A", "B", run_of(series={LOSS: falling}), run_of(series={LOSS: broken})).apart_from == 150
