"""A causal mask put into a model that sees the future, and the error that tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.patch import Patch
from tests.lab.made import Loop, patched

VOCABULARY, LENGTH = 7, 9


def sequences(n: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(1)
    start, step = torch.randint(0, VOCABULARY, (n, 16, 1)), torch.randint(1, 3, (n, 16, 1))
    ids = (start + step * torch.arange(LENGTH + 1)) % VOCABULARY
    return [(i[:, :-1], i[:, 1:]) for i in ids]


class Attention(nn.Module):
    """One head by hand, or PyTorch's own."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how = how
        self.embedding, self.place = nn.Embedding(VOCABULARY, 16), nn.Parameter(torch.randn(LENGTH, 16))
        self.heads = nn.MultiheadAttention(16, 2, batch_first=True)
        self.last = nn.Linear(16, VOCABULARY)
        self.seen: list[torch.Tensor] = []

    def forward(self, ids: torch.Tensor) -> Any:
        h = self.embedding(ids) + self.place[: ids.shape[1]]
        if self.how == "module":
            made = self.heads(h, h, h, need_weights=False)[0]
        elif self.how == "function":
            made = F.scaled_dot_product_attention(h, h, h)
        else:
            made = (h @ h.transpose(1, 2) / 4).softmax(-1) @ h
        return self.last(h + made)


def future_matters(model: Attention, ids: torch.Tensor) -> bool:
    other = ids.clone()
    other[:, -1] = (other[:, -1] + 1) % VOCABULARY
    return not torch.allclose(model(ids)[:, :-1], model(other)[:, :-1], atol=1e-5)


@pytest.mark.parametrize("how", ["module", "function", "hand"])
def test_no_position_sees_the_future(how: str, tmp_path: Path) -> None:
    seen: list[bool] = []

    class Asking(Loop):
        def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
            super().step(x, y.flatten())
            with torch.no_grad():
                seen.append(future_matters(self.model, x))  # type: ignore[arg-type]

    def loss(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores.flatten(0, 1), y)

    for text, expected in (("", True), ("mask:causal", False)):
        seen.clear()
        done = patched(tmp_path / how, text, Asking(Attention(how), loss=loss, pairs=sequences(3)))
        assert set(seen) == {expected}
        assert bool(done.applied.get("mask:causal")) is not expected


def test_the_error_is_that_of_sequences_that_end_before_the_token(tmp_path: Path) -> None:
    rule = str(Patch("mask", "causal").scored)
    assert rule == "score:prefix"
    ends = []
    for text in (rule, f"mask:causal + {rule}"):
        loop = Loop(
            Attention("hand"),
            loss=lambda scores, y: F.cross_entropy(scores.flatten(0, 1), y.flatten()),
            optimizer=lambda p: torch.optim.Adam(p, lr=1e-2),
            pairs=sequences(60),
        )
        done = patched(tmp_path, text, loop)
        assert done.applied[rule] == 60
        ends.append(float(np.mean(done.trained.series("error")[-15:])))
    assert ends[1] < ends[0]


def test_a_training_without_tokens_has_no_such_error(tmp_path: Path) -> None:
    done = patched(tmp_path, "mask:causal + score:prefix", Loop())
    assert done.applied == {}
    assert not len(done.trained.series("error"))
