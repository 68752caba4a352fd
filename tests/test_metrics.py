"""The script's own numbers: logged, printed, sent to trackers. Nothing of them changes for the script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import flightcheck
from flightcheck.adapters.torch.logged import Logged
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.metrics import MetricInfo, leave, metrics_in, receive
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.store import RunWriter
from flightcheck.tracking.history import field_names, field_of
from flightcheck.tracking.summary import read_summary


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("loss=0.25 acc=0.9", [("loss", 0.25), ("acc", 0.9)]),
        ("epoch 3 - train loss: 0.51 - val_acc: 0.875", [("train_loss", 0.51), ("val_acc", 0.875)]),
        ("{'loss': 0.32, 'eval_accuracy': 0.91, 'epoch': 1.0}", [("loss", 0.32), ("eval_accuracy", 0.91)]),
        ("Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.306", [("loss", 2.306)]),
        (" 42%|████  | 10/24 [00:01<00:02, 8.21it/s, loss=0.31, kl=1e-3]", [("loss", 0.31), ("kl", 0.001)]),
        ("kl = -1.5e-3, grad: nan, bits: inf", [("kl", -0.0015), ("grad", float("nan")), ("bits", float("inf"))]),
        ("loss: tensor(0.25, grad_fn=<MeanBackward0>) mse: np.float64(0.5)", [("loss", 0.25), ("mse", 0.5)]),
        ("test acc 0.93", [("test_acc", 0.93)]),
        ("epoch 4 loss 0.13 train 0.157 test 0.136", [("loss", 0.13), ("train", 0.157), ("test", 0.136)]),
        ("bce 0.2141 hit rate at 10: 0.043", [("hit_rate_at10", 0.043), ("bce", 0.2141)]),
        ("done at 12:30, train 40 of 60", []),
        ("correct: 93", [("correct", 93.0)]),
        ("Accuracy of the network: 87 %", []),
        ("seed: 7, batch_size=32, lr=0.001, step: 100, took: 3.2s, at 12:30:45", []),
        ("http://localhost:8080/1.5 v1.2.3 2026-11-27", []),
        ("weights.shape = (3, 4)", []),
        ("(Triggered internally at /pytorch/torch/csrc/autograd/python_variable_methods.cpp:822.)", []),
    ],
)
def test_a_line(line: str, found: list[tuple[str, float]]) -> None:
    assert [n for n, _ in metrics_in(line)] == [n for n, _ in found]
    assert np.array_equal([v for _, v in metrics_in(line)], [v for _, v in found], equal_nan=True)


def test_log_without_a_training_does_nothing() -> None:
    flightcheck.log(accuracy=0.5)
    flightcheck.log({"val/loss": 0.1}, step=3)
    got: list[object] = []

    def receiver(values: object, step: object) -> None:
        got.append((values, step))

    receive(receiver)
    flightcheck.log({"val/loss": 0.1}, step=3, accuracy=0.5)
    leave(receiver)
    flightcheck.log(accuracy=0.7)
    assert got == [({"val/loss": 0.1, "accuracy": 0.5}, 3)]


SCRIPT = """
import sys, torch
import flightcheck
from torch.utils.tensorboard.writer import SummaryWriter
import wandb.sdk.wandb_run as wandb_run
from mlflow.tracking.client import MlflowClient, Metric
torch.manual_seed(0)
stream, before, kind = sys.stdout, id(sys.stdout), type(sys.stdout)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
writer, run, client = SummaryWriter(), wandb_run.Run(), MlflowClient()
for step in range(20):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,)))
    loss.backward()
    optimizer.step()
    print("step", step, end=" ")
    print("train loss: %.6f" % loss.item(), flush=True)
    flightcheck.log(loss=loss, odd="text", flag=True, huge=1e300)
    assert writer.add_scalar("Loss/train", loss, global_step=10 * step) == "written"
    run.log({"inner": {"value": step / 2}, "table": [1, 2]})
    client.log_metric("run", "kl", 0.5, step=step)
    client.log_batch("run", metrics=[Metric("elbo", -1.0, step)])
    try:
        run.log()
    except TypeError:
        pass
