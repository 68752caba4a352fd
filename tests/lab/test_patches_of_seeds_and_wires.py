"""Patches of seeds that are set again, of losses that are added up, and of how modules are wired."""

from __future__ import annotations

import weakref
from pathlib import Path

import torch
from torch import nn

from tests.lab.made import CLASSES, FEATURES, Loop, batches, equal, mlp, patched


def test_a_seed_that_is_set_again_is_left_out_and_the_first_one_stays(tmp_path: Path) -> None:
    def loop() -> None:
        training = Loop(model=mlp())
        for x, y in training.pairs:
            torch.manual_seed(7)
            drawn.append(float(torch.rand(())))
            training.step(x, y)

    drawn: list[float] = []
    assert patched(tmp_path, "", loop).applied == {}
    repeated = list(drawn)
    drawn.clear()
    done = patched(tmp_path, "reseed:off", loop)
    assert len(set(repeated)) == 1
    assert drawn[0] == repeated[0]
    assert len(set(drawn[1:])) == len(drawn) - 1
    assert done.applied["reseed:off"] >= len(drawn) - 2


class Summed(Loop):
    """Adds the losses up, and calls backward on the sum so far."""

    total: torch.Tensor | float = 0.0
    sums = True

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        self.total = self.total + loss if self.sums else loss
        self.total.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        self.optimizer.step()


def _constant(*, sums: bool) -> Summed:
    """Its rate is 0, so that the graphs that are kept stay right."""
    torch.manual_seed(0)
    made = Summed(nn.Linear(FEATURES, CLASSES), optimizer=lambda p: torch.optim.SGD(p, lr=0.0), pairs=batches(24))
    made.sums = sums
    return made


def test_backward_goes_through_the_last_loss_alone(tmp_path: Path) -> None:
    added, mended, alone = _constant(sums=True), _constant(sums=True), _constant(sums=False)
    patched(tmp_path, "", added)
    done = patched(tmp_path, "old-graphs:off", mended)
    patched(tmp_path, "", alone)

    def gradients(loop: Loop) -> list[torch.Tensor]:
        return [p.grad.clone() for p in loop.model.parameters() if p.grad is not None]

    assert done.applied["old-graphs:off"] > 0
    assert equal(gradients(mended), gradients(alone))
    assert not equal(gradients(added), gradients(alone))


class Twins(nn.Module):
    def __init__(self, wired: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mu, self.logvar, self.wired = nn.Linear(FEATURES, CLASSES), nn.Linear(FEATURES, CLASSES), wired

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        other = self.logvar if self.wired else self.mu
        made: torch.Tensor = self.mu(x) + 2 * other(x)
        return made


def test_every_second_call_is_one_of_the_twin(tmp_path: Path) -> None:
    mended, right = Loop(model=Twins()), Loop(model=Twins(wired=True))
    done = patched(tmp_path, "call-instead:model.mu>model.logvar", mended)
    right()
    assert done.applied["call-instead:model.mu>model.logvar"] == len(mended.losses)
    assert equal(mended.weights, right.weights)


class Block(nn.Module):
    def __init__(self, added: bool = False) -> None:
        super().__init__()
        self.inner, self.added = nn.Linear(FEATURES, FEATURES), added

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.inner(x)
        return made + x if self.added else made


def _blocks(*, added: bool) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(Block(added), nn.Tanh(), Block(added), nn.Linear(FEATURES, CLASSES))


def test_inputs_are_added_to_the_blocks_outputs_and_to_no_others(tmp_path: Path) -> None:
    mended, right = Loop(model=_blocks(added=False)), Loop(model=_blocks(added=True))
    done = patched(tmp_path, "residual:Block", mended)
    right()
    assert done.applied["residual:Block"] == 2 * len(mended.losses)
    assert equal(mended.weights, right.weights)


class Pool(nn.Module):
    """Features that are never trained, so that no graph holds the inputs; and a readout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.readout = nn.Linear(8, 4)
        self.fed: weakref.ref[torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.fed = weakref.ref(x)
        with torch.no_grad():
            features = x.cos()
        read: torch.Tensor = self.readout(features)
        return read


def test_permuted_inputs_are_held_until_the_loss_so_that_no_target_can_lie_in_their_memory(tmp_path: Path) -> None:
    """By its memory a target that a model was given is told from its inputs."""
    model = Pool()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    held = []

    def loop() -> None:
        for _ in range(12):
            output = model(torch.randn(16, 8))
            held.append(model.fed is not None and model.fed() is not None)
            optimizer.zero_grad()
            nn.functional.cross_entropy(output, torch.randint(0, 4, (16,))).backward()
            optimizer.step()

    assert patched(tmp_path, "inputs:permute", loop).applied == {"inputs:permute": 12}
    assert all(held) and len(held) == 12
