"""From the command line to a tracker, in real processes. The library is a stand-in that writes lines into a file; it is
down while a file of that name exists. The real libraries are tested in tests/trackers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.exporters.made import write_training

LIBRARY = """
import json, os, time
from pathlib import Path

PLACE = Path(os.environ["TRACKIO_DIR"])

def note(kind, **told):
    if (PLACE / "slow").exists():
        time.sleep(1000)
    if (PLACE / "down").exists():
        raise ConnectionError("nobody answers")
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / "lines").open("a") as lines:
        lines.write(json.dumps({"kind": kind, "time": time.time(), **told}) + "\\n")

class Run:
    def log(self, values, step):
        note("log", step=step, values={k: v for k, v in values.items() if not isinstance(v, Markdown)})
    def log_artifact(self, artifact):
        note("artifact", names=sorted(artifact.names))

class Artifact:
    def __init__(self, name, type, metadata):
        self.names = []
    def add_file(self, path, name=None):
        self.names.append(name or os.path.basename(path))

class Markdown:
    def __init__(self, text):
        note("text", text=text)

def init(project, name, config, **_):
    note("init", project=project, name=name, config=config)
    return Run()

def finish():
    pass
"""
TRAINING = """
import hashlib, os, sys, time
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
    optimizer.step()
    time.sleep(float(os.environ.get("PAUSE", 0)))
print("weights", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
sys.exit(3)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "trackio.py").write_text(LIBRARY)
    (tmp_path / "there").mkdir()
    (tmp_path / "train.py").write_text(TRAINING)
    return tmp_path


def flightcheck(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(folder / "lib"), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "flightcheck", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": path, **variables}, capture_output=True, text=True, check=False,
        timeout=250,
    )  # fmt: skip


def lines(folder: Path) -> list[dict[str, Any]]:
    file = folder / "there" / "lines"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def losses(folder: Path) -> list[int]:
    return [line["step"] for line in lines(folder) if "loss" in line.get("values", {})]


def test_live(folder: Path) -> None:
    done = flightcheck(folder, "run", "--to", "trackio=there", "--project", "p", "train.py", PAUSE="0.15")
    assert done.returncode == 3, done.stderr  # the script's own
    assert f"trackio: {folder / 'there'}" in done.stderr
    assert losses(folder) == list(range(60))
    told = lines(folder)
    assert {line["project"] for line in told if line["kind"] == "init"} == {"p"}
    logged = [line["time"] for line in told if line["kind"] == "log"]
    assert logged[-1] - logged[0] > 3  # seconds: some came while the training went on
    assert "L03" in next(line["text"] for line in told if line["kind"] == "text")
    (names,) = (line["names"] for line in told if line["kind"] == "artifact")
    assert {"report.html", "run.sqlite", "code/train.py"} <= set(names)
    assert [line for line in told if line["kind"] == "init"][-1]["config"]["optimizer"] == "SGD"


def test_a_tracker_that_is_down_changes_nothing_and_gets_it_later(folder: Path) -> None:
    down = folder / "there" / "down"
    down.write_text("")
    done = flightcheck(folder, "run", "--to", "trackio=there", "train.py")
    alone = flightcheck(folder, "run", "train.py")
    assert done.returncode == alone.returncode == 3
    assert done.stdout == alone.stdout  # the weights, bit for bit
    assert "weights" in done.stdout
    told = r"not all has arrived at trackio \(ConnectionError: nobody answers\). 'flightcheck sync' sends the rest"
    assert re.search(told, done.stderr), done.stderr
    assert len(re.findall("nobody answers", done.stderr)) == 1
    again = flightcheck(folder, "sync")
    assert again.returncode == 1
    assert "nobody answers" in again.stderr
    down.unlink()
    later = flightcheck(folder, "sync")
    assert (later.returncode, later.stderr) == (0, "")
    assert losses(folder) == list(range(60))
    assert flightcheck(folder, "sync").stdout.startswith("nothing waits to be sent")


def test_a_tracker_that_hangs_is_not_waited_for(folder: Path) -> None:
    """The process that sends is stuck in its library for good; training and report go on."""
    (folder / "there" / "slow").write_text("")
    program = (
        "import sys\nfrom flightcheck.exporters import processes\nprocesses.FINAL_SECONDS = 2.0\n"
        "from flightcheck.cli.main import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    (folder / "lib" / "impatient.py").write_text(program)
    path = os.pathsep.join(filter(None, [str(folder / "lib"), os.environ.get("PYTHONPATH")]))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "impatient", "run", "--to", "trackio=there", "train.py"],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode == 3
    assert "not all has arrived at trackio (more than can be waited for" in done.stderr
    assert time.monotonic() - began < 200  # the library would sleep for 1000 s
    (folder / "there" / "slow").unlink()
    assert flightcheck(folder, "sync").returncode == 0
    assert losses(folder) == list(range(60))


def test_a_training_that_is_killed_is_sent_all_the_same(folder: Path) -> None:
    path = os.pathsep.join(filter(None, [str(folder / "lib"), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "flightcheck", "run", "--to", "trackio=there", "train.py"],
        cwd=folder, env={**os.environ, "PYTHONPATH": path, "PAUSE": "0.5"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: losses(folder), 120)
    finally:
        process.kill()
        process.wait()
    until(lambda: any(line["kind"] == "artifact" for line in lines(folder)), 120)
    assert losses(folder) == list(range(losses(folder)[-1] + 1))
    assert [line for line in lines(folder) if line["kind"] == "init"][-1]["config"]["flightcheck.ended"] == "running"


def until(found: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.2)


def test_after_the_fact(folder: Path) -> None:
    write_training(folder / ".flightcheck" / "runs" / "20260101-000000-abcdef").close()
    done = flightcheck(folder, "export", "--to", "trackio", "--uri", "there")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("20260101-000000-abcdef → trackio: ")
    assert losses(folder) == list(range(30))
    twice = flightcheck(folder, "export", "--to", "trackio=there")
    assert "is already there" in twice.stdout
    (folder / "lib" / "trackio.py").write_text("import os\nos._exit(9)\n")
    died = flightcheck(folder, "export", "--to", "trackio=elsewhere")
    assert died.returncode == 1
    assert re.search(r"the process that sends failed; see \S+\.log\). 'flightcheck sync' sends the rest", died.stderr)
    (folder / "lib" / "trackio.py").write_text(LIBRARY)
    assert losses(folder) == list(range(30))
    flightcheck(folder, "export", "--to", "trackio=there", "--where", "steps>10", "--again")
    assert len(losses(folder)) == 60


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--to", "neptune", "train.py"], "'neptune' is no tracker that is known here"),
        (["run", "--to", "mlflow=here", "train.py"], "mlflow"),
        (["run", "--to", "trackio=there", "--to", "trackio=there", "train.py"], "the same destination twice"),
        (["export", "--to", "trackio=a", "--uri", "b"], "--uri says where for one --to TRACKER"),
        (["export", "--to", "trackio=there"], "there is no recorded run"),
        (["export"], "give one FILE"),
    ],
)
def test_what_is_refused_before_anything_starts(folder: Path, arguments: list[str], sentence: str) -> None:
    done = flightcheck(folder, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / ".flightcheck").exists() or not list((folder / ".flightcheck").rglob("run.sqlite"))
