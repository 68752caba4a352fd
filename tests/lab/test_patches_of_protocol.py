"""Patches of the order of zero_grad, backward and step, of what cuts the graph, and of functional dropout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.lab.made import CLASSES, FEATURES, Loop, equal, mlp, patched

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text(encoding="utf-8")


class Between(Loop):
    """zero_grad stands between backward and step."""

    def step(self, x: Any, y: torch.Tensor) -> None:
        self.loss(self.model(x), y).backward()
        self.optimizer.zero_grad()
        self.optimizer.step()


class OfModel(Loop):
    """As `Between`, by the model's own zero_grad."""

    def step(self, x: Any, y: torch.Tensor) -> None:
        self.loss(self.model(x), y).backward()
        self.model.zero_grad()
        self.optimizer.step()


class OnceAtFirst(Loop):
    """Cleared before the first batch only."""

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        for x, y in self.pairs:
            self.loss(self.model(x), y).backward()
            self.optimizer.step()


@pytest.mark.parametrize("kind", [Between, OfModel, OnceAtFirst])
def test_gradients_are_cleared_after_the_step_and_only_then(tmp_path: Path, kind: type[Loop]) -> None:
    control, loop = Loop(), kind()
    control()
    done = patched(tmp_path, "zero-grad", loop)
    assert equal(loop.weights, control.weights)
    assert done.applied["zero-grad"]


