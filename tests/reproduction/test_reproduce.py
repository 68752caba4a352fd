"""A recorded run is made again from its own code, in the user's words and as JSON; the user's folder is not touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flightcheck.cli.main import main
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.starting_point import Invocation
from flightcheck.recording.store import RunWriter
from flightcheck.tracking.summary import read_summary
from tests.harmless.processes import ENVIRONMENT

pytestmark = pytest.mark.training
Output = pytest.CaptureFixture[str]

SCRIPT = """
import pathlib, sys
import torch
from parts import layers
torch.manual_seed(3)
data = torch.tensor([[float(v) for v in line.split(",")] for line in open("data/train.csv")])
scale = float(pathlib.Path("scale.txt").read_text())
model = layers.make()
optimizer = torch.optim.SGD(model.parameters(), lr=float(sys.argv[1]))
if pathlib.Path("last.pt").exists():
    model.load_state_dict(torch.load("last.pt"))
for step in range(30):
    picked = torch.randperm(len(data))[:8]
    loss = torch.nn.functional.mse_loss(model(data[picked, :3]), scale * data[picked, 3:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
torch.save(model.state_dict(), "last.pt")
print("loss", loss.item())
"""
UNSEEDED = """
import numpy as np, random, torch
random_numbers = np.random.default_rng()
x = torch.tensor(random_numbers.normal(size=(64, 4)), dtype=torch.float32)
y = torch.tensor(np.random.randint(0, 2, 64))
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
order = list(range(64))
for step in range(20):
    random.shuffle(order)
    loss = torch.nn.functional.cross_entropy(model(x[order[:16]]), y[order[:16]])
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""
# Numbers of a device that nobody records, the same in each run of this test: at random, one original in twenty would lie
# outside of what its repetitions let expect, as it should.
FROM_A_COUNTER = """
import numpy as np, torch
with open({file!r}, "a+") as counter:
    counter.write("x")
    torch.manual_seed(100 + counter.tell())
x = torch.tensor(np.random.default_rng(0).normal(size=(64, 4)), dtype=torch.float32)
y = (x[:, 0] > 0).long()
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(20):
    picked = torch.randperm(64)[:16]
    loss = torch.nn.functional.cross_entropy(model(x[picked]), y[picked])
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""


def start(folder: Path, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "flightcheck", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def answer(folder: Path, *arguments: str, status: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(start(folder, "reproduce", "--json", *arguments, status=status))
    assert found["schema"] == "flightcheck.reproduction/1"
    return found


def only(folder: Path) -> str:
    (run,) = sorted((folder / ".flightcheck/runs").iterdir())
    return run.name


def part(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(p for p in found["parts"] if p["name"] == name)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a script was watched."""
    folder = tmp_path_factory.mktemp("recorded") / "project"
    (folder / "parts").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "parts/layers.py").write_text("import torch\n\n\ndef make():\n    return torch.nn.Linear(3, 1)\n")
    (folder / "data/train.csv").write_text("".join(f"{i % 7},{i % 5},{i % 3},{i % 2}\n" for i in range(64)))
    (folder / "scale.txt").write_text("2.0")
    start(folder, "run", "-q", "train.py", "0.05")
    assert (folder / "last.pt").is_file()
    return folder


@pytest.fixture
def project(recorded: Path) -> Path:
    """The same folder, as it was after the run, whatever another test did to it."""
    kept = recorded.parent / "kept"
    if not kept.exists():
        shutil.copytree(recorded, kept)
    shutil.rmtree(recorded)
    shutil.copytree(kept, recorded)
    return recorded


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in folder.rglob("*") if p.is_file() and ".flightcheck" not in p.parts
    }  # fmt: skip


def test_the_same_although_code_and_checkpoint_are_others_now(project: Path) -> None:
    """The script resumes from a file that did not exist when the run began, and its code has been changed."""
    (project / "train.py").write_text("raise SystemExit('another program')\n")
    (project / "parts/layers.py").unlink()
    before, run = files(project), only(project)
    told = start(project, "reproduce", run)
    assert "✓ the same, bit for bit" in told
    assert "training loss: the same bits at all 30 points" in told
    assert "the same digest of the training data" in told
    assert "left out what was written since the run began: last.pt" in told
    assert "the recorded copies of 2 files" in told
    assert "seeded by the script: torch 3" in told
    assert "≠" not in told
    assert files(project) == before
    (again,) = set((project / ".flightcheck/runs").iterdir()) - {project / ".flightcheck/runs" / run}
    assert f"flightcheck compare {run} {again.name}" in told
    summary = read_summary(again)
    assert summary is not None
    assert (summary["tags"], summary["note"], summary["mode"]) == (["reproduction"], f"repeats {run}", "run")
    assert "Nothing that was recorded differs." in start(project, "compare", run, again.name)


def test_other_data_give_another_curve_and_are_named(project: Path) -> None:
    lines = (project / "data/train.csv").read_text().splitlines()
    (project / "data/train.csv").write_text("\n".join(["0,0,0,100", *lines[1:]]) + "\n")
    found = answer(project, "--exact", only(project), status=1)
    assert found["verdict"] == "different"
    assert part(found, "Code")["differences"] == ["written again since the run began: data/train.csv"]
    assert "the training data differ in 1 of 64 examples" in part(found, "Data")["differences"][0]
    assert not found["curves"][0]["same"]
    assert found["may_explain_it"][0].startswith("written again")


