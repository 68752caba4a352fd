"""T12 best-not-kept: states kept by reference, comparisons the wrong way round, and a best model that is gone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.kept_states import KeptState
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.provenance.kept_states import keepings, kept_by_reference, never_true
from flightcheck.recording.records import Location, Plan
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 20)
REFERENCE = KeptState(0, "reference", LINE, steps=40)
BY_LOSS = KeptState(1, "direction", LINE, metric="val_loss", best="best", meaning="lower", initial=float("inf"))


def evaluations(*losses: float) -> list[Evaluation]:
    return [Evaluation(10 * (i + 1), 0, 1, LINE, losses=1, loss_value=x) for i, x in enumerate(losses)]


def status(*records: Any, **info: Any) -> str:
    return verdict_of("T12", run_of(*records, **{"steps": 100, **info})).status


def test_what_is_kept_by_reference_fails() -> None:
    (finding,) = verdict_of("T12", run_of(REFERENCE, steps=100)).findings
    assert finding.patch == f"source:copied:{LINE.file}:{LINE.line}"
    assert finding.location == LINE and "no copies" in finding.message
    (finding,) = verdict_of("T12", run_of(replace(REFERENCE, module=True), steps=100)).findings
    assert "another name" in finding.message


def test_comparisons_the_wrong_way_round_fail() -> None:
    seen = evaluations(0.9, 0.8)
    assert status(BY_LOSS, *seen) == "pass"
    assert status(replace(BY_LOSS, higher=True), *seen) == "fail"
    assert status(replace(BY_LOSS, metric="acc", meaning="higher"), *seen) == "fail"
    assert status(replace(BY_LOSS, metric="acc", meaning="higher", higher=True), *seen) == "pass"
    assert status(replace(BY_LOSS, metric="value", meaning="", higher=True), *seen) == "pass"
    told = replace(BY_LOSS, metric="value", meaning="", higher=True, values=[0.8, 0.9])
    assert status(told, *seen) == "fail", "the values are the losses of the evaluations"
    assert status(replace(told, values=[0.5, 0.7]), *seen) == "pass"


def test_comparisons_that_are_never_true_fail() -> None:
    assert status(replace(BY_LOSS, never=True), *evaluations(1.0)) == "fail"
    from_zero = replace(BY_LOSS, initial=0.0)
    assert status(from_zero, *evaluations(1.0, 0.9, 0.8)) == "fail"
    assert status(from_zero, *evaluations(1.0, -0.9, 0.8)) == "pass"
    assert status(replace(from_zero, values=[-0.1]), *evaluations(1.0, 0.9, 0.8)) == "pass"


def test_a_best_evaluation_long_ago_is_told() -> None:
    saved = KeptState(9, "saved", None)
    losses = evaluations(1.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
    (finding,) = verdict_of("T12", run_of(saved, *losses, steps=100, ended="finished")).findings
    assert finding.severity == "info" and finding.onset_step == 20
    assert status(saved, *losses, ended="stopped") == "pass"
    assert status(replace(saved, kept_at=[20]), *losses, ended="finished") == "pass"
    assert status(saved, *evaluations(*(1 / (i + 1) for i in range(9))), ended="finished") == "pass"


def test_nothing_to_see() -> None:
    assert status() == "skipped"
    assert status(BY_LOSS) == "inconclusive"


class Training:
    """Four evaluations that get worse from the second on."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def epoch(self, epoch: int) -> float:
        for _ in range(4):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(torch.randn(8, 4)), torch.randint(0, 2, (8,))).backward()
            self.optimizer.step()
        return [3.0, 1.0, 2.0, 4.0][epoch]


def recorded(folder: Path, script: Callable[[Training], object]) -> list[KeptState]:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        script(Training())
    assert watched.run is not None and watched.run.coverage.blind == []
    return [k for k in watched.run.kept_states if k.kind == "reference"]


def as_it_is(t: Training) -> None:
    least, best = float("inf"), None
    for epoch in range(4):
        value = t.epoch(epoch)
        if value < least:
            least, best = value, t.model.state_dict()
    t.model.load_state_dict(best)  # type: ignore[arg-type]


def in_a_dictionary(t: Training) -> None:
    kept: dict[str, Any] = {"value": float("inf")}
    for epoch in range(4):
        value = t.epoch(epoch)
        if value < kept["value"]:
            kept = {"value": value, "state": {k: v.detach().cpu() for k, v in t.model.state_dict().items()}}
    t.model.load_state_dict(kept["state"])


def shallow(t: Training) -> Any:
    least = float("inf")
    for epoch in range(4):
        value = t.epoch(epoch)
        if value < least:
            least = value
            best = copy.copy(t.model.state_dict())
    return best


def deep(t: Training) -> None:
    least = float("inf")
    for epoch in range(4):
        value = t.epoch(epoch)
        if value < least:
            least = value
            best = copy.deepcopy(t.model.state_dict())
    t.model.load_state_dict(best)


