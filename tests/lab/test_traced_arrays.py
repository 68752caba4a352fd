"""What NumPy computes of a tensor keeps its history in a trial that undoes the cut, as far as PyTorch has the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special
from sklearn.metrics import pairwise
from torch import nn

from flightcheck.adapters.torch.patching.arrays import TracedArray, follow_libraries, same_values, traced
from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.testing.runs import run_of
from tests.lab.made import CLASSES, FEATURES, Loop, equal, patched

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text(encoding="utf-8")
LINE = next(i for i, text in enumerate(SOURCE.splitlines(), 1) if text.endswith("# cut by numpy"))


def softmax(a: Any) -> Any:
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


KEPT: dict[str, Callable[[Any], Any]] = {
    "method": lambda a: a.max(axis=1),
    "function": lambda a: np.mean(a, axis=(0, 1)),
    "total": lambda a: np.sum(a**2),
    "softmax": softmax,
    "product": lambda a: a[0] @ a[0].T,
    "norm": lambda a: a / np.linalg.norm(a, axis=-1, keepdims=True),
    "stack": lambda a: np.stack([a, 2 * a]),
    "concatenate": lambda a: np.concatenate([a, a], axis=1),
    "where": lambda a: np.where(a > 0, a, 0.1),
    "spread": lambda a: a.std(axis=0, ddof=1),
    "slice": lambda a: a[:, [0, 2]],
    "shape": lambda a: np.transpose(a.reshape(4, -1)),
    "clip": lambda a: np.clip(a, -1, 1),
    "einsum": lambda a: np.einsum("abc,abd->cd", a, a),
    "type": lambda a: a.astype(np.float64),
    "rows": sum,
}


def array() -> tuple[Any, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(4, 5, 3, requires_grad=True)
    tensor = x * 1
    return traced(tensor.detach().numpy(), tensor), x


@pytest.mark.parametrize("name", KEPT)
def test_an_operation_that_both_have_keeps_the_history(name: str) -> None:
    a, x = array()
    result = KEPT[name](a)
    assert isinstance(result, TracedArray)
    assert result.tensor is not None
    assert np.array_equal(np.asarray(result), np.asarray(KEPT[name](np.asarray(a)))), "NumPy's own values"
    assert same_values(result, result.tensor)
    result.tensor.square().sum().backward()
    assert x.grad is not None
    assert bool(x.grad.any())


@pytest.mark.parametrize(
    "compute",
    [
        lambda a: pairwise.cosine_similarity(a[0], a[1]),
        lambda a: pairwise.euclidean_distances(a[0], a[1]),
        lambda a: special.softmax(a, axis=1),
        lambda a: special.expit(a),
    ],
)
def test_libraries_over_numpy_keep_it(compute: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    own = {name: getattr(pairwise, name) for name in ("cosine_similarity", "linear_kernel")}
    follow_libraries(lambda owner, name, make: monkeypatch.setattr(owner, name, make(getattr(owner, name))))
    a, x = array()
    result = compute(a)
    assert result.tensor is not None
    assert np.array_equal(np.asarray(result), np.asarray(compute(np.asarray(a))))
    result.tensor.square().sum().backward()
    assert bool(x.grad.any())
    b = np.ones((2, 3))
    assert type(pairwise.cosine_similarity(b)) is np.ndarray
    assert np.array_equal(pairwise.cosine_similarity(b), own["cosine_similarity"](b))


@pytest.mark.parametrize(
    "change",
    [lambda a: np.median(a, axis=0), np.sort, lambda a: a.argmax(-1), lambda a: a > 0],
    ids=["median", "sort", "argmax", "threshold"],
)
def test_what_only_numpy_has_ends_the_history(change: Callable[[Any], Any]) -> None:
    a, _ = array()
    result = change(a)
    assert getattr(result, "tensor", None) is None
    assert np.array_equal(np.asarray(result), change(np.asarray(a)))


def test_an_array_that_is_written_into_has_no_history() -> None:
    a, _ = array()
    b, _ = array()
    a[0] = 0.0
    b += 1
    assert a.tensor is None
    assert b.tensor is None


class Pooled(nn.Module):
    """Pooling over time: in PyTorch, or by way of NumPy."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.how = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES), how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)[:, None, :]
        if not self.how:
            return self.second(h.amax(1) * 2)
        a = h.detach().numpy().copy()  # cut by numpy
        if self.how == "changed behind our back":
            np.asarray(a)[0] = 1.0
        return self.second(torch.tensor(a.max(axis=1) * 2))


def test_a_training_that_pools_by_numpy_learns_as_the_one_that_does_not(tmp_path: Path) -> None:
    control, loop = Loop(Pooled("")), Loop(Pooled("numpy"))
    control()
    done = patched(tmp_path, f"keep-graph:{HERE}:{LINE}", loop)
    assert done.applied
    assert equal(loop.weights, control.weights)


def test_an_array_that_was_changed_through_another_view_is_no_tensor_any_more(tmp_path: Path) -> None:
    loop = Loop(Pooled("changed behind our back"))
    first = loop.model.first.weight.detach().clone()
    patched(tmp_path, f"keep-graph:{HERE}:{LINE}", loop)
    assert torch.equal(loop.model.first.weight, first), "it stays cut off"


@pytest.mark.parametrize("cut", ["numpy", "detach"])
def test_the_line_without_numpy(cut: str) -> None:
    code = "pooled = torch.from_numpy(np.tanh(states.detach().numpy()).max(axis=1))"
    found = Finding("", Location("train.py", 3, "f", code), evidence={"cut": cut})
    assert diff_of([Patch("keep-graph", "train.py:3")], found, run_of()) == (
        f"- {code}\n+ pooled = torch.tanh(states).amax(dim=1)"
    )


def test_the_line_without_scikit_learn() -> None:
    code = "sim = torch.from_numpy(cosine_similarity(a.detach().numpy(), b.detach().numpy()))"
    found = Finding("", Location("train.py", 3, "f", code), evidence={"cut": "numpy"})
    assert diff_of([Patch("keep-graph", "train.py:3")], found, run_of()).splitlines()[1] == (
        "+ sim = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T"
    )