def test_the_first_steps_only_and_a_folder_that_moved(project: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.move(project, moved)
    run = only(moved)
    found = answer(moved, "--steps", "10", "--cwd", ".", run, status=0)
    assert (found["verdict"], found["curves"][0]["points"]) == ("same", 10)
    gone = answer(moved, "--steps", "10", run, status=2)
    assert "the folder in which the script was started is gone" in part(gone, "Code")["differences"][0]
    assert "the repetition failed after 0 of 10 steps: FileNotFoundError" in gone["reason"]
    assert any("data/train.csv" in line for line in gone["last_lines"])


def test_unseeded(tmp_path: Path) -> None:
    """The states of the generators are recorded, so the same numbers come again."""
    (tmp_path / "train.py").write_text(UNSEEDED)
    start(tmp_path, "run", "-q", "train.py")
    told = start(tmp_path, "reproduce", only(tmp_path))
    assert "✓ the same, bit for bit" in told
    assert "not seeded by the script: numpy, torch, numpy's default_rng()" in told
    assert "started by hand, the script gives other numbers each time" in told


def test_within_noise(tmp_path: Path) -> None:
    """Numbers that nobody recorded: other bits, and the original is where more runs of the kind are expected."""
    folder, elsewhere = tmp_path / "a/b/project", tmp_path / "elsewhere"
    folder.mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "train.py").write_text(FROM_A_COUNTER.format(file=str(elsewhere / "counter")))
    start(folder, "run", "-q", "train.py")
    run = only(folder)
    found = answer(folder, "--repeats", "2", "--writable", str(elsewhere), run, status=0)
    assert (elsewhere / "counter").read_text() == "xxxx"
    assert found["verdict"] == "within-noise"
    assert "the script seeds torch with another number each time" in part(found, "Seeds")["differences"][0]
    assert [len(n["repetitions"]) for n in found["noise"]] == [3, 3]
    assert all(n["low"] <= n["original"] <= n["high"] for n in found["noise"])


def test_files_of_the_user_are_protected_and_can_be_released(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "a/b/project", tmp_path / "elsewhere"
    folder.mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "train.py").write_text(UNSEEDED + f"\nopen({str(elsewhere / 'log.txt')!r}, 'a').write('x')\n")
    start(folder, "run", "-q", "train.py")
    run = only(folder)
    found = answer(folder, run, status=2)
    assert f"stopped to protect your files: it writes to {elsewhere}/log.txt (--writable FOLDER" in found["reason"]
    assert (elsewhere / "log.txt").read_text() == "x"
    assert answer(folder, "--writable", str(elsewhere), run, status=0)["verdict"] == "same"
    assert (elsewhere / "log.txt").read_text() == "xx"


def test_a_module_of_a_package(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").touch()
    (tmp_path / "pkg/train.py").write_text("from pkg.rate import RATE\n" + UNSEEDED.replace("lr=0.1", "lr=RATE"))
    (tmp_path / "pkg/rate.py").write_text("RATE = 0.1\n")
    start(tmp_path, "check", "-q", "--steps", "10", "--lab-budget", "0", "-m", "pkg.train")
    (tmp_path / "pkg/rate.py").write_text("RATE = 0.5\n")
    found = answer(tmp_path, only(tmp_path), status=0)
    assert (found["verdict"], found["curves"][0]["points"]) == ("same", 10)
    assert [p["differences"] for p in found["parts"]] == [[]] * len(found["parts"])


# -- what cannot be done ---------------------------------------------------------------------------------------------


def made(folder: Path, *records: Any, **info: Any) -> str:
    writer = RunWriter(folder / ".flightcheck/runs/made")
    for record in (RunInfo("made", "train.py --key '***'", "train.py", **info), *records):
        writer.put(record)
    writer.close()
    return "made"


STARTED = Invocation("train.py", arguments=["--key", "***"], hidden=[1], folder="/nowhere")


@pytest.mark.parametrize(
    ("records", "info", "why"),
    [
        ([], {}, "how it was started is not recorded"),
        ([STARTED], {}, "an argument held what looks like a secret and was not recorded (--key '***')"),
        ([replace(STARTED, hidden=[])], {}, "no loss was recorded"),
        ([STARTED], {"ranks": 2}, "it was trained by 2 processes together"),
    ],
)
def test_what_cannot_be_repeated_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output, records: list[Any], info: dict[str, Any], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path, *records, **info)
    assert main(["reproduce", "made"]) == 2
    out, err = capsys.readouterr()
    assert "? could not be reproduced: " + why in out
    assert err == ""
    assert main(["reproduce", "--json", "made"]) == 2
    assert json.loads(capsys.readouterr().out)["reason"].startswith(why[:20])
    assert [p.name for p in (tmp_path / ".flightcheck/runs").iterdir()] == ["made"]


def test_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "none"]) == 2
    assert main(["reproduce", "--repeats", "1", "none"]) == 2
    assert main(["reproduce", "--cwd", "nowhere", "none"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert "there is no recorded run" in told[0]
    assert "2 or more wanted: noise cannot be told from fewer" in told[1]
    assert "nowhere: there is no such folder" in told[2]


def test_the_generators_come_back() -> None:
    import random

    import numpy as np
    import torch

    from flightcheck.adapters.torch.random_states import random_states, restore

    random.gauss(0, 1)
    np.random.normal()
    kept = random_states()
    assert Run({"RandomStates": [kept]}).recorded(type(kept)) == [kept]

    def draw() -> list[float]:
        return [random.gauss(0, 1), random.random(), float(np.random.normal()), float(torch.randn(()))]

    first = draw()
    restore(kept)
    assert draw() == first
    with pytest.raises(ValueError, match="cannot be used here"):
        restore(replace(kept, torch="AAAA"))