def cloned(t: Training) -> None:
    least = float("inf")
    for epoch in range(4):
        value = t.epoch(epoch)
        if value < least:
            least = value
            best = {k: v.clone() for k, v in t.model.state_dict().items()}
    t.model.load_state_dict(best)


def saved_at_once(t: Training) -> None:
    import io

    least, file = float("inf"), io.BytesIO()
    for epoch in range(4):
        value = t.epoch(epoch)
        if value < least:
            least = value
            state = t.model.state_dict()
            file.seek(0)
            torch.save(state, file)
    file.seek(0)
    state = torch.load(file)
    t.model.load_state_dict(state)


class Stopper:
    def __init__(self, model: nn.Module) -> None:
        self.model, self.least, self.best = model, float("inf"), None

    def __call__(self, value: float) -> None:
        if value < self.least:
            self.least = value
            self.best = self.model.state_dict()  # type: ignore[assignment]

    def restore(self) -> None:
        self.model.load_state_dict(self.best)  # type: ignore[arg-type]


def with_a_class(t: Training) -> None:
    stopper = Stopper(t.model)
    for epoch in range(4):
        stopper(t.epoch(epoch))
    stopper.restore()


@pytest.mark.parametrize("script", [as_it_is, in_a_dictionary, shallow, with_a_class])
def test_a_state_kept_by_reference_is_seen(tmp_path: Path, script: Callable[[Training], object]) -> None:
    (kept,) = recorded(tmp_path, script)
    assert kept.location is not None and "state_dict()" in kept.location.code and kept.steps
    assert (kept.load_location is not None) == (script is not shallow)


@pytest.mark.parametrize("script", [deep, cloned, saved_at_once])
def test_copies_are_not(tmp_path: Path, script: Callable[[Training], object]) -> None:
    assert recorded(tmp_path, script) == []


def test_the_model_itself_as_the_best_is_seen(tmp_path: Path) -> None:
    def script(t: Training) -> None:
        least, model = float("inf"), t.model
        best_model = None
        for epoch in range(4):
            value = t.epoch(epoch)
            t.optimizer.step()
            for _ in range(2):
                t.optimizer.zero_grad()
                nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(0, 2, (8,))).backward()
                t.optimizer.step()
            if value < least:
                least = value
                best_model = model
        assert best_model is not None

    (kept,) = recorded(tmp_path, script)
    assert kept.module and kept.location is not None and kept.location.code == "best_model = model"


SOURCE = """
best_loss = 0.0
best_acc = float("-inf")
least = -1
for epoch in range(9):
    val_loss, acc = evaluate()
    if val_loss < best_loss:
        best_loss = val_loss
        torch.save(model.state_dict(), "best.pt")
    if best_acc < acc:
        best_acc, best = acc, model.state_dict()
    if loss < least:
        least = loss
    if acc > worst_acc:
        worst_acc = acc
        torch.save(model, "a")
test(best)
"""


def test_comparisons_are_read(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(SOURCE)
    first, second, third = keepings(str(file))
    assert (first.metric, first.higher, first.meaning, first.initial) == ("val_loss", False, "lower", 0.0)
    assert (second.metric, second.higher, second.meaning) == ("acc", True, "higher")
    assert second.initial == float("-inf") and not never_true(second)
    assert never_true(replace(second, higher=False))
    assert third.meaning == "", "the worst case is looked for"
    assert not kept_by_reference(str(file), 9)
    assert not kept_by_reference(str(file), 11), "nothing loads or saves it"


def test_a_model_that_is_kept_by_its_training_loss_fails() -> None:
    losses = [1.0 - 0.02 * s for s in range(40)]
    at = [10, 20, 30]
    kept = KeptState(
        1, "direction", LINE, metric="loss.item()", best="best", meaning="lower",
        values=[losses[s - 1] for s in at], kept_at=at,
    )  # fmt: skip
    evaluations = [Evaluation(s, 0, 1, LINE, losses=1, loss_value=2.0 + s) for s in at]
    validation, test = (MetricInfo(0, name, "printed", 3) for name in ("val_loss", "test_loss"))
    run = run_of(kept, *evaluations, validation, series={LOSS: losses})
    (finding,) = verdict_of("T12", run).findings
    assert finding.severity == "warn" and "val_loss" in finding.message
    by_test = run_of(kept, *evaluations, test, series={LOSS: losses})  # only looked at: nothing is chosen by it
    assert verdict_of("T12", by_test).status == "pass"
    by_other = run_of(replace(kept, values=[2.1, 2.0, 1.9]), *evaluations, validation, series={LOSS: losses})
    assert verdict_of("T12", by_other).status == "pass"
    epochs = [sum(losses[s - 10 : s]) / 10 for s in at]
    by_epoch = run_of(
        replace(kept, values=epochs), *evaluations, validation, Plan(steps_per_epoch=10), series={LOSS: losses}
    )
    assert verdict_of("T12", by_epoch).status == "fail"
