"""Reshapes: what they do to axes, what the observer keeps of them, and how their sizes are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flightcheck.recording.layouts import Reshape, crossing, nested, regroups
from flightcheck.recording.provenance.sizes import written_axes
from tests.lab.made import CLASSES, FEATURES, ROWS, Loop, patched

B, T, C, H = 4, 6, 12, 3

LEGAL: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((B, 64), (B, 1, 8, 8)),
    ((B, T, C), (B * T, C)),
    ((B * T, C), (B, T, C)),
    ((B, T, C), (B, T, H, C // H)),
    ((B, C, 8, 8), (B, C, 64)),
    ((B, 16, 5, 5), (B, 400)),
    ((B, 1, T, 1), (B, T)),
    ((B, 16, 16, C), (B, 4, 4, 4, 4, C)),  # windows
    ((B, 4, 4, 4, 4, C), (B * 16, 4, 4, C)),
    ((B, C, 4, 2, 4, 2), (B, C, 4, 2, 4, 2)),
    ((2, 2, B, 16), (4, B, 16)),  # directions and layers
    ((B, 100), (10, B * 10)),
]


@pytest.mark.parametrize(("before", "after"), LEGAL)
def test_merging_and_splitting_moves_no_axis(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    assert crossing(before, after) is None


def test_what_is_made_of_the_same_finer_axes_is_nested() -> None:
    for n in range(2, 40, 3):
        for c in (2, 6, 8, 16, 24, 30):
            for k in (2, 3, 4, 8):
                if c % k == 0:
                    assert nested((n, c), (n * k, c // k))
                    assert nested((n, c, 5, 5), (n, k, c // k * 25))
                if n % k == 0:
                    assert nested((n, c), (n // k, k * c))


@pytest.mark.parametrize(
    ("before", "after", "right"),
    [
        ((7, 32, 16), (32, 7, 16), lambda x: x.transpose(0, 1)),
        ((8, 9, 9, 3), (8, 3, 9, 9), lambda x: x.permute(0, 3, 1, 2)),
        ((2, 33, 10), (33, 20), lambda x: x.transpose(0, 1).reshape(33, 20)),
        ((4, 20, 64), (4, 8, 20, 8), lambda x: x.view(4, 20, 8, 8).transpose(1, 2)),
        ((4, 20, 64), (32, 20, 8), lambda x: x.view(4, 20, 8, 8).transpose(1, 2).reshape(32, 20, 8)),
        ((8, 6, 5, 7), (8, 35, 6), lambda x: x.flatten(2).transpose(1, 2)),
        ((2, 16, 8), (16, 16), lambda x: x.transpose(0, 1).reshape(16, 16)),
        ((5, 16, 16, 4), (5, 64, 16), lambda x: x.flatten(2).transpose(1, 2)),
        ((3, 32, 32), (32, 96), lambda x: x.transpose(0, 1).reshape(32, 96)),
        ((5, 3, 1, 4), (5, 4, 3), lambda x: x.squeeze(2).transpose(1, 2)),
    ],
)
def test_the_move_that_was_meant(before: Any, after: Any, right: Callable[[torch.Tensor], torch.Tensor]) -> None:
    move = crossing(before, after)
    assert move is not None
    x = torch.arange(math.prod(before)).reshape(before)
    assert torch.equal(x.reshape(move.split).permute(move.order).reshape(after), right(x))


def recorded(tmp_path: Path, loop: Callable[[], Any]) -> list[Reshape]:
    return patched(tmp_path, "", loop).run.reshapes


class Net(nn.Module):
    def __init__(self, layout: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layout = layout
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layout(self.fc(x))


def test_the_observer_keeps_lines_that_regroup_axes(tmp_path: Path) -> None:
    images = torch.randn(10, 7, 5, 3)

    def loop() -> None:
        images.reshape(10, 3, 7, 5)
        images.reshape(10, -1)
        Loop(Net(lambda x: x.view(CLASSES, ROWS).sum() + x))()

    data, model = recorded(tmp_path, loop)
    assert (data.before, data.after, data.plain, data.in_module) == ([10, 7, 5, 3], [10, 3, 7, 5], True, False)
    assert data.location is not None and data.location.code.startswith("images.reshape")
    assert (model.before, model.from_model, model.in_module, model.calls) == ([ROWS, CLASSES], True, True, 4)


def test_code_of_libraries_and_parameters_are_left_out(tmp_path: Path) -> None:
    attention = nn.MultiheadAttention(8, 2)
    weight = nn.Parameter(torch.randn(7, 3))

    def loop() -> None:
        x = torch.randn(5, 3, 8)
        attention(x, x, x)
        weight.view(3, 7)
        Loop()()

    assert recorded(tmp_path, loop) == []


def test_results_that_are_brought_back_are_marked(tmp_path: Path) -> None:
    stored = torch.randn(7, 5)

    def loop() -> None:
        stored.reshape(5, 7).T
        stored.reshape(5, 7)
        Loop()()

    assert [r.undone for r in recorded(tmp_path, loop)] == [True, False]


def test_last_hidden_states_are_known(tmp_path: Path) -> None:
    rnn = nn.LSTM(3, 4, bidirectional=True, batch_first=True)

    def loop() -> None:
        outputs, (h, c) = rnn(torch.randn(6, 5, 3))
        h.view(6, -1)
        outputs.reshape(5, 6, 8)
        c.reshape(c.size(1), -1)
        Loop()()

    found = recorded(tmp_path, loop)
    assert [r.state for r in found] == [True, False, True]
    assert found[2].written == [1, -1]


def test_what_a_convolution_takes_for_channels_is_known(tmp_path: Path) -> None:
    conv, data, other = nn.Conv1d(3, 4, 3), torch.randn(20, 8, 3), torch.randn(20, 6, 4)

    def loop() -> None:
        rows = data.reshape(-1, 3, 8)
        other.reshape(-1, 4, 6)
        conv(rows[:5])
        conv(torch.randn(5, 12, 3).view(5, 3, 12))
        Loop()()

    assert [(r.after, r.channels) for r in recorded(tmp_path, loop)] == [
        ([20, 3, 8], True),
        ([20, 4, 6], False),
        ([5, 3, 12], True),
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["b, t, c = x.shape", "q = self.q(x).view(b, self.heads, t, c // self.heads)"], [0, -1, 1, -1]),
        (["t, b, _ = x.size()", "x = x.contiguous().view(b, t, -1)"], [1, 0, -1]),
        (["n = x.size(1)", "x = x.reshape((n, -1))"], [1, -1]),
        (["x = torch.reshape(x, (x.shape[-1], x.shape[0], 4))"], [2, 0, -1]),
        (["b, t = x.shape", "x = x.view(t, b, 1)"], [-1, -1, -1]),
        (["n = other.size(1)", "x = x.view(n, -1)"], [-1, -1]),
        (["n = x.size(1)", "n = 4", "x = x.view(n, -1)"], [-1, -1]),
        (["x = x.view(*shape)"], []),
        (["x = x.view(3, 4) + y.view(3, 4)"], []),
    ],
)
def test_sizes_by_their_names(tmp_path: Path, lines: list[str], expected: list[int]) -> None:
    file = tmp_path / "train.py"
    file.write_text("def f(self, x, other):\n" + "".join(f"    {line}\n" for line in lines))
    assert written_axes(str(file), len(lines) + 1, 3) == expected


def test_sizes_of_zero_and_of_one_are_no_axes() -> None:
    assert not regroups((0, 3, 4), (0, 4, 3))
    assert not regroups((1, 3, 4), (3, 1, 4))
