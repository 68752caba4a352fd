"""``flightcheck.check``: what it finds, and that it leaves everything as it was."""

from __future__ import annotations

import copy
import functools
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks
from torch.overrides import _get_current_function_mode_stack
from torch.utils.data import DataLoader, TensorDataset

import flightcheck
from flightcheck.in_process import CopyRunner
from flightcheck.lab.trials import Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import NO_TIME

Check = Callable[..., Any]
QUICK: dict[str, Any] = {"steps": 20, "lab_budget": 0.0, "report": False}


def classes(rows: int = 240) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    y = torch.randint(0, 4, (rows,), generator=made)
    return 2 * F.one_hot(y, 10).float() + 0.5 * torch.randn(rows, 10, generator=made), y


def network(*last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 4), *last)


def loader(shuffle: bool = True) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*classes()), batch_size=24, shuffle=shuffle)


def everything(model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    """All that could have been changed."""
    return copy.deepcopy(
        {
            "weights": {k: v.clone() for k, v in model.state_dict().items()},
            "state": optimizer.state_dict(),
            "training": [m.training for m in model.modules()],
            "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
            "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "torch": torch.get_rng_state(),
            "gradients are on": torch.is_grad_enabled(),
            "threads": threading.active_count(),
            "modes": len(_get_current_function_mode_stack()),
            "optimizers' hooks": (len(_global_optimizer_pre_hooks), len(_global_optimizer_post_hooks)),
            "classes": (nn.Module.__call__, F.cross_entropy, torch.Tensor.backward, torch.manual_seed),
        }
    )


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return bool(np.array_equal(one, other))


@pytest.mark.parametrize("state", ["fresh", "in training"])
def test_all_is_as_it_was(tmp_path: Path, state: str) -> None:
    model = network()
    model[1].register_forward_hook(lambda m, a, out: None)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    data = loader()
    if state == "in training":
        model[2].eval()
        x, y = classes()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    random.seed(3)
    np.random.seed(4)
    torch.manual_seed(5)
    before = everything(model, optimizer)
    with torch.no_grad():
        flightcheck.check(model, nn.CrossEntropyLoss(), data, optimizer, steps=30, runs_dir=tmp_path, report=False,
                          lab_budget=1.0)  # fmt: skip
        assert not torch.is_grad_enabled()
    after = everything(model, optimizer)
    assert [k for k in before if not same(before[k], after[k])] == []


def test_softmax_before_cross_entropy_and_the_fix_that_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = network(nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checked = flightcheck.check(
        model, nn.CrossEntropyLoss(), loader(), optimizer, steps=60, lab_budget=60, runs_dir=tmp_path
    )
    assert not checked.ok
    root = checked.diagnosis.roots[0]
    assert root.code == "L03"
    assert root.tried is not None
    assert (root.tried.status, root.tried.metric, root.tried.seeds) == ("confirmed", "error", 3)
    assert root.tried.after < root.tried.before
    text = capsys.readouterr().err
    assert "Tried: without the softmax before the loss, 3 seeds × 60 steps, error" in text
    assert "confirmed" in text


def test_the_healthy_twin_hears_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    checked = flightcheck.check(
        model, nn.CrossEntropyLoss(), loader(), optimizer, steps=60, lab_budget=60, runs_dir=tmp_path
    )
    assert checked.ok
    assert [f.code for f in checked.diagnosis.findings if f.severity != "info"] == []
    assert {e.question for e in checked.run.experiments} >= {"S02", "P01", "P02"}, "it was asked"
    assert capsys.readouterr().err.startswith("✓ flightcheck: nothing found in 60 steps")


@pytest.mark.parametrize(
    "loss",
    [
        F.cross_entropy,
        functools.partial(F.cross_entropy, label_smoothing=0.1),
        nn.CrossEntropyLoss(),
        lambda out, y: F.cross_entropy(out, y) + 0.0,
    ],
    ids=["function", "partial", "module", "lambda"],
)
def test_losses_of_all_kinds_are_seen_in_every_step(tmp_path: Path, loss: Any) -> None:
    model = network()
    given = ingredients(model, loss, loader(), torch.optim.SGD(model.parameters(), lr=0.1))
    (trained,) = CopyRunner(given, tmp_path).run([Trial((), 0, 20)], 60)
    assert trained.failure == ""
    assert len(trained.series("error")) == len(trained.series("loss")) == 20
    assert {s.function for s in trained.run.loss_sites} == {"cross_entropy"}  # type: ignore[union-attr]


def ingredients(model: nn.Module, loss: Any, batches: Any, optimizer: torch.optim.Optimizer) -> Any:
    from flightcheck.adapters.torch.training import Ingredients

    return Ingredients(model, loss, batches, optimizer)


class Together(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 4)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(left + right)
        return out


@pytest.mark.parametrize("kind", ["keywords", "positions"])
def test_inputs_of_several_parts(tmp_path: Path, kind: str) -> None:
    x, y = classes(48)
    torch.manual_seed(0)
    parts: Any = {"left": x, "right": -x} if kind == "keywords" else (x, -x)
    model = Together()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2) if kind == "positions" else None
    checked = flightcheck.check(
        model, F.cross_entropy, [(parts, y)], optimizer or torch.optim.SGD(model.parameters(), 0.1), runs_dir=tmp_path,
        **QUICK,
    )  # fmt: skip
    assert checked.run.info.steps == 20


@pytest.mark.parametrize(
    ("batches", "sentence"),
    [
        ([], "batches is empty, or an iterator that is used up"),
        (iter([classes(24)]), "batches is empty, or an iterator that is used up"),
        ([torch.ones(3)], r"each batch must be a pair \(inputs, targets\), but one is Tensor"),
        ([(1, 2, 3)], r"each batch must be a pair \(inputs, targets\), but one is tuple"),
        ([{"x": 1}], r"each batch must be a pair \(inputs, targets\), but one is dict"),
        (7, "batches must be something that can be iterated again and again"),
    ],
)
def test_batches_that_are_none(tmp_path: Path, batches: Any, sentence: str) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = everything(model, optimizer)
    with pytest.raises(ValueError, match=sentence):
        flightcheck.check(model, F.cross_entropy, batches, optimizer, runs_dir=tmp_path, **QUICK)
    assert same(before, everything(model, optimizer))


def test_objects_that_cannot_be_copied(tmp_path: Path) -> None:
    model = network()
    model.lock = threading.Lock()  # type: ignore[assignment]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="model, loss_fn and optimizer must be copyable; deepcopy says TypeError"):
        flightcheck.check(model, F.cross_entropy, loader(), optimizer, runs_dir=tmp_path, **QUICK)


def test_a_scheduler_on_the_optimizer_does_not_lead_to_the_users_weights(tmp_path: Path) -> None:
    """A scheduler replaces ``optimizer.step`` by a function that belongs to this very optimizer."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    before = everything(model, optimizer)
    flightcheck.check(model, F.cross_entropy, loader(), optimizer, runs_dir=tmp_path, **QUICK)
    assert same(before, everything(model, optimizer))
    assert schedule.last_epoch == 0


def test_an_optimizer_of_another_model(tmp_path: Path) -> None:
    model, other = network(), network()
    checked = flightcheck.check(
        model, F.cross_entropy, loader(), torch.optim.SGD(other.parameters(), lr=0.1), runs_dir=tmp_path, **QUICK
    )
    assert {f.code for f in checked.diagnosis.roots} & {"P08", "P10"}


def test_an_unknown_check(tmp_path: Path) -> None:
    model = network()
    with pytest.raises(flightcheck.errors.UsageError, match="unknown check 'L99'"):
        flightcheck.check(model, F.cross_entropy, loader(), torch.optim.SGD(model.parameters(), 0.1), select=["L99"],
                          runs_dir=tmp_path, **QUICK)  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_only_some_checks(tmp_path: Path) -> None:
    model = network(nn.Softmax(dim=1))
    options = {**QUICK, "runs_dir": tmp_path}
    optimizer = torch.optim.Adam(model.parameters())
    checked = flightcheck.check(
        model, F.cross_entropy, loader(), optimizer, select=("L" + c for c in ("01", "16")), **options
    )
    assert {v.info.code for v in checked.diagnosis.verdicts} == {"L01", "L16"}
    checked = flightcheck.check(model, F.cross_entropy, loader(), optimizer, ignore=["L03"], **options)
    assert "L03" not in {v.info.code for v in checked.diagnosis.verdicts}


class Raising(nn.Module):
    def __init__(self, error: type[BaseException], at: int) -> None:
        super().__init__()
        self.layer, self.error, self.at = nn.Linear(10, 4), error, at

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.at -= 1
        if self.at < 0:
            raise self.error("the model's own")
        out: torch.Tensor = self.layer(x)
        return out


@pytest.mark.parametrize(("error", "at"), [(RuntimeError, 0), (RuntimeError, 12), (ValueError, 3)])
def test_what_the_model_raises_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: type[Exception], at: int
) -> None:
    model = Raising(error, at)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checked = flightcheck.check(model, F.cross_entropy, loader(), optimizer, runs_dir=tmp_path, steps=20, lab_budget=5)
    assert checked.run.info.ended == "exception"
    assert checked.run.info.error == f"{error.__name__}: the model's own"
    assert f"The script ended with {error.__name__}: the model's own" in " ".join(capsys.readouterr().err.split())
    assert same(everything(model, optimizer)["classes"], everything(model, optimizer)["classes"])


def test_an_interrupt_passes_through_and_leaves_nothing(tmp_path: Path) -> None:
    model = Raising(KeyboardInterrupt, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = everything(model, optimizer)
    with pytest.raises(KeyboardInterrupt):
        flightcheck.check(model, F.cross_entropy, loader(), optimizer, runs_dir=tmp_path, **QUICK)
    assert same(before, everything(model, optimizer))


def test_a_trial_is_run_once_and_no_longer_than_there_is_time(tmp_path: Path) -> None:
    model = network()
    runner = CopyRunner(
        ingredients(model, F.cross_entropy, loader(), torch.optim.SGD(model.parameters(), lr=0.1)), tmp_path
    )
    one, again, other, late = Trial((), 0, 15), Trial((), 0, 15), Trial((), 1, 15), Trial((), 2, 15)
    first, second, third = runner.run([one, again, other], 60)
    assert first is second
    assert not np.array_equal(first.series("loss"), third.series("loss")), "another seed"
    (none,) = runner.run([late], 0.0)
    assert none.failure == NO_TIME
    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_seed_gives_the_same_training(tmp_path: Path) -> None:
    def losses(name: str) -> Any:
        model = network()
        given = ingredients(model, F.cross_entropy, loader(), torch.optim.SGD(model.parameters(), lr=0.1))
        torch.rand(7)
        (trained,) = CopyRunner(given, tmp_path / name).run([Trial((), 0, 15)], 60)
        return trained.series("loss")

    assert np.array_equal(losses("a"), losses("b"))


def test_a_patch_without_a_place_or_with_a_wrong_value_is_untested(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = everything(model, optimizer)
    runner = CopyRunner(ingredients(model, F.cross_entropy, loader(), optimizer), tmp_path)
    nowhere, wrong = runner.run(
        [Trial((Patch("drop-module", "softmax"),), 0, 15), Trial((Patch("inputs", "noise"),), 0, 15)], 60
    )
    assert nowhere.failure == "drop-module:softmax: this training has no place at which it could act"
    assert "inputs: zero, permute or standardize wanted" in wrong.failure
    assert same(before["classes"], everything(model, optimizer)["classes"])
    assert _get_current_function_mode_stack() == []
