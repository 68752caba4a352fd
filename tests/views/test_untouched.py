"""A look changes nothing: neither the model nor what lies around it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.errors import UsageError
from flightcheck.viewing import Film
from tests.views.made import KINDS, Recurrent, case, perceptron


def bits(model: nn.Module) -> dict[str, Any]:
    """All of a model that a look could change, and all of its surroundings."""
    return {
        "parameters": {n: p.detach().clone() for n, p in model.named_parameters()},
        "addresses": [p.data_ptr() for p in model.parameters()],
        "versions": [t._version for t in [*model.parameters(), *model.buffers()]],
        "buffers": {n: b.clone() for n, b in model.named_buffers()},
        "gradients": {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()},
        "wanted": [p.requires_grad for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "hooks": [
            [list(vars(m)[k].items()) for k in sorted(vars(m)) if k.endswith("_hooks") and vars(m)[k] is not None]
            for m in model.modules()
        ],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index,union-attr]
        "torch": torch.get_rng_state(),
        "gradient mode": torch.is_grad_enabled(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "fused": torch._C._get_mkldnn_enabled(),
        "functions": torch.overrides._len_torch_function_stack(),  # type: ignore[attr-defined]
        "dispatch": torch.utils._python_dispatch._len_torch_dispatch_stack(),
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return bool(one == other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_changes_nothing(kind: str) -> None:
    model, batch, targets = case(kind)
    nn.functional.cross_entropy(model(batch).flatten(0, -2), targets.flatten()).backward()  # type: ignore[no-untyped-call]
    list(model.modules())[1].eval()  # a mixed mode stays mixed
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    given = batch.clone()
    before = bits(model)
    made = flightcheck.view(model, batch, targets if targets.dim() == 1 else None, example=2)
    made.page()
    after = bits(model)
    assert [name for name in before if not same(before[name], after[name])] == []
    assert torch.equal(given, batch)
    assert calls, "the model's own hooks run, as in every call"


@pytest.mark.parametrize("kind", KINDS)
def test_a_filmed_training_computes_the_same_bits(kind: str) -> None:
    def trained(filmed: bool) -> list[torch.Tensor]:
        model, batch, targets = case(kind)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        film = Film(model, batch)
        for step in range(4):
            if filmed:
                film.take(step)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch).flatten(0, -2), targets.flatten()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if filmed:
            assert [s.step for s in film.view().views.snapshots] == [0, 1, 2, 3]
        return [t.detach() for t in [*model.parameters(), *model.buffers(), torch.rand(3)]]

    assert all(torch.equal(a, b) for a, b in zip(trained(True), trained(False), strict=True))


def test_a_state_with_a_history_is_no_obstacle() -> None:
    model, batch, _ = case("lstm")
    model(batch)
    assert isinstance(model, Recurrent)
    kept = model.state
    assert not kept[0].is_leaf, "deepcopy refuses such a tensor"
    flightcheck.view(model, batch)
    assert model.state is kept


def test_what_no_gradient_is_wanted_of_is_seen_too() -> None:
    model = perceptron().requires_grad_(False)
    with torch.inference_mode():
        made = flightcheck.view(model, torch.randn(3, 1, 8, 8))
    assert set(made.views.last.gradients) == {"1", "2", "3"}
    assert not any(p.requires_grad for p in model.parameters())


class Reaching(nn.Module):
    """Its ``forward`` reaches a layer of the original beside the modules, which no copy follows."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        original = self.inner
        self.other = lambda x: original(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.inner(x) + self.other(x)
        return made


def test_what_a_copy_reaches_of_the_original_stays_as_it_is() -> None:
    model, x = Reaching(), torch.randn(6, 4)
    model(x).sum().backward()
    before = bits(model)
    flightcheck.view(model, x)
    after = bits(model)
    assert [n for n in before if n != "versions" and not same(before[n], after[n])] == []


def test_errors_say_what_was_wrong() -> None:
    with pytest.raises(UsageError, match=r"a torch\.nn\.Module is needed to look into, but got int"):
        flightcheck.view(3, torch.zeros(2, 2))
    with pytest.raises(UsageError, match="there is no example 5: the batch holds 2 that are looked at"):
        flightcheck.view(perceptron(), torch.zeros(2, 1, 8, 8), example=5)
    with pytest.raises(UsageError, match="holds no tensor with examples"):
        flightcheck.view(perceptron(), {"x": 3})
    model = perceptron()
    model.lock = iter([])  # type: ignore[assignment]
    model.thread = __import__("threading").Lock()  # type: ignore[assignment]
    with pytest.raises(UsageError, match="Sequential cannot be copied, and views work on a copy"):
        flightcheck.view(model, torch.zeros(2, 1, 8, 8))


def test_memory_is_bounded() -> None:
    """However long a film, at most 24 snapshots are kept; however large a batch, at most 64 examples."""
    model, _, _ = case("cnn")
    film = Film(model, torch.randn(200, 3, 16, 16))
    for step in range(40):
        film.take(step)
    views = film.view().views
    steps = [s.step for s in views.snapshots]
    assert len(steps) <= 24
    assert (steps[0], steps[-1]) == (0, 39)
    assert len(views.input) == 64
    kept = sum(a.nbytes for s in views.snapshots for a in s.activations.values())
    assert kept < 24 * len(views.structure.layers) * 16 * 24 * 24 * 4


def test_large_outputs_are_looked_at_for_fewer_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch, _ = case("cnn")
    whole = flightcheck.view(model, batch).views
    assert len(whole.input) == 12
    each = sum(int(np.prod(x.shape or ())) for x in whole.structure.leaves()) // 12
    monkeypatch.setattr("flightcheck.views.frames._MOST_NUMBERS", 5 * each)
    views = flightcheck.view(model, batch, example=1).views
    assert len(views.input) == 5
    np.testing.assert_array_equal(views.input, whole.input[:5])
    assert len(flightcheck.view(model, batch, example=8).views.input) == 9
