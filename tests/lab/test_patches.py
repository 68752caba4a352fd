"""Every patch does what it says, at the place that it names, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flightcheck.adapters.torch.patching import INSTALLERS
from flightcheck.patch import KINDS, Patch, alternatives
from tests.lab.made import CLASSES, FEATURES, Loop, equal, mlp, patched

TEXTS = [p.read_text(encoding="utf-8") for p in sorted(Path(__file__).parents[1].rglob("test_*.py"))]
SOURCES = "".join(text for text in TEXTS if "patched(tmp_path" in text or "patched(folder" in text)


def test_every_kind_is_installed_and_tested() -> None:
    assert set(INSTALLERS) == set(KINDS)
    for kind in KINDS:
        assert f'"{kind}' in SOURCES, f"{kind} has no test that runs it"


def test_text_form() -> None:
    assert Patch.parse("lr:x0.1") == Patch("lr", "x0.1")
    assert str(Patch.parse(" zero-grad ")) == "zero-grad"
    assert str(Patch("mode", "eval")) == "mode:eval"
    assert alternatives("lr:x1e+06+zero-grad | clip:off") == [["lr:x1e+06", "zero-grad"], ["clip:off"]]
    assert alternatives("source:order:a.py:1+source:same-order:a.py:2 |") == [
        ["source:order:a.py:1", "source:same-order:a.py:2"]
    ]
    with pytest.raises(ValueError, match="unknown patch 'speed'; known are lr, "):
        Patch.parse("speed:fast")


def test_without_a_patch_it_is_the_same_training(tmp_path: Path) -> None:
    plain, watched = Loop(mlp()), Loop(mlp())
    plain()
    patched(tmp_path, "", watched)
    assert watched.losses == plain.losses
    assert equal(watched.weights, plain.weights)


@pytest.mark.parametrize(("patch", "factor"), [("lr:x0.1", 0.1), ("lr:0.5", 5.0)])
def test_the_learning_rate_is_another_in_each_step_and_afterwards_what_it_was(
    tmp_path: Path, patch: str, factor: float
) -> None:
    control, other = Loop(), Loop()
    patched(tmp_path, "", control)
    done = patched(tmp_path, patch, other)
    assert other.updates[0] == pytest.approx(factor * control.updates[0], rel=1e-4)
    assert other.optimizer.param_groups[0]["lr"] == 0.1
    assert done.applied == {patch: 4}


def test_schedulers_do_not_see_another_learning_rate(tmp_path: Path) -> None:
    def rates(patches: str) -> tuple[list[float], list[float]]:
        loop, seen = Loop(), []

        def run() -> None:
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(loop.optimizer, factor=0.5, patience=0)
            for x, y in loop.pairs:
                loop.step(x, y)
                schedule.step(1.0)
                seen.append(loop.optimizer.param_groups[0]["lr"])

        patched(tmp_path, patches, run)
        return seen, loop.updates

    control, before = rates("")
    other, after = rates("lr:x0.01")
    assert other == control == [0.1, 0.05, 0.025, 0.0125]
    assert after[0] == pytest.approx(0.01 * before[0], rel=1e-4)


def test_a_learning_rate_in_a_tensor_stays_one(tmp_path: Path) -> None:
    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=torch.tensor(0.1), foreach=False)

    loop = Loop(optimizer=optimizer)
    patched(tmp_path, "lr:x0.1", loop)
    assert loop.optimizer.param_groups[0]["lr"] == torch.tensor(0.1)
    control = Loop(optimizer=optimizer)
    control()
    assert loop.updates[0] == pytest.approx(0.1 * control.updates[0], rel=1e-3)


@pytest.mark.parametrize(
    ("patch", "kind"), [("optimizer:Adam(0.01)", torch.optim.Adam), ("optimizer:SGD(0.3)", torch.optim.SGD)]
)
def test_another_optimizer_steps(tmp_path: Path, patch: str, kind: Any) -> None:
    rate = float(patch.split("(")[1][:-1])
    wanted = Loop(optimizer=lambda p: kind(p, lr=rate))
    wanted()
    loop = Loop(optimizer=lambda p: torch.optim.SGD(p, lr=7.0, momentum=0.9, weight_decay=0.1))
    done = patched(tmp_path, patch, loop)
    assert equal(loop.weights, wanted.weights)
    assert loop.gradients[-1] is not None, "the script finds its gradients where it left them"
    assert done.run.info.steps == 4, "a step is counted once"
    assert [o.type for o in done.run.optimizers] == ["SGD"], "ours is not taken for the script's"


def test_another_epsilon(tmp_path: Path) -> None:
    wanted = Loop(optimizer=lambda p: torch.optim.Adam(p, lr=0.01))
    wanted()
    loop = Loop(optimizer=lambda p: torch.optim.Adam(p, lr=0.01, eps=1.0))
    patched(tmp_path, "epsilon:1e-8", loop)
    assert equal(loop.weights, wanted.weights)
    assert loop.optimizer.param_groups[0]["eps"] == 1.0


@pytest.mark.parametrize("value", ["Adam", "Lion(0.1)", "Adam(x)", ""])
def test_an_unknown_optimizer_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="optimizer: a name and a learning rate wanted"):
        patched(tmp_path, f"optimizer:{value}", Loop())


def test_no_schedule(tmp_path: Path) -> None:
    def updates(patches: str, factors: list[float]) -> list[float]:
        loop = Loop(loss=lambda out, y: out.sum())

        def run() -> None:
            schedule = torch.optim.lr_scheduler.LambdaLR(loop.optimizer, lambda i: factors[min(i, 3)])
            for _ in loop.pairs:
                loop.optimizer.zero_grad()
                (sum(p.sum() for p in loop.model.parameters())).backward()
                before = loop.weights[0]
                loop.optimizer.step()
                loop.updates.append(float((loop.weights[0] - before).abs().max()))
                schedule.step()

        patched(tmp_path, patches, run)
        return loop.updates

    assert updates("", [1.0, 0.5, 0.1, 0.0]) == pytest.approx([0.1, 0.05, 0.01, 0.0], abs=1e-6)
    assert updates("scheduler:off", [1.0, 0.5, 0.1, 0.0]) == pytest.approx([0.1] * 4, abs=1e-6)
    # A warm-up: the rate for which it was written
    assert updates("scheduler:off", [0.0, 0.5, 1.0, 1.0]) == pytest.approx([0.0, 0.1, 0.1, 0.1], abs=1e-6)
    assert updates("scheduler:off", [0.0] * 4) == pytest.approx([0.0, 0.1, 0.1, 0.1], abs=1e-6)


def test_clipping(tmp_path: Path) -> None:
    loop = Loop()
    patched(tmp_path, "clip:0.001", loop)
    assert max(loop.updates) <= 0.1 * 0.001 * 1.01
    control = Loop()
    control()
    assert min(control.updates) > 0.01


@pytest.mark.parametrize(
    "clip",
    [
        lambda m: nn.utils.clip_grad_norm_(m.parameters(), 1e-6),
        lambda m: nn.utils.clip_grad_norm_(m.parameters(), max_norm=1e-6, norm_type=2),
        lambda m: nn.utils.clip_grad_norm_(m.parameters(), 1e-6, 1.0, error_if_nonfinite=True),
        lambda m: nn.utils.clip_grad_value_(m.parameters(), 1e-6),
    ],
)
def test_no_clipping(tmp_path: Path, clip: Any) -> None:
    class Clipped(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.zero_grad()
            self.loss(self.model(x), y).backward()
            clip(self.model)
            self.optimizer.step()

    control, loop = Loop(), Clipped()
    control()
    patched(tmp_path, "clip:off", loop)
    assert equal(loop.weights, control.weights)


def test_gradients_are_cleared(tmp_path: Path) -> None:
    class Accumulating(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.loss(self.model(x), y).backward()
            self.optimizer.step()

    control, loop = Loop(), Accumulating()
    control()
    patched(tmp_path, "zero-grad", loop)
    assert equal(loop.weights, control.weights)


def test_layers_in_a_plain_list_are_added(tmp_path: Path) -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(FEATURES, 8)
            self.hidden = [nn.Linear(8, 8)]
            self.last = nn.Linear(8, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.tanh(self.hidden[0](torch.tanh(self.first(x)))))

    loop = Loop(Listed())
    before = loop.model.hidden[0].weight.detach().clone()
    done = patched(tmp_path, "add-parameters", loop)
    assert done.applied == {"add-parameters": 1}
    assert not torch.equal(loop.model.hidden[0].weight, before)


def test_a_second_optimizer_gets_what_it_lacks(tmp_path: Path) -> None:
    loop = Loop()
    moved: list[bool] = []

    def run() -> None:
        loop()
        loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.1)
        loop.model[2] = nn.Linear(8, CLASSES)  # after its optimizer was built
        before = loop.model[2].weight.detach().clone()
        loop()
        moved.append(not torch.equal(loop.model[2].weight, before))

    done = patched(tmp_path, "add-parameters", run)
    assert moved == [True]
    assert done.applied == {"add-parameters": 1}


def test_a_layer_that_is_replaced_later_is_added_when_it_comes(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop() -> None:
        for step in range(40):
            if step == 30:
                model[2] = nn.Linear(8, CLASSES)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(6, FEATURES)), torch.arange(6) % CLASSES).backward()
            optimizer.step()

    done = patched(tmp_path, "add-parameters", loop)
    assert done.applied == {"add-parameters": 1} and not done.errors
    assert {id(p) for p in model.parameters()} <= {id(p) for p in optimizer.param_groups[0]["params"]}


def test_parameters_that_no_optimizer_holds_are_added(tmp_path: Path) -> None:
    loop = Loop(parameters=lambda m: m[2].parameters())
    done = patched(tmp_path, "add-parameters", loop)
    control = Loop()
    control()
    assert done.applied == {"add-parameters": 1}
    assert equal(loop.weights, control.weights)


def test_parameters_of_another_optimizer_and_frozen_ones_are_not_added(tmp_path: Path) -> None:
    model = mlp()
    model[0].weight.requires_grad_(False)
    loop = Loop(model, parameters=lambda m: m[2].parameters())

    def run() -> None:
        other = torch.optim.SGD([model[0].bias], lr=0.1)
        for x, y in loop.pairs:
            loop.step(x, y)
            other.step()
            other.zero_grad()

    done = patched(tmp_path, "add-parameters", run)
    assert len(loop.optimizer.param_groups) == 1
    assert "no place at which it could act" in done.trained.failure


@pytest.mark.parametrize("holds", [False, True], ids=["not held", "held"])
def test_a_frozen_layer_learns_and_its_siblings_stay_frozen(tmp_path: Path, holds: bool) -> None:
    made = mlp()
    for p in (made[2].weight, made[2].bias, made[0].bias):
        p.requires_grad_(False)
    before = [p.detach().clone() for p in made.parameters()]
    loop = Loop(made, parameters=lambda m: [p for p in m.parameters() if holds or p.requires_grad])
    model = loop.model  # the name that it is found by
    control = patched(tmp_path, "", loop)
    name = control.run.roots[0].name
    assert torch.equal(model[2].weight, before[2])
    done = patched(tmp_path, f"unfreeze:{name}.2", loop)
    assert done.applied == {f"unfreeze:{name}.2": 1}
    assert not torch.equal(model[2].weight, before[2])
    assert torch.equal(model[0].bias, before[1])
    assert any(p is model[2].weight for g in loop.optimizer.param_groups for p in g["params"])
    other = patched(tmp_path, "unfreeze:teacher.2", Loop())
    assert "no place at which it could act" in other.trained.failure


def test_the_limit_of_clipping_counts_for_unscaled_gradients(tmp_path: Path) -> None:
    class Scaled(Loop):
        def __init__(self) -> None:
            super().__init__()
            self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.zero_grad()
            before = self.weights[0]
            self.scaler.scale(self.loss(self.model(x), y)).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.01)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.updates.append(float((self.weights[0] - before).norm()))

    wrong, right = Scaled(), Scaled()
    patched(tmp_path, "", wrong)
    done = patched(tmp_path, "unscale-first", right)
    assert done.applied["unscale-first"] == 4
    assert right.updates[0] == pytest.approx(1024 * wrong.updates[0], rel=0.05)


NOWHERE = {
    "drop-module:softmax": "no softmax before the loss",
    "swap-activation:relu": "no saturating activation",
    "align-shapes": "all shapes agree",
    "loss:cross_entropy": "it is one already",
    "keep-graph": "nothing is cut",
    "scheduler:off": "the learning rate never changes",
    "lr:x1": "it is the script's own",
    "clip:off": "no clipping",
    "precision:float32": "no mixed precision",
    "precision:master": "no weights of 16 bits",
    "mode:eval": "no evaluation",
    "mode:train": "it trains in training mode",
    "add-parameters": "all are held",
    "unscale-first": "nothing is scaled",
    "targets:standardize": "no regression",
    "clamp:1e-8": "no logarithm, root or division",
}


@pytest.mark.parametrize("patch", NOWHERE)
def test_a_patch_without_a_place_says_so(tmp_path: Path, patch: str) -> None:
    model = mlp(activation=nn.ReLU)
    plain, loop = Loop(mlp(activation=nn.ReLU)), Loop(model)
    plain()
    done = patched(tmp_path, patch, loop)
    assert done.trained.failure == f"{patch}: this training has no place at which it could act"
    assert loop.losses == plain.losses


def test_a_tensor_of_no_module_is_added_beside_a_schedule(tmp_path: Path) -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(CLASSES)).unsqueeze(0)
            self.layer = nn.Linear(FEATURES, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.layer(x) + self.shift
            return y

    loop = Loop(Shifted())
    schedule = torch.optim.lr_scheduler.LambdaLR(loop.optimizer, lambda step: 0.9**step)

    def run() -> None:
        for x, y in loop.pairs:
            loop.step(x, y)
            schedule.step()

    done = patched(tmp_path, "add-parameters", run)
    assert done.applied == {"add-parameters": 1}
    assert loop.model.shift.abs().min() > 0
