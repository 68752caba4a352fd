"""Which lines make something for the caller of the function around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.factories import is_handed_out

SOURCE = """
def at_once():
    return nn.Sequential(  # yes
        nn.Linear(3, 4),
        nn.ReLU(),  # yes
    )

def by_name():
    net = Net()  # yes
    net.apply(init)
    return net

def resets():
    global model
    model = Net()  # no

def trains():
    model = Net()  # no
    optimizer = SGD(model.parameters())
    return fit(model, optimizer)

class Trainer:
    def reset(self):
        self.model = Net()  # no
        return self

make = lambda: Net()  # yes
model = Net()  # no
"""
LINES = [(i, text.endswith("yes")) for i, text in enumerate(SOURCE.splitlines(), 1) if "# " in text]


@pytest.mark.parametrize(("line", "found"), LINES)
def test_factories(tmp_path: Path, line: int, found: bool) -> None:
    script = tmp_path / "train.py"
    script.write_text(SOURCE)
    assert is_handed_out(str(script), line) == found


def test_a_file_that_is_not_there_has_no_answer(tmp_path: Path) -> None:
    assert not is_handed_out(str(tmp_path / "gone.py"), 3)
