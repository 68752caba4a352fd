"""Tests that come true after the end of their loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.averages import follows_nowhere, unreached_copying

SCRIPT = """
EVERY, STEPS = 0, 5_000
SYNC = 10_000
target.load_state_dict(online.state_dict())
for step in {over}:
    learn()
    if {test}:
        target.load_state_dict(online.state_dict())
"""
MADE = "target.load_state_dict(online.state_dict())"


def told(folder: Path, over: str, test: str) -> tuple[bool, int | None]:
    file = folder / "train.py"
    file.write_text(SCRIPT.format(over=over, test=test), encoding="utf-8")
    found = unreached_copying(str(file), MADE)
    return follows_nowhere(str(file), MADE), None if found is None else found[1]


@pytest.mark.parametrize("over", ["range(5_000)", "range(1, 5_001)", "range(1, 5000 + 1)", "tqdm(range(9999))"])
@pytest.mark.parametrize("test", ["step % SYNC == 0", "not step % SYNC", "step % 10_000 == 0"])
def test_a_copy_that_is_never_made(tmp_path: Path, over: str, test: str) -> None:
    assert told(tmp_path, over, test) == (True, 7)


@pytest.mark.parametrize(
    ("over", "test"),
    [
        ("range(20_000)", "step % SYNC == 0"),
        ("range(1, 10_001)", "step % SYNC == 0"),  # once, at its end
        ("range(5_000)", "step % SYNC == 1"),
        ("range(5_000)", "step % period == 0"),  # unknown
        ("range(n)", "step % SYNC == 0"),
        ("range(5_000)", "step % SYNC == 0 or done"),
        ("range(5_000)", "total % SYNC == 0"),
        ("count()", "step % SYNC == 0"),
    ],
)
def test_a_copy_that_may_be_made(tmp_path: Path, over: str, test: str) -> None:
    assert told(tmp_path, over, test) == (False, None)
