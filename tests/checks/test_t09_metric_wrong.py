"""T09 metric-wrong: all pairs by accident and on purpose, logits and probabilities cut at a half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.tracking._orders import IN_STORED_ORDER, evaluated_in_sorted_order
from flightcheck.recording.box_overlaps import BoxOverlap
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.neighbours import FarthestLabels
from flightcheck.recording.records import LoaderInfo, Location, Plan
from flightcheck.recording.surroundings import Comparison
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import BATCH

LINE = Location("train.py", 40, code="correct += (prediction == y).float().mean()")
PAIRS = Comparison("==", LINE, left_shape=[64, 1], right_shape=[64])
CUT = Comparison(">", LINE, left_shape=[64, 1], threshold=0.5, minimum=-3.0, maximum=4.0)
SITE = LossSite(0, "binary_cross_entropy_with_logits", LINE)
CALL = LossCall(0, 0, True, [32], [32], [], "float32", "float32", 0.7, -1, 1, 0, 1)


def test_all_pairs_fail() -> None:
    (finding,) = verdict_of("T09", run_of(PAIRS, steps=9)).findings
    assert finding.location == LINE
    assert finding.fix.startswith("Give both the shape (64,)")
    assert finding.patch == "metric:align:train.py:40"


@pytest.mark.parametrize(
    "on_purpose",
    [
        replace(PAIRS, left_shape=[64]),
        replace(PAIRS, right_shape=[1, 64]),
        replace(PAIRS, same_data=True),
        replace(PAIRS, counting=True),
        replace(PAIRS, operation=">"),
        replace(PAIRS, location=replace(LINE, code="labels[:, None] == labels")),
    ],
)
def test_pairs_on_purpose_pass(on_purpose: Comparison) -> None:
    assert verdict_of("T09", run_of(on_purpose, steps=9)).status == "pass"


def test_logits_cut_at_a_half_fail() -> None:
    (finding,) = verdict_of("T09", run_of(CUT, SITE, CALL, steps=9)).findings
    assert "62%" in finding.message
    assert finding.patch == "metric:cut:train.py:40"


def test_probabilities_other_thresholds_and_other_losses_pass() -> None:
    assert verdict_of("T09", run_of(replace(CUT, minimum=0.0, maximum=1.0), SITE, CALL, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(replace(CUT, threshold=0.0), SITE, CALL, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(CUT, replace(SITE, function="mse_loss"), CALL, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(replace(CUT, left_shape=[64, 5]), SITE, CALL, steps=9)).status == "pass"


def test_nothing_to_see() -> None:
    assert verdict_of("T09", run_of(steps=0)).status == "skipped"
    assert verdict_of("T09", run_of(steps=9)).status == "inconclusive"


def recorded(folder: Path, metric: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> str:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(40, 4)
    y = (x[:, 0] > 0).float()
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for _ in range(12):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            metric(3 * model(x) if metric is scaled else model(x), y)
    assert watched.run is not None
    return verdict_of("T09", watched.run).status


def scaled(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (out > 0.5).squeeze(1).float() == y


def test_what_is_recorded(tmp_path: Path) -> None:
    assert recorded(tmp_path, lambda out, y: ((out > 0).float() == y).float().mean()) == "fail"
    assert recorded(tmp_path, lambda out, y: (out.squeeze(1) > 0.5) == y) == "fail"
    assert recorded(tmp_path, lambda out, y: (out.squeeze(1).sigmoid() > 0.5) == y) == "pass"
    assert recorded(tmp_path, lambda out, y: (out.squeeze(1) > 0).float() == y) == "pass"
    assert recorded(tmp_path, scaled) == "pass"
    assert recorded(tmp_path, lambda out, y: torch.round(out.squeeze(1)) == y) == "fail"
    assert recorded(tmp_path, lambda out, y: out.squeeze(1).sigmoid().round() == y) == "pass"
    assert recorded(tmp_path, lambda out, y: torch.round(out, decimals=2)) == "pass"


SHUFFLED = DatasetInfo(0, 0, examples=300, sampler="RandomSampler", evaluated=True, passes=2)
PROOF = Experiment("T09", IN_STORED_ORDER, status="confirmed", metric="printed test acc", before=0.33, after=0.91)


def test_a_number_that_depends_on_the_order_fails() -> None:
    loader = LoaderInfo(0, LINE, 10, 32, True, 300)
    (finding,) = verdict_of("T09", run_of(SHUFFLED, loader, PROOF, replace(PAIRS, left_shape=[64]), steps=9)).findings
    assert finding.location == LINE and "0.33, but 0.91" in finding.message


@pytest.mark.parametrize(
    ("seen", "tried"),
    [
        (SHUFFLED, replace(PROOF, status="inconclusive")),
        (replace(SHUFFLED, passes=0), PROOF),
        (replace(SHUFFLED, evaluated=False), PROOF),
        (replace(SHUFFLED, sampler="SequentialSampler"), PROOF),
    ],
)
def test_a_shuffled_evaluation_alone_passes(seen: DatasetInfo, tried: Experiment) -> None:
    assert verdict_of("T09", run_of(seen, tried, replace(PAIRS, left_shape=[64]), steps=9)).status == "pass"


MEANT = LossCall(
    0, 0, True, [32], [32], [], "float32", "float32", 0.7, -1, 1, 0, 1, input_module="Net", input_op="SigmoidBackward0"
)
PROBABILITIES = replace(SITE, function="binary_cross_entropy")
CHOSEN = Comparison("argmax", LINE, left_shape=[64, 1], axis_size=1, minimum=-2.0, maximum=3.0)
AGAIN = Comparison("sigmoid", LINE, left_shape=[64, 1], minimum=0.02, maximum=0.97)
SCORES = Comparison("==", LINE, left_shape=[64], right_shape=[64], whole=[0.0, 1.0])


def test_a_class_out_of_one_fails() -> None:
    (finding,) = verdict_of("T09", run_of(CHOSEN, SITE, CALL, steps=9)).findings
    assert finding.patch == "metric:sign:train.py:40"
    assert verdict_of("T09", run_of(replace(CHOSEN, axis_size=3), SITE, CALL, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(CHOSEN, replace(SITE, function="mse_loss"), CALL, steps=9)).status == "pass"


def test_a_second_sigmoid_fails() -> None:
    (finding,) = verdict_of("T09", run_of(AGAIN, PROBABILITIES, MEANT, steps=9)).findings
    assert finding.patch == "metric:once:train.py:40"
    assert verdict_of("T09", run_of(replace(AGAIN, minimum=-0.1), PROBABILITIES, MEANT, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(AGAIN, SITE, CALL, steps=9)).status == "pass"
    outside = replace(MEANT, input_module="")  # the script's own sigmoid: the model returns logits
    assert verdict_of("T09", run_of(AGAIN, PROBABILITIES, outside, steps=9)).status == "pass"


def test_scores_that_are_compared_with_classes_fail() -> None:
    used = replace(LINE, line=42)
    (finding,) = verdict_of("T09", run_of(replace(SCORES, used_location=used), steps=9)).findings
    assert (finding.location, finding.patch) == (LINE, "metric:classes:train.py:42")
    for whole in ([1.0, 1.0], [0.0, 0.0], [0.3, 1.0]):
        assert verdict_of("T09", run_of(replace(SCORES, whole=whole), steps=9)).status == "pass"


def test_differences_of_all_pairs_fail() -> None:
    (finding,) = verdict_of("T09", run_of(replace(PAIRS, operation="-"), steps=9)).findings
    assert "no error" in finding.message and finding.patch == "metric:align:train.py:40"


REGRESSION = replace(SITE, function="mse_loss")
LEARNT = replace(CALL, target_mean=0.02, target_std=0.98)
RAW = Comparison("-", LINE, left_shape=[64], made=[0.1, 0.8], data=[152.0, 77.0])


def test_targets_on_another_scale_fail() -> None:
    (finding,) = verdict_of("T09", run_of(RAW, REGRESSION, LEARNT, steps=9)).findings
    assert finding.patch.startswith("metric:scale=78.57")


def test_what_an_agent_acts_on_is_no_target() -> None:
    plan = Plan(regimes=["reinforcement"])
    assert verdict_of("T09", run_of(RAW, REGRESSION, LEARNT, plan, steps=9)).status == "pass"


@pytest.mark.parametrize(
    "fine",
    [
        replace(RAW, data=[0.3, 1.4]),  # the scale of the training
        replace(RAW, made=[140.0, 60.0]),  # predictions that were scaled back
        replace(RAW, data=[2.0, 0.5]),  # a shift
    ],
)
def test_one_scale_passes(fine: Comparison) -> None:
    assert verdict_of("T09", run_of(fine, REGRESSION, LEARNT, steps=9)).status == "pass"


def lines_recorded(
    folder: Path, ends_in_sigmoid: bool, metric: Callable[[nn.Module, torch.Tensor], object]
) -> list[Comparison]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid() if ends_in_sigmoid else nn.Identity())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(40, 4)
    y = (x[:, 0] > 0).float()
    loss = nn.functional.binary_cross_entropy if ends_in_sigmoid else nn.functional.binary_cross_entropy_with_logits
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for _ in range(12):
            optimizer.zero_grad()
            loss(model(x).squeeze(1), y).backward()
            optimizer.step()
        with torch.no_grad():
            metric(model, x)
    assert watched.run is not None
    return watched.run.comparisons


def test_what_leads_to_a_count_is_recorded(tmp_path: Path) -> None:
    y = torch.ones(40)
    (chosen, *_) = lines_recorded(tmp_path, False, lambda m, x: m(x).argmax(dim=1) == y)
    assert (chosen.operation, chosen.axis_size, chosen.left_shape) == ("argmax", 1, [40, 1])
    (again, *_) = lines_recorded(tmp_path, True, lambda m, x: (torch.sigmoid(m(x)) > 0.5).float())
    assert again.operation == "sigmoid" and 0 <= (again.minimum or 0.0) < (again.maximum or 0.0) <= 1
    by_module = lines_recorded(tmp_path, True, lambda m, x: torch.round(nn.Sigmoid()(m(x))))
    assert [c.operation for c in by_module] == ["sigmoid"]
    pairs = lines_recorded(tmp_path, False, lambda m, x: ((2 * m(x) + 1 - y) ** 2).mean())
    assert [(c.operation, c.left_shape, c.right_shape) for c in pairs] == [("-", [40, 1], [40])]
    apart = lines_recorded(tmp_path, False, lambda m, x: ((m(x)[:, 0] - 50 * y) ** 2).mean())
    assert [c.data for c in apart] == [[50.0, 0.0]] and abs(apart[0].made[0]) < 5
    assert not lines_recorded(tmp_path, False, lambda m, x: 50 * y - m(x)[:, 0])  # a step, and no error
    assert not lines_recorded(tmp_path, False, lambda m, x: (50 * y - m(x)[:, 0]) * 0.1)  # so is this
    itself = lines_recorded(tmp_path, False, lambda m, x: (d := m(x)[:, 0] - 50 * y) * d)
    assert [c.data for c in itself] == [[50.0, 0.0]]
    whole = lines_recorded(tmp_path, False, lambda m, x: (out := m(x)) == out.round())
    assert not any(c.whole for c in whole)
    scores = lines_recorded(tmp_path, False, lambda m, x: torch.max(m(x), 1)[0] == y)
    assert [c.whole for c in scores if c.operation == "=="] == [[0.0, 1.0]]
    cut = lines_recorded(tmp_path, False, lambda m, x: m(x).squeeze(1).numpy() > 0.5)
    assert [(c.operation, c.threshold) for c in cut if c.threshold] == [(">", 0.5)]


def test_predictions_in_the_place_of_targets_fail() -> None:
    swapped = Comparison("r2_score", LINE, made=[0.1, 0.8], data=[0.0, 1.0], made_first=True)
    (finding,) = verdict_of("T09", run_of(swapped, REGRESSION, LEARNT, steps=9)).findings
    assert finding.patch == "metric:exchange:train.py:40"
    assert verdict_of("T09", run_of(replace(swapped, made_first=False), REGRESSION, LEARNT, steps=9)).status == "pass"
    symmetric = replace(swapped, operation="mean_squared_error")
    assert verdict_of("T09", run_of(symmetric, REGRESSION, LEARNT, steps=9)).status == "pass"


def test_functions_of_scikit_learn_are_followed(tmp_path: Path) -> None:
    def count(model: nn.Module, x: torch.Tensor) -> object:
        import pickle

        from sklearn.metrics import mean_absolute_error, r2_score

        assert pickle.loads(pickle.dumps(r2_score)) is r2_score
        out = torch.cat([model(part) for part in x.split(16)]).numpy().ravel()
        target = np.linspace(100, 200, 40)
        return r2_score(out, target), mean_absolute_error(target, 50 * out + 140), r2_score(target, target + 1)

    found = lines_recorded(tmp_path, False, count)
    assert [(c.operation, c.made_first) for c in found] == [("r2_score", True), ("mean_absolute_error", False)]
    assert found[0].data[0] == pytest.approx(150) and found[1].made[0] == pytest.approx(140, abs=50)


FARTHEST = FarthestLabels("topk", LINE, replace(LINE, line=41))


def test_labels_of_the_farthest_are_an_error_where_a_trial_shows_it() -> None:
    tried = Experiment("T09", "metric:nearest:train.py:40", status="confirmed")
    (finding,) = verdict_of("T09", run_of(FARTHEST, steps=9)).findings
    assert (finding.severity, finding.patch) == ("warn", tried.patch)
    (finding,) = verdict_of("T09", run_of(FARTHEST, tried, steps=9)).findings
    assert finding.severity is None


def test_boxes_that_are_no_corners_fail() -> None:
    boxes = BoxOverlap(LINE, rows=200, turned=180, made=True)
    (finding,) = verdict_of("T09", run_of(boxes, steps=9)).findings
    assert finding.severity is None and "180 of 200" in finding.message
    assert verdict_of("T09", run_of(replace(boxes, turned=3), PAIRS, steps=9)).findings[0].location == PAIRS.location
    assert len(verdict_of("T09", run_of(replace(boxes, turned=3), PAIRS, steps=9)).findings) == 1


@pytest.mark.parametrize(("scaled_back", "found"), [(False, True), (True, False)])
def test_the_second_output_beside_targets_on_another_scale(scaled_back: bool, found: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk = nn.Linear(4, 3)

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = trunk

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            h = self.trunk(x)
            return h[:, :2], h[:, 2]

    model, x = Two(), torch.randn(40, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(12):
            optimizer.zero_grad()
            kind, number = model(x)
            loss = nn.functional.cross_entropy(kind, (x[:, 0] > 0).long()) + nn.functional.mse_loss(number, x[:, 1])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            number = model(x)[1]
            ((number * 20 + 300 if scaled_back else number) - (x[:, 1] * 20 + 300)).abs().mean()
    assert watched.run is not None
    assert (verdict_of("T09", watched.run).status == "fail") is found


def test_logits_that_are_rounded_while_they_are_small_are_told_by_the_loss() -> None:
    """A fresh model's outputs lie between 0 and 1 in the first calls."""
    early = replace(CUT, operation="round", minimum=0.04, maximum=0.29, calls=2)
    first = [replace(CALL, step=i, input_min=0.04 + 0.01 * i, input_max=0.29 - 0.01 * i) for i in range(2)]
    later = replace(CALL, step=5, input_min=-2.0, input_max=3.0)
    assert verdict_of("T09", run_of(early, SITE, *first, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(replace(early, maximum=0.6), SITE, *first, later, steps=9)).status == "pass"
    (finding,) = verdict_of("T09", run_of(early, SITE, *first, later, steps=9)).findings
    assert "reaches from -2 to 3" in finding.message


def test_answers_that_depend_on_a_line_that_sorts_fail_there() -> None:
    sorting = Location("train.py", 62, code="order = sorted(range(n), key=lambda i: len(x[i]))")
    evaluated = replace(BATCH, step=9, training=False, order_origin=sorting)
    proof = replace(PROOF, patch="source:unsorted:train.py:62", metric="answers", before=0.78, after=0.02)
    (finding,) = verdict_of("T09", run_of(evaluated, proof, replace(PAIRS, left_shape=[64]), steps=9)).findings
    assert finding.location == sorting
    assert "sorts them into, and the share of wrong answers depends on it: 0.78, but 0.02" in finding.message
    assert evaluated_in_sorted_order(run_of(evaluated, steps=9)) == [sorting]
    trained = replace(BATCH, step=3, order_origin=sorting)
    assert evaluated_in_sorted_order(run_of(evaluated, trained, steps=9)) == []


@pytest.mark.parametrize(("acts", "found"), [(False, True), (True, False)])
def test_a_state_that_an_action_moves_is_no_prediction(acts: bool, found: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(4, 1), torch.randn(64, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(12):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x).squeeze(1), x[:, 0]).backward()
            optimizer.step()
        state, wanted = torch.rand(64), 300 + 50 * torch.randn(64)
        with torch.no_grad():
            action = model(x).squeeze(1)
            moved = state + 0.25 * action if acts else action
            print((moved - wanted).abs().mean().item())
    assert watched.run is not None
    assert bool(verdict_of("T09", watched.run).findings) is found


DECIDED = Comparison("roc_auc_score", LINE, right_shape=[400], axis_size=2, minimum=0.0, maximum=1.0)


def test_decisions_in_the_place_of_scores_are_a_warning() -> None:
    (finding,) = verdict_of("T09", run_of(DECIDED, steps=9)).findings
    assert (finding.location, finding.severity) == (LINE, "warn")
    signs = replace(DECIDED, minimum=-1.0)
    assert verdict_of("T09", run_of(signs, steps=9)).status == "fail"
    scores = replace(DECIDED, minimum=0.21, maximum=0.64)  # of one binary feature
    assert verdict_of("T09", run_of(scores, steps=9)).status == "pass"
    for fine in (replace(DECIDED, axis_size=380), replace(DECIDED, axis_size=1), replace(DECIDED, right_shape=[12])):
        assert verdict_of("T09", run_of(fine, steps=9)).status == "pass"


def test_what_orders_the_examples_is_recorded(tmp_path: Path) -> None:
    y = np.arange(40) % 2

    def area(of: Callable[[torch.Tensor], object]) -> Callable[[nn.Module, torch.Tensor], object]:
        def count(model: nn.Module, x: torch.Tensor) -> object:
            from sklearn.metrics import roc_auc_score

            out = model(x).squeeze(1)
            return [roc_auc_score(y, y_score=scores) for scores in of(out - out.median())]  # type: ignore[attr-defined]

        return count

    (decided,) = lines_recorded(tmp_path, False, area(lambda out: [(out > 0).int().tolist(), (out > 0).numpy()]))
    assert (decided.operation, decided.axis_size, decided.right_shape, decided.calls) == ("roc_auc_score", 2, [40], 2)
    (scored,) = lines_recorded(tmp_path, False, area(lambda out: [out.numpy(), (out > 0).int().numpy()]))
    assert scored.axis_size > 2
