"""Which models are an affine function of their input, as the graph of a prediction tells."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from flightcheck.adapters.torch.linear_stacks import linear_stack

torch.manual_seed(0)
X = torch.randn(6, 8)
IMAGES = torch.randn(6, 3, 8, 8)
W1, W2 = (torch.randn(*s, requires_grad=True) for s in ((8, 5), (5, 2)))
KEYS = nn.Linear(8, 8)


def widths(prediction: torch.Tensor) -> list[int] | None:
    found = linear_stack(0, prediction.grad_fn, {}, {}, lambda p: None)
    return None if found is None else [*found.inputs[:1], *found.outputs]


AFFINE: dict[str, tuple[Callable[[], torch.Tensor], list[int]]] = {
    "sequential": (lambda: nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 3))(X), [8, 16, 3]),
    "softmax at the end": (lambda: nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 3), nn.Softmax(1))(X), [8, 16, 3]),
    "matrices by hand": (lambda: (X @ W1 + 0.5) @ W2, [8, 5, 2]),
    "from the left": (lambda: W2.t() @ (W1.t() @ X.t()), [8, 5, 2]),
    "normalized batches": (
        lambda: nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 1))(X).squeeze(1),
        [8, 16, 1],
    ),
    "convolutions": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6, 2))(
            IMAGES
        ),
        [3, 4, 6, 2],
    ),
    "residual": (lambda: KEYS(X) + KEYS(KEYS(X)), [8, 8, 8]),
    "sequences": (lambda: nn.Linear(16, 2)(nn.Linear(8, 16)(torch.randn(4, 5, 8)).mean(1)), [8, 16, 2]),
}
BENT: dict[str, Callable[[], torch.Tensor]] = {
    "relu": lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))(X),
    "max pooling": lambda: nn.Linear(4 * 9, 2)(nn.MaxPool2d(2)(nn.Conv2d(3, 4, 3)(IMAGES)).flatten(1)),
    "layer norm": lambda: nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 3))(X),
    "lstm": lambda: nn.Linear(5, 2)(nn.LSTM(8, 5)(X[None])[0]),
    "attention": lambda: (KEYS(X) @ KEYS(X).t()).softmax(1) @ KEYS(X),
    "scores of pairs": lambda: KEYS(X) @ KEYS(X).t(),
    "gate": lambda: KEYS(X) * X,
    "squares": lambda: nn.Linear(8, 2)(KEYS(X) ** 2),
}


@pytest.mark.parametrize("name", AFFINE)
def test_affine_models_are_followed_to_their_layers(name: str) -> None:
    make, expected = AFFINE[name]
    assert widths(make()) == expected


@pytest.mark.parametrize("name", BENT)
def test_what_bends_is_none(name: str) -> None:
    assert widths(BENT[name]()) is None
