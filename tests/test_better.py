"""Models that are kept by a number whose name says nothing: what computes it says which way is better."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.kept_states import Keeping, keepings

IN_A_LOOP = """
def rate(net, x, y):
    hits = 0
    for rows in range(3):
        hits += (net(x).argmax(1) == y).sum().item()
    return hits / len(x)

best = None
for epoch in range(9):
    value = rate(net, val_x, val_y)
    if best is None or value < best:
        best = value
        kept = copy.deepcopy(net.state_dict())
"""
WITH_PATIENCE = """
class Stopper:
    def __init__(self, delta=0.0):
        self.best_score = None
        self.delta = delta

    def __call__(self, value, model):
        score = -value
        if self.best_score is None:
            self.best_score = score
        elif score < self.best_score + self.delta:
            self.counter += 1
        else:
            self.best_score = score
            self.snapshot(model)

    def snapshot(self, model):
        torch.save(model.state_dict(), "best.pt")

stop = Stopper()
for epoch in range(9):
    got = torch.stack([(net(x).round() == y).float().mean() for x, y in val]).mean()
    stop(float(got), net)
"""
WITH_MARGIN = """
def judge(net):
    with torch.no_grad():
        return nn.functional.l1_loss(net(x), y).item(), 0

least = float("inf")
for epoch in range(9):
    result, _ = judge(net)
    if result < least - 1e-4:
        least = result
        torch.save(net.state_dict(), "a")
"""


def kept(folder: Path, source: str) -> Keeping:
    file = folder / "train.py"
    file.write_text(source)
    (found,) = keepings(str(file))
    return found


@pytest.mark.parametrize(
    ("source", "higher", "meaning"),
    [
        (IN_A_LOOP, False, "higher"),
        (IN_A_LOOP.replace("value < best", "value > best"), True, "higher"),
        (IN_A_LOOP.replace(" ==", " !=").replace("hits", "n"), False, "lower"),
        (IN_A_LOOP.replace("return hits", "return 1 - hits"), False, "lower"),
        (IN_A_LOOP.replace("return hits / len(x)", "return quality(net)"), False, ""),
        (IN_A_LOOP.replace("rate(net, val_x, val_y)", "rate(net, x, y) - rate(net, val_x, val_y)"), False, ""),
        (IN_A_LOOP.replace("== y)", "== 0)").replace("hits", "n"), False, ""),
        (IN_A_LOOP.replace("best", "worst"), False, ""),
        (WITH_PATIENCE, True, "lower"),
        (WITH_PATIENCE.replace("score = -value", "score = value"), True, "higher"),
        (WITH_PATIENCE + "stop(nn.functional.mse_loss(net(x), y), net)\n", True, ""),
        (WITH_MARGIN, False, "lower"),
        (WITH_MARGIN.replace("result < least -", "result > least +"), True, "lower"),
    ],
)
def test_what_computes_a_number_says_which_way_is_better(
    tmp_path: Path, source: str, higher: bool, meaning: str
) -> None:
    found = kept(tmp_path, source)
    assert (found.higher, found.meaning) == (higher, meaning)