def test_an_optimizer_that_never_steps_does(tmp_path: Path) -> None:
    class Unstepped(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.zero_grad()
            self.loss(self.model(x), y).backward()

    control, loop = Loop(), Unstepped()
    control()
    done = patched(tmp_path, "step:0", loop)
    assert equal(loop.weights, control.weights)
    assert done.applied == {"step:0": 4}
    assert done.run.optimizers[0].steps == 4


def test_an_optimizer_that_does_not_exist_cannot_step(tmp_path: Path) -> None:
    assert patched(tmp_path, "step:3", Loop()).applied == {}


def test_moments_go_on_where_the_optimizer_is_built_anew(tmp_path: Path) -> None:
    class Rebuilt(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
            super().step(x, y)

    control, loop = Loop(optimizer=lambda p: torch.optim.Adam(p, lr=0.01)), Rebuilt()
    control()
    done = patched(tmp_path, "keep-state", loop)
    assert equal(loop.weights, control.weights)
    assert done.applied["keep-state"]


def test_moments_go_on_where_the_state_is_emptied(tmp_path: Path) -> None:
    class Emptied(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.state.clear()
            super().step(x, y)

    control, loop = (kind(optimizer=lambda p: torch.optim.Adam(p, lr=0.01)) for kind in (Loop, Emptied))
    control()
    done = patched(tmp_path, "keep-state", loop)
    assert equal(loop.weights, control.weights)
    assert done.applied["keep-state"]


class Cut(nn.Module):
    """Two layers, and a cut between them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.how = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES), how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(getattr(self, self.how)(x) if self.how else self.first(x))

    def no_grad(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.first(x)  # cut by no_grad

    @torch.no_grad()
    def decorated(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x)  # cut by decorated

    def inference(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            h = self.first(x)  # cut by inference
        return h.clone()

    def copy(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.first(x))  # cut by copy

    def listed(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.first(x))  # cut by listed

    def numpy(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.first(x).detach().numpy())  # cut by numpy


def line(how: str) -> int:
    return next(i for i, text in enumerate(SOURCE.splitlines(), 1) if text.endswith(f"# cut by {how}"))


@pytest.mark.parametrize("how", ["no_grad", "decorated", "inference", "copy", "listed", "numpy"])
@pytest.mark.filterwarnings("ignore:To copy construct")
def test_history_is_kept(tmp_path: Path, how: str) -> None:
    control, loop = Loop(Cut("")), Loop(Cut(how))
    control()
    done = patched(tmp_path, f"keep-graph:{HERE}:{line(how)}", loop)
    assert done.applied
    assert equal(loop.weights, control.weights)


def test_another_block_of_no_grad_stays_one(tmp_path: Path) -> None:
    loop = Loop(Cut("no_grad"))
    done = patched(tmp_path, f"keep-graph:{HERE}:{line('decorated')}", loop)
    assert done.applied == {}


def test_the_numbers_of_a_list_keep_their_history(tmp_path: Path) -> None:
    def of_items(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        rows = nn.functional.cross_entropy(out, y, reduction="none").unbind()
        return torch.tensor([r.item() for r in rows], requires_grad=True).mean()  # cut by items

    control, loop = Loop(), Loop(loss=of_items)
    control()
    patched(tmp_path, f"keep-graph:{HERE}:{line('items')}", loop)
    assert all(torch.allclose(a, b) for a, b in zip(loop.weights, control.weights, strict=True))


def test_one_output_may_be_used_by_two_backward_passes(tmp_path: Path) -> None:
    """As in a GAN whose detached samples are used again for the generator's loss."""
    generator, judge = mlp(), nn.Linear(CLASSES, 1)
    one, other = (torch.optim.SGD(m.parameters(), 0.1) for m in (generator, judge))
    before = generator[0].weight.detach().clone()

    def run() -> Iterator[None]:
        for _ in range(3):
            made = generator(torch.ones(4, FEATURES)).detach()  # cut by generator
            other.zero_grad()
            judge(made).mean().backward()
            other.step()
            one.zero_grad()
            (-judge(made).mean()).backward()
            one.step()
            yield

    patched(tmp_path, f"keep-graph:{HERE}:{line('generator')}", lambda: list(run()))
    assert not torch.equal(generator[0].weight, before)


def test_dropout_that_is_called_as_a_function_is_off_in_evaluations(tmp_path: Path) -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(FEATURES, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(self.layer(x), 0.5)

    model, seen = Functional(), []

    def both() -> None:
        Loop(model)()
        model.eval()
        with torch.no_grad():
            seen.extend(model(torch.ones(2, FEATURES)) for _ in range(2))

    done = patched(tmp_path, "mode:eval", both)
    assert done.applied == {"mode:eval": 2}
    assert torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("cleared", ["never", "after"])
def test_a_closure_gets_gradients_of_its_own(tmp_path: Path, cleared: str) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    x, y = torch.randn(32, 3), torch.randn(32, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=10)

    def closure() -> torch.Tensor:
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        if cleared == "after":
            optimizer.zero_grad()
        return loss

    done = patched(tmp_path, "zero-grad:closure", lambda: [optimizer.step(closure) for _ in range(3)])  # type: ignore[arg-type]
    wide = torch.cat([x, torch.ones(32, 1)], 1)
    best = torch.nn.functional.mse_loss(wide @ torch.linalg.lstsq(wide, y).solution, y).item()
    assert done.errors == []
    assert torch.nn.functional.mse_loss(model(x), y).item() == pytest.approx(best, rel=1e-3)


def test_a_closure_in_parts_gets_the_gradient_of_all_of_them(tmp_path: Path) -> None:
    def trained(*, once: bool) -> torch.Tensor:
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 1)
        x, y = torch.randn(32, 3), torch.randn(32, 1)
        optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=4, line_search_fn="strong_wolfe")

        def closure() -> float:
            total = 0.0
            for i in range(0, 32, 8):
                if i == 0 or not once:
                    optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(model(x[i : i + 8]), y[i : i + 8]) / 4
                loss.backward()
                total += loss.item()
            return total

        if once:
            _ = [optimizer.step(closure) for _ in range(3)]
        else:
            done = patched(tmp_path, "zero-grad:evaluation", lambda: [optimizer.step(closure) for _ in range(3)])
            assert done.errors == []
        return model.weight.detach()

    assert torch.equal(trained(once=True), trained(once=False))
