"""Trainings of a few milliseconds, with patches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from flightcheck.adapters.torch import StopTraining, TorchObserver
from flightcheck.adapters.torch.planning import Stopping
from flightcheck.lab.trials import Trained, Trial
from flightcheck.options import WatchOptions
from flightcheck.patch import Patch
from flightcheck.recording.run import Run
from flightcheck.recording.store import RunWriter
from flightcheck.run_info import close_run, final_info, first_info
from flightcheck.session import install_patches

FEATURES, CLASSES, ROWS = 5, 3, 6


@dataclass
class Patched:
    """A patched training that is over."""

    trained: Trained
    run: Run

    @property
    def applied(self) -> dict[str, int]:
        told = self.run.trial
        return told.applied if told is not None else {}

    @property
    def errors(self) -> list[str]:
        """What broke in our own code."""
        return [b for b in self.run.coverage.blind if "of Flightcheck itself" in b]


def patched(folder: Path, patches: str, loop: Callable[[], Any], steps: int = 1000) -> Patched:
    """Run a training as a trial: `loop` under watch with the patches, joined by `` + ``; empty for the control."""
    trial = Trial(tuple(Patch.parse(p) for p in patches.split(" + ") if p), 0, steps)
    options = WatchOptions(mode="trial", patches=tuple(map(str, trial.patches)), seed=0)
    folder = folder / f"{len(list(folder.iterdir())) if folder.exists() else 0:03d}"
    writer = RunWriter(folder)
    info = first_info(options, folder)
    observer = TorchObserver(writer, stopping=Stopping(steps, 1e9), script_folder=str(Path(__file__).parent))
    started = time.perf_counter()
    observer.install()
    told = list
    try:
        told = install_patches(observer, options)
        loop()
    except StopTraining:
        pass
    finally:
        observer.close()
        for i, record in enumerate(told()):
            writer.put(record, i if type(record).__name__ == "Probe" else 0)
        close_run(writer, final_info(info, observer, time.perf_counter() - started, {"ended": "finished"}))
    run = Run.open(folder)
    done = Patched(Trained.of(trial, run, 0.0), run)
    assert done.errors == [], done.errors
    return done


def data(rows: int = 24, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs, and classes that follow from them."""
    made = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, FEATURES, generator=made) * torch.arange(1.0, FEATURES + 1) + 3
    return x, x[:, :CLASSES].argmax(1)


def batches(rows: int = 24, size: int = ROWS) -> list[tuple[torch.Tensor, torch.Tensor]]:
    x, y = data(rows)
    return list(zip(x.split(size), y.split(size), strict=True))


def mlp(*last: nn.Module, activation: type[nn.Module] = nn.Tanh, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FEATURES, 8), activation(), nn.Linear(8, CLASSES), *last)


class Loop:
    """The plainest training; notes what a patch may change."""

    def __init__(
        self,
        model: nn.Module | None = None,
        loss: Callable[..., torch.Tensor] | None = None,
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        pairs: Iterable[Any] | None = None,
        parameters: Callable[[nn.Module], Any] = lambda m: m.parameters(),
    ) -> None:
        self.model = model if model is not None else mlp()
        self.loss = loss or nn.CrossEntropyLoss()
        self.optimizer = (optimizer or (lambda p: torch.optim.SGD(p, lr=0.1)))(parameters(self.model))
        self.pairs = pairs if pairs is not None else batches()
        self.losses: list[float] = []
        self.updates: list[float] = []
        """Norm of the change of the first parameter, one per step."""
        self.gradients: list[torch.Tensor | None] = []
        """Of the first parameter, after each step."""

    def step(self, x: Any, y: torch.Tensor) -> None:
        first = next(iter(self.model.parameters()))
        before = first.detach().clone()
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())
        self.updates.append(float((first.detach() - before).norm()))
        self.gradients.append(None if first.grad is None else first.grad.clone())

    def __call__(self) -> None:
        for x, y in self.pairs:
            self.step(x, y)

    @property
    def weights(self) -> list[torch.Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def regression(loss: Any, last: list[nn.Module] | None = None, scale: float = 1.0) -> Loop:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 1), *(last or []))
    x, _ = data(24)
    y = (x.sum(1) / 10) * scale
    return Loop(model, loss, lambda p: torch.optim.SGD(p, lr=0.01), list(zip(x.split(6), y.split(6))))
