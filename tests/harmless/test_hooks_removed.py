"""After the end everything in PyTorch is as it was, however the training or the watch ended."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.jit._builtins import _get_builtin_table
from torch.optim import Optimizer, lr_scheduler
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks
from torch.overrides import _get_current_function_mode_stack
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from flightcheck.adapters.torch import TorchObserver
from flightcheck.adapters.torch.losses import FUNCTIONS
from flightcheck.adapters.torch.watch import ERRORS_TOLERATED
from flightcheck.recording.store import RunWriter

Snapshot = dict[tuple[Any, str], Any]
STEPS = 12


def attributes() -> Snapshot:
    """Every attribute that a watcher could want to replace, with the object that is there now."""
    owners: list[tuple[Any, list[str]]] = [
        (F, list(FUNCTIONS)),
        (torch, ["compile", "manual_seed", "from_numpy", "tensor"]),
        (torch.random, ["manual_seed"]),
        (random, ["seed"]),
        (warnings, ["showwarning", "_showwarnmsg", "warn"]),
        (np.random, ["seed"]),
        (torch.autograd, ["backward", "grad"]),
        (nn.utils, ["clip_grad_norm_", "clip_grad_value_"]),
        (nn.utils.clip_grad, ["clip_grad_norm_", "clip_grad_value_"]),
    ]
    found: Snapshot = {(owner, name): vars(owner)[name] for owner, names in owners for name in names}
    schedulers = [k for k in vars(lr_scheduler).values() if isinstance(k, type)]
    classes = [nn.Module, Optimizer, torch.amp.GradScaler, DataLoader, _BaseDataLoaderIter, BaseProcess, torch.Tensor]
    for owner in [*classes, *schedulers, torch.optim.SGD, nn.Linear]:
        found |= {(owner, name): value for name, value in vars(owner).items() if callable(value)}
    return found


def attributes_of(snapshot: Snapshot) -> Snapshot:
    return {k: v for k, v in snapshot.items() if k[0] != "TorchScript"}


def hooks_on(model: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
    return sum(len(getattr(m, k)) for m in model.modules() for k in kinds)


class Training:
    """A training that uses all that is wrapped; `progress` tells how far it came."""

    def __init__(self) -> None:
        self.progress = 0
        self.model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def __call__(self, fails_at: int = -1) -> None:
        torch.manual_seed(0)
        model = self.model
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        schedule = lr_scheduler.StepLR(optimizer, 5)
        scaler = torch.amp.GradScaler("cpu", enabled=True)
        data = TensorDataset(torch.randn(STEPS * 2, 4), torch.randint(0, 2, (STEPS * 2,)))
        for x, y in DataLoader(data, batch_size=2):
            if self.progress == fails_at:
                raise RuntimeError("the training's own")
            model.train()
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            model.eval()
            with torch.no_grad():
                F.cross_entropy(model(x), y)
            torch.autograd.grad(model(x).sum(), list(model.parameters()))
            self.progress += 1


@pytest.fixture
def before() -> Iterator[Snapshot]:
    torch.optim.SGD([torch.ones(1, requires_grad=True)])  # PyTorch itself wraps the step of a class at its first use
    snapshot = attributes()
    snapshot["TorchScript", ""] = len(_get_builtin_table())
    yield snapshot
    for (owner, name), value in attributes_of(snapshot).items():  # a failure here must not reach other tests
        if vars(owner)[name] is not value:
            setattr(owner, name, value)


def assert_clean(before: Snapshot, training: Training) -> None:
    after = attributes()
    assert [k for k, v in attributes_of(before).items() if after.get(k) is not v] == []
    assert [k for k in after if k not in before] == []
    assert not _global_optimizer_pre_hooks
    assert not _global_optimizer_post_hooks
    assert hooks_on(training.model) == 0
    assert _get_current_function_mode_stack() == []
    assert not torch.is_anomaly_enabled()
    assert len(_get_builtin_table()) == before["TorchScript", ""]


def observe(folder: Path, act: Callable[[TorchObserver], None]) -> TorchObserver:
    writer = RunWriter(folder)
    observer = TorchObserver(writer, dense_steps=STEPS)
    observer.install()
    try:
        act(observer)
    finally:
        observer.close()
        writer.close()
    return observer


def test_they_are_there_while_it_watches(tmp_path: Path, before: Snapshot) -> None:
    """Else the other tests would prove nothing."""

    def act(_: TorchObserver) -> None:
        after = attributes()
        replaced = {name for (owner, name), v in attributes_of(before).items() if after[owner, name] is not v}
        assert replaced >= {
            "cross_entropy", "backward", "grad", "__call__", "__init__", "train", "zero_grad", "load_state_dict", "step",
            "clip_grad_norm_", "clip_grad_value_", "unscale_", "__iter__", "__next__", "compile", "manual_seed", "seed",
        }  # fmt: skip
        assert _global_optimizer_pre_hooks
        assert len(_get_current_function_mode_stack()) == 1

    observe(tmp_path, act)
    assert_clean(before, Training())


def test_normal_end(tmp_path: Path, before: Snapshot) -> None:
    training = Training()
    observer = observe(tmp_path, lambda _: training())
    assert observer.steps == STEPS
    assert observer.watch.errors == []
    assert_clean(before, training)


@pytest.mark.parametrize("step", [0, 3, 11])
def test_the_training_raises(tmp_path: Path, before: Snapshot, step: int) -> None:
    training = Training()
    with pytest.raises(RuntimeError, match="the training's own"):
        observe(tmp_path, lambda _: training(fails_at=step))
    assert_clean(before, training)


def test_the_forward_pass_raises(tmp_path: Path, before: Snapshot) -> None:
    training = Training()

    def act(observer: TorchObserver) -> None:
        training()
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            training.model(torch.ones(2, 5))
        assert observer.forward.depth == 0

    observe(tmp_path, act)
    assert_clean(before, training)


PLACES = [
    ("forward.inputs", "fed"), ("forward.evaluations", "called"), ("operations.digits", "look"), ("discovery", "root_of"), ("discovery", "first_call"),
    ("discovery", "constructed"), ("losses", "_site"), ("losses", "_observe"), ("operations", "_look"),
    ("protocol", "record"), ("protocol", "clipped"), ("protocol", "scaled"), ("optimizers", "of"),
    ("schedulers", "stepped"), ("loaders", "iterated"), ("loaders", "fetched"), ("statistics", "before_step"),
    ("statistics", "after_step"), ("statistics", "foreign_gradients"), ("statistics", "write"), ("activations", "_measure"),
    ("activations", "disarm"), ("budget", "end_round"), ("lines", "here"), ("lines", "construction"),
    ("node_lines", "learn"), ("", "end_round"), ("", "_finish"), ("", "_save_records"), ("randomness", "save"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "name"), PLACES)
def test_our_own_code_raises(
    tmp_path: Path, before: Snapshot, monkeypatch: pytest.MonkeyPatch, part: str, name: str
) -> None:
    training = Training()

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("ours")

    writer = RunWriter(tmp_path)
    observer = TorchObserver(writer, dense_steps=STEPS)
    monkeypatch.setattr(type(attrgetter(part)(observer) if part else observer), name, broken)
    observer = TorchObserver(writer, dense_steps=STEPS)
    observer.install()
    try:
        training()
    finally:
        observer.close()
        writer.close()
    assert training.progress == STEPS
    assert observer.watch.errors
    assert len(observer.watch.errors) <= ERRORS_TOLERATED + 5
    assert_clean(before, training)


def test_the_file_cannot_be_written(tmp_path: Path, before: Snapshot) -> None:
    training = Training()
    writer = RunWriter(tmp_path)
    observer = TorchObserver(writer, dense_steps=STEPS)
    observer.install()
    writer._db.close()
    training()
    observer.close()
    assert training.progress == STEPS
    assert_clean(before, training)


def test_a_function_mode_of_the_user(tmp_path: Path, before: Snapshot) -> None:
    """Whoever enters or leaves a mode of his own, ours never takes its place."""

    class Counting(torch.overrides.TorchFunctionMode):
        calls = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.calls += 1
            return func(*args, **(kwargs or {}))

    training = Training()

    def act(observer: TorchObserver) -> None:
        with Counting() as mode:
            training()
            assert mode.calls > STEPS
            assert _get_current_function_mode_stack()[-1] is mode
        assert mode not in _get_current_function_mode_stack()
        with torch.device("cpu"):
            training()

    observe(tmp_path, act)
    assert_clean(before, training)


def test_somebody_else_patches_too(tmp_path: Path, before: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was replaced while we watched, by somebody else, is left to him, and works."""

    def act(_: TorchObserver) -> None:
        ours = F.mse_loss
        monkeypatch.setattr(F, "mse_loss", lambda *a, **k: ours(*a, **k))

    observe(tmp_path, act)
    assert float(F.mse_loss(torch.ones(2), torch.zeros(2))) == 1.0
    monkeypatch.undo()
    F.mse_loss = before[F, "mse_loss"]
    assert_clean(before, Training())
