"""D08 where each step gets all nodes of a graph: are labels of the test nodes in the loss?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.batches import Batch
from flightcheck.recording.evaluated_labels import EvaluatedLabels
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

LOSS = Location("train.py", 20)
COMPARED = Location("train.py", 30, "", "right = pred[test_mask] == y[test_mask]")
SITE = LossSite(0, "cross_entropy", LOSS)
CALL = LossCall(0, 0, True, [90, 3], [90], [], "float32", "int64", 1.0, -1, 1, 0, 2, label_counts=[30, 30, 30])
BATCH = Batch(0, True, 0, "0", [90, 4], "float32", "g", 0, 1, 0.5, 0.3, 0, 0.0)
TEST = EvaluatedLabels(-1, COMPARED, 9, [10, 10, 10], 30, "g")


def told(*records: object) -> bool:
    return verdict_of("D08", run_of(SITE, *records)).status == "fail"


def test_a_loss_of_all_nodes_fails_at_its_line() -> None:
    (finding,) = verdict_of("D08", run_of(SITE, CALL, BATCH, TEST)).findings
    assert finding.location == LOSS and "all 90 examples, the 30 among them" in finding.message


def test_a_part_in_the_loss_passes() -> None:
    assert not told(replace(CALL, target_shape=[40], input_shape=[40, 3]), BATCH, TEST)
    assert not told(replace(CALL, ignored=50), BATCH, TEST)
    assert not told(replace(CALL, result_shape=[90]), BATCH, TEST), "each loss for itself, to be masked"


def test_other_evaluations_pass() -> None:
    assert not told(CALL, BATCH, replace(TEST, digest="other"))
    assert not told(CALL, BATCH, replace(TEST, fewest=90))
    trained = Location("train.py", 30, "", "right = pred[train_mask] == y[train_mask]")
    assert not told(CALL, BATCH, replace(TEST, location=trained))
    assert not told(CALL, BATCH, replace(BATCH, digest="second"), TEST)


@pytest.mark.parametrize("masked", [False, True])
def test_a_graph_network_is_judged(masked: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y = torch.rand(90, 90) @ torch.randn(90, 4), torch.randint(3, (90,))
    test_mask = torch.arange(90) >= 50
    layer = nn.Linear(4, 3)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(12):
            out = layer(x)
            chosen = ~test_mask if masked else slice(None)
            loss = nn.functional.cross_entropy(out[chosen], y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                pred = layer(x).argmax(1)
            _right = (pred[test_mask] == y[test_mask]).float().mean()
    assert watched.run is not None
    assert (verdict_of("D08", watched.run).status == "fail") is not masked
