"""Which numbers divide data on their way to the model is read from the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording import provenance

DATASET = """
class Digits:
    def __init__(self, images):
        self.images = torch.tensor(images / 16.0)
    def __getitem__(self, i):
        image = self.images[i][None] / 255.0
        return (image - 0.5) / 0.5, 0

for x, y in DataLoader(Digits(load()), 32):
    net(x)
"""
CLOSURES = """
SCALE = 255

def to_unit(x):
    return torch.from_numpy(x).float() / SCALE

def rescaled(x):
    return x.mul(1 / 255)

pictures = rescaled(to_unit(load()))
for i in range(9):
    net(pictures[i])
"""
IN_PLACE = """
x = load()
x = x.astype("float32")
x /= 255
net(x)
"""
COMPOSED = """
def to_unit(x):
    return torch.from_numpy(x).float() / 255

def compose(*steps):
    def run(x):
        for step in steps:
            x = step(x)
        return x
    return run

pictures = compose(to_unit, lambda x: x * (1 / 255), lambda x: (x - 0.5) / 0.5)(load())
for i in range(9):
    net(pictures[i])
"""
TWO_SPLITS = """
train, test = make(load("train") / 255), make(load("test") / 255)
net(train[0])
"""
HANDED_ON = """
class ToInput:
    def __call__(self, image):
        return torch.from_numpy(image).float() / 255.0

class Scans(Dataset):
    def __init__(self, transform):
        self.transform = transform
    def __getitem__(self, i):
        return self.transform(scans[i]), labels[i]

for x, y in DataLoader(Scans(Compose([Flip(), ToInput()]))):
    net(x)
"""
AS_INTEGERS = """
x = torch.tensor(load()) // 16
x = (x - 0.25) / 0.5
net(x)
"""
NONE = """
x = (load() - mean) / std
net(x * y)
"""


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        (DATASET, 10, [(7, 0.5), (6, 255.0), (4, 16.0)]),
        (CLOSURES, 12, [(8, 255.0), (5, 255.0)]),
        (IN_PLACE, 5, [(4, 255.0)]),
        (COMPOSED, 14, [(12, 255.0), (3, 255.0)]),
        (TWO_SPLITS, 3, [(2, 255.0)]),
        (HANDED_ON, 13, [(4, 255.0)]),
        (AS_INTEGERS, 4, [(3, 0.5), (2, 16.0)]),
        (NONE, 3, []),
    ],
    ids=["dataset", "functions", "in place", "composed", "two splits", "handed on", "as integers", "none"],
)
def test_divisors(tmp_path: Path, text: str, line: int, found: list[tuple[int, float]]) -> None:
    script = tmp_path / "train.py"
    script.write_text(text)
    told = [(at, pytest.approx(n)) for (_, at), n in provenance.data_divisions(str(script), line, None)]
    assert told == found
