"""Real trackers, and a real training that is sent to them.

Together the libraries take 600 MB, and MLflow's server some ten seconds to start: they are not among the requirements of
the other tests. ``make trackers`` installs them and runs these.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LIBRARIES = {"mlflow": "mlflow", "wandb": "wandb", "comet": "comet_ml", "trackio": "trackio"}
TOKEN = "hf_abcdefghijklmnopqrstuv"
STEPS = 1100
TRAINING = f"""
import argparse, os, time
import torch
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--hub-token")
given = parser.parse_args()
torch.manual_seed(0)
x = torch.randn(256, 8)
y = (x.sum(1) > 0).long()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=32, shuffle=True)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2), torch.nn.Softmax(1))
optimizer = torch.optim.SGD(model.parameters(), lr=given.lr)
step = 0
while step < int(os.environ.get("STEPS", {STEPS})) and not os.path.exists("enough"):
    for inputs, labels in loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        step += 1
        time.sleep(float(os.environ.get("PAUSE", 0)))
        if step % 100 == 0:
            model.eval()
            with torch.no_grad():
                torch.nn.functional.cross_entropy(model(x), y)
            model.train()
            torch.save(model.state_dict(), f"weights{{step // 500}}.pt")
"""

Flightcheck = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        library = LIBRARIES[item.path.stem.split("_")[1]]
        if importlib.util.find_spec(library) is None:
            reason = f"{library} is not installed here (600 MB with the other trackers); 'make trackers' tests it"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def flightcheck() -> Flightcheck:
    """The command, in a process of its own; what it wrote to stderr is printed if it fails."""

    def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "flightcheck", *arguments],
            cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=280,
        )  # fmt: skip
        print(done.stdout, done.stderr)
        for log in folder.rglob("exports/*.log"):
            print(log.read_text()[-3000:])
        return done

    return run


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, flightcheck: Flightcheck) -> Path:
    """A folder in which a training with a fault was recorded; it was given a token."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "train.py").write_text(TRAINING)
    done = flightcheck(folder, "run", "--fail-on", "never", "train.py", "--lr", "0.5", "--hub-token", TOKEN)
    assert done.returncode == 0
    (run,) = (folder / ".flightcheck" / "runs").glob("2*")
    assert flightcheck(folder, "tag", run.name, "baseline").returncode == 0
    return folder


@pytest.fixture(scope="session")
def run_id(recorded: Path) -> str:
    (run,) = (recorded / ".flightcheck" / "runs").glob("2*")
    return run.name


# In every process, before anything is imported: a connection to anywhere but this machine ends it.
GUARD = """
import sys

def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in ("127.0.0.1", "::1"):
        print("NETWORK", arguments[1], file=sys.stderr, flush=True)
    if event == "socket.getaddrinfo" and arguments[0] not in (None, "127.0.0.1", "localhost", "::1"):
        print("NETWORK", arguments[0], file=sys.stderr, flush=True)

sys.addaudithook(watch)
"""


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """Variables under which every process notes, as a line with NETWORK, what it asks of the network."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    path = os.pathsep.join(filter(None, [str(tmp_path / "guard"), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path}


def network_use(folder: Path) -> list[str]:
    """What the processes that sent runs asked of the network."""
    logs = list(folder.rglob("exports/*.log"))
    assert logs
    return [line for log in logs for line in log.read_text().splitlines() if "NETWORK" in line]
