"""Discounted returns in the source: appended from the last step to the first, and turned round or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.reversed_sums import reversed_sums
from flightcheck.recording.rewriting import statement_at

LOOP = """
def discounted(rewards, gamma):
    total, returns = 0.0, []
    for r in {over}:
        total = {sum}
        returns.{kept}
    {then}
    return torch.tensor(returns)
"""
USUAL = {"over": "reversed(rewards)", "sum": "r + gamma * total", "kept": "append(total)", "then": "pass"}


def lines(folder: Path, **parts: str) -> list[int]:
    file = folder / "train.py"
    file.write_text(LOOP.format(**{**USUAL, **parts}), encoding="utf-8")
    return reversed_sums(str(file))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"over": "rewards[::-1]"},
        {"over": "zip(reversed(rewards), reversed(dones))", "sum": "r[0] + gamma * total * (1 - r[1])"},
        {"kept": "append(total.clone())", "sum": "gamma * total + r"},
        {"over": "range(len(rewards) - 1, -1, -1)", "sum": "rewards[r] + gamma * total"},
    ],
)
def test_a_list_that_nobody_turns_is_seen(parts: dict[str, str], tmp_path: Path) -> None:
    assert lines(tmp_path, **parts) == [6]


@pytest.mark.parametrize(
    "parts",
    [
        {"kept": "insert(0, total)"},
        {"kept": "appendleft(total)"},
        {"then": "returns.reverse()"},
        {"then": "returns = returns[::-1]"},
        {"then": "returns = torch.tensor(returns).flip(0)"},
        {"over": "rewards"},
        {"over": "zip(reversed(rewards), reversed(log_probs))", "sum": "r[0] + gamma * total"},
        {"sum": "r"},
        {"kept": "append(-log_probs[r] * total)"},
        {"then": "x = returns[len(returns) - 1 - t]"},
    ],
)
def test_what_stands_in_order_is_not(parts: dict[str, str], tmp_path: Path) -> None:
    assert lines(tmp_path, **parts) == []


def test_no_python_has_no_answer(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("for r in reversed(", encoding="utf-8")
    assert reversed_sums(str(tmp_path / "train.py")) == []


def test_the_trial_puts_each_before_the_rest() -> None:
    assert statement_at("returns.append(total)\n", "first", 1) == "returns.insert(0, total)"
    assert statement_at("total = 1\n", "first", 1) == ""
