"""Loops over epochs that are left after a number of steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.budgets import Budget, step_budget

INNER = "TOTAL = 180\nstep = 0\nfor epoch in range(1000):\n    for x in loader:\n        loss.backward()\n{}"
OUTER = "    if step >= TOTAL:\n        break\n"
CASES = {
    INNER.format("        step += 1\n        if step >= TOTAL:\n            break\n") + OUTER: Budget(180),
    INNER.format("        step += 1\n") + OUTER: Budget(180),
    INNER.format("        step += 1\n        if step == len(loader):\n            break\n"): Budget(None),
    INNER.format("        if better:\n            step += 1\n") + OUTER: None,
    INNER.format("    step += 1\n") + OUTER: None,
    INNER.format("        step += 1\n"): None,
}


@pytest.mark.parametrize("text", CASES)
def test_what_ends_the_training(tmp_path: Path, text: str) -> None:
    file = tmp_path / "train.py"
    file.write_text(text)
    assert step_budget(str(file), 5) == CASES[text]
