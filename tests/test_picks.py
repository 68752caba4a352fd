"""Rows of two tables: picked each by itself, or one because of the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.picks import one_picks_the_other

DRAWN = "i = torch.randint(0, n, (8,))\n"
CASES = {
    DRAWN + "j = torch.stack([choose(k) for k in y[i].tolist()])\nloss = f(net(x[i]), z[j])\n": True,
    DRAWN + "kinds = y[i]\nj = partner(kinds)\nloss = f(net(x[i]), z[j])\n": True,
    DRAWN + "j = torch.randint(0, n, (8,))\nloss = f(net(x[i]), z[j])\n": False,
    DRAWN + "j = order[torch.randperm(n)]\nloss = f(net(x[i]), z[j])\n": False,
}


@pytest.mark.parametrize("text", CASES)
def test_whose_rows_decide(tmp_path: Path, text: str) -> None:
    file = tmp_path / "train.py"
    file.write_text(text)
    line = len(text.splitlines())
    assert one_picks_the_other(str(file), line, line) == CASES[text]