print("%-10s test acc: 0.75" % "end", file=sys.stderr)
assert (sys.stdout is stream, id(sys.stdout), type(sys.stdout)) == (True, before, kind)
"""
MODULES = {
    "wandb/sdk/wandb_run.py": "class Run:\n    def log(self, data, step=None, commit=None):\n        return None\n",
    "mlflow/tracking/client.py": (
        "class Metric:\n    def __init__(self, key, value, step):\n        self.key, self.value, self.step = key, value, step\n"
        "class MlflowClient:\n    def log_metric(self, run_id, key, value, timestamp=None, step=None):\n        return None\n"
        "    def log_batch(self, run_id, metrics=(), params=(), tags=()):\n        return None\n"
    ),
    "tensorboard_stub.py": (
        "import sys, types\nclass SummaryWriter:\n    def add_scalar(self, tag, scalar_value, global_step=None):\n"
        "        return 'written'\n"
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A watched script that uses every way to tell its numbers, with writers of the trackers' own signatures."""
    folder = tmp_path_factory.mktemp("metrics")
    for name, text in MODULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "tensorboardX").mkdir()
    (folder / "tensorboardX/__init__.py").touch()
    (folder / "tensorboardX/writer.py").write_text((folder / "tensorboard_stub.py").read_text())
    (folder / "train.py").write_text(SCRIPT.replace("torch.utils.tensorboard.writer", "tensorboardX.writer"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    plain = subprocess.run([sys.executable, "train.py"], cwd=folder, env=environment, capture_output=True, check=True)
    command = [sys.executable, "-m", "flightcheck", "run", "-q", "--fail-on", "never", "train.py"]
    watched = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert (watched.returncode, watched.stdout) == (0, plain.stdout), watched.stderr.decode()
    (run,) = (folder / ".flightcheck/runs").iterdir()
    return run


def series(run: Run, metric: MetricInfo) -> tuple[list[int], list[float]]:
    steps, rows = run.frames[metric.signal]
    return steps.tolist(), [float(r[0]) for r in rows]


def test_every_way_is_recorded(folder: Path) -> None:
    run = Run.open(folder)
    found = {(m.source, m.name): m for m in run.metrics}
    assert set(found) == {
        ("printed", "train_loss"), ("printed", "test_acc"), ("log", "loss"), ("log", "huge"),
        ("tensorboard", "Loss/train"), ("wandb", "inner.value"), ("mlflow", "kl"), ("mlflow", "elbo"),
    }  # fmt: skip
    losses = run.series(LOSS).values.tolist()
    logged, printed = found["log", "loss"], found["printed", "train_loss"]
    assert series(run, logged) == (list(range(1, 21)), losses)
    assert series(run, printed)[1] == pytest.approx(losses, abs=1e-6)
    assert (logged.count, logged.own_steps, logged.last) == (20, False, losses[-1])
    assert (logged.minimum, logged.maximum) == (min(losses), max(losses))
    assert series(run, found["tensorboard", "Loss/train"]) == (list(range(0, 200, 10)), losses)
    assert found["tensorboard", "Loss/train"].own_steps
    assert found["log", "huge"].last == 1e300
    assert found["wandb", "inner.value"].last == 9.5
    assert found["mlflow", "kl"].count == found["mlflow", "elbo"].count == 20
    assert run.coverage.blind == []


def test_runs_are_found_by_them(folder: Path) -> None:
    summary = read_summary(folder)
    assert summary is not None
    assert field_of(summary, "test_acc") == [0.75]
    assert field_of(summary, "loss_train") == [summary["metrics"]["Loss/train"]]
    assert {"test_acc", "train_loss", "kl"} <= field_names([summary])
    command = [sys.executable, "-m", "flightcheck", "runs", "--where", "test_acc>0.7 and kl<1", "--runs-dir", ".."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, folder.name in done.stdout) == (0, True), done.stderr


def test_reading_lines_takes_a_bounded_time_and_the_last_ones_are_read(tmp_path: Path) -> None:
    watch = Watch(RunWriter(tmp_path), SourceLines())
    logged = Logged(watch)
    for step in range(20_000):
        watch.step = step
        logged._written("stdout", f"step {step} loss: {step / 7:.3f} val_acc: 0.5\n")
    assert logged._reading < 0.2
    logged.save(final=True)
    watch.writer.close()
    found = {m.name: m for m in Run.open(tmp_path).metrics}
    assert found["loss"].last == pytest.approx(19_999 / 7, abs=1e-3)
    assert found["loss"].last_step == 19_999
    assert 100 < found["loss"].count < 20_000


def test_warnings_and_the_code_below_them_are_no_metrics(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run")
    logged = Logged(Watch(writer, SourceLines("")))
    logged._written("stderr", "/x/rnn.py:655: UserWarning: expects more layers, but got dropout=0.5 and val loss 0.3\n")
    logged._written("stderr", "  return F.softmax(scores).view(1, 1, -1), accuracy=0.7\n")
    logged._written("stderr", f"/x/a.py:2: torch.jit.TracerWarning: {'long ' * 100}\n  loss = 4.5\n  val_acc: 0.75\n")
    logged._written("stdout", "  loss: 0.25\n")
    assert [(m.name, m.last) for m in logged._found.values()] == [("val_acc", 0.75), ("loss", 0.25)]
