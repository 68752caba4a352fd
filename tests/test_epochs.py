"""How long an epoch is, by the variable of the loop over epochs."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from flightcheck.adapters.torch.epochs import EpochLengths
from flightcheck.recording.provenance.loops import epoch_loop
from flightcheck.recording.records import Location

IN_LINE = """
for epoch in range(1, 5):
    for rows in range(7):
        backward()  # HERE
"""
IN_A_FUNCTION = """
def one_step():
    backward()  # HERE

def fit(epochs=4):
    for epoch, _ in enumerate(range(epochs)):
        for rows in range(7):
            one_step()

fit()
"""
TWICE = """
def fit():
    for epoch in range(2):
        for rows in range(7 if first else 3):
            backward()  # HERE

for first in (True, False):
    fit()
"""


def _steps(tmp_path: Path, text: str) -> int | None:
    file = tmp_path / "train.py"
    file.write_text(text)
    line = next(n for n, t in enumerate(text.splitlines(), 1) if "HERE" in t)
    watch = types.SimpleNamespace(step=0)
    lengths = EpochLengths(watch)  # type: ignore[arg-type]

    def backward() -> None:
        lengths.passed(Location(str(file), line))
        watch.step += 1

    exec(compile(text, str(file), "exec"), {"backward": backward})
    return lengths.steps


@pytest.mark.parametrize("text", [IN_LINE, IN_A_FUNCTION, TWICE])
def test_an_epoch_lasts_as_long_as_its_variable_keeps_its_value(tmp_path: Path, text: str) -> None:
    assert _steps(tmp_path, text) == 7


@pytest.mark.parametrize(
    "text",
    [
        "for epoch in range(1):\n    for rows in range(7):\n        backward()  # HERE\n",
        "for _ in range(9):\n    for _ in range(7):\n        backward()  # HERE\n",
        "for step in range(9):\n    backward()  # HERE\n",
    ],
)
def test_no_length_of_what_was_not_seen_to_the_end_or_is_not_counted(tmp_path: Path, text: str) -> None:
    assert _steps(tmp_path, text) is None


def test_odd_sources_have_no_loop(tmp_path: Path) -> None:
    assert epoch_loop(str(tmp_path / "gone.py"), 3) is None
