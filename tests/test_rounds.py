"""The loop that says how long a training is."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.rounds import rounds

MODULE = "EPOCHS = 5\nfor epoch in range(EPOCHS):\n    for x in loader:\n        loss.backward()\n"
STEPS = "n = 1\nfor step in range(60):\n    loss.backward()\n"
CALLED = """\
def one_pass(model):
    for start in range(0, len(x), 32):
        loss.backward()

config = {"epochs": 4}
def main():
    for epoch in tqdm(range(1, config["epochs"] + 1)):
        one_pass(model)
"""
SEEDS = "for seed in range(3):\n    for x in loader:\n        loss.backward()\n"
WHILE = "while epoch < 5:\n    for x in loader:\n        loss.backward()\n"


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        (MODULE, 4, (2, 1, 5)),
        (STEPS, 3, (2, 2, 60)),
        (CALLED, 3, (7, 7, 4)),
        (SEEDS, 3, None),
        (WHILE, 3, None),
        ("x = (", 1, None),
    ],
    ids=["module", "steps", "called", "seeds", "while", "no Python"],
)
def test_the_loop_over_epochs(tmp_path: Path, text: str, line: int, found: tuple[int, int, int] | None) -> None:
    file = tmp_path / "train.py"
    file.write_text(text)
    told = rounds(str(file), line)
    assert (None if told is None else (told.loop[1], told.number[1], told.count)) == found
