"""States of recurrent cells cut off at each step, or once per batch, in real trainings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.connections.c23_rnn_state_misuse import forgetful_cells


def rounds(how: str, cell: nn.Module, watched_in: Path) -> list[tuple[str, int, int]]:
    torch.manual_seed(0)
    out = nn.Linear(5, 1)
    with flightcheck.watch(runs_dir=watched_in, report=False) as watched:
        optimizer = torch.optim.SGD([*cell.parameters(), *out.parameters()], lr=0.01)
        state = torch.zeros(4, 5)
        for _ in range(10):
            x = torch.randn(6, 4, 3)
            state = state.detach()
            for t in range(6):
                if how == "each step" and t:
                    state = state.detach()
                elif how == "data" and t:
                    state = state.data
                elif how == "truncated" and t == 3:
                    state = state.detach()
                state = cell(x[t], state)
            optimizer.zero_grad()
            ((out(state).squeeze(1) - x.mean((0, 2))) ** 2).mean().backward()
            optimizer.step()
    assert watched.run is not None
    return [(s.cell, s.calls, s.cut) for s in forgetful_cells(watched.run)]


@pytest.mark.parametrize(("how", "cell"), [("each step", nn.GRUCell(3, 5)), ("data", nn.RNNCell(3, 5))])
def test_a_state_without_history_at_each_step_is_seen(how: str, cell: nn.Module, tmp_path: Path) -> None:
    ((kind, calls, cut),) = rounds(how, cell, tmp_path)
    assert kind in ("gru_cell", "rnn_tanh_cell")
    assert (calls % 6, cut) == (0, calls // 6 * 5)


@pytest.mark.parametrize("how", ["once per batch", "truncated"])
def test_truncated_backpropagation_is_not(how: str, tmp_path: Path) -> None:
    assert rounds(how, nn.GRUCell(3, 5), tmp_path) == []
