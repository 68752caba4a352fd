"""P35 dropout-or-width-extreme: dropout on predictions, and the share to keep as the share to drop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import flightcheck
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import ModuleInfo, Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line, network
from tests.lab.made import FEATURES, Loop, patched

DROP = ModuleInfo(60, "net.drop", "Dropout", "dropout", 0, line(44), settings={"p": 0.3}, order=90)
SITE = LossSite(0, "mse_loss", line(70))
CALL = LossCall(0, 0, True, [8], [8], [], "float32", "float32", 1.0, -1, 1, -1, 1)
CALLS = [replace(CALL, step=i, input_module="net.drop") for i in range(4)]


def verdict(drop: ModuleInfo, calls: list[LossCall], *more: Any) -> Any:
    layers = [replace(r, trainable=True) if isinstance(r, ModuleInfo) else r for r in network(3)]
    return verdict_of("P35", run_of(*layers, drop, SITE, *calls, *more, steps=100))


def between(p: float, order: int = 3, **changes: Any) -> ModuleInfo:
    return replace(DROP, settings={"p": p}, order=order, **changes)


def test_dropout_on_the_prediction_fails() -> None:
    (finding,) = verdict(DROP, CALLS).findings
    assert (finding.location, finding.severity, finding.patch) == (line(44), None, "dropout:net.drop=0")


def test_other_predictions_and_views_of_contrastive_trainings_pass() -> None:
    assert verdict(DROP, [CALL] * 4).status == "pass"
    assert verdict(DROP, [*CALLS, replace(CALL, input_module="net.4")]).status == "pass"
    assert verdict(DROP, CALLS[:2]).status == "pass"
    assert verdict(DROP, CALLS, Plan(regimes=["contrastive"])).status == "skipped"


def test_the_share_to_keep_as_the_share_to_drop_fails() -> None:
    for p, severity in ((0.9, None), (0.8, "info")):
        (finding,) = verdict(between(p), [CALL]).findings
        assert finding.severity == severity
    assert verdict(between(0.9), [CALL]).findings[0].patch == "dropout:net.drop=0.1"


def test_usual_dropout_masked_inputs_and_attention_pass() -> None:
    assert verdict(between(0.5), [CALL]).status == "pass"
    assert verdict(between(0.9, order=-1), [CALL]).status == "pass"
    assert verdict(between(0.9, path="net.attention.drop"), [CALL]).status == "pass"


def test_without_dropout_or_loss_calls() -> None:
    assert verdict_of("P35", run_of(*network(3))).status == "skipped"
    assert verdict(DROP, []).status == "inconclusive"


def trained(folder: Path, *layers: nn.Module) -> Any:
    model = nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for _ in range(10):
            x = torch.randn(16, 6)
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x).squeeze(1), x[:, 0]).backward()
            optimizer.step()
    assert watched.run is not None
    return verdict_of("P35", watched.run)


def test_trainings(tmp_path: Path) -> None:
    first, last = nn.Linear(6, 8), nn.Linear(8, 1)
    (output,) = trained(tmp_path, first, nn.ReLU(), last, nn.Dropout(0.2)).findings
    assert output.evidence["place"] == "output"
    (hidden,) = trained(tmp_path, first, nn.ReLU(), nn.Dropout(0.9), last).findings
    assert hidden.evidence["place"] == "hidden"
    assert trained(tmp_path, first, nn.ReLU(), nn.Dropout(0.2), last).status == "pass"
    assert trained(tmp_path, nn.Dropout(0.9), first, nn.ReLU(), last).status == "pass"


def test_a_trial_changes_the_one_module(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 3), nn.Dropout(0.9))
    name = "Sequential"
    done = patched(tmp_path, f"dropout:{name}.1=0", Loop(model))
    assert done.applied == {f"dropout:{name}.1=0": 4}
    drop = model[1]
    assert isinstance(drop, nn.Dropout) and drop.p == 0.9
    assert patched(tmp_path, f"dropout:{name}.0=0", Loop(model)).applied == {}
