"""Patches of the targets and of which of them count, and the rules by which both trainings are scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.patch import Patch, unit_range
from tests.lab.made import FEATURES, Loop, batches, data, mlp, patched


def binary(low: float, high: float, loss: Any = None) -> Loop:
    """A training on targets of two values."""
    x, y = data(24)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, 1))
    targets = torch.where(y > 0, high, low)[:, None]
    return Loop(model, loss or nn.BCEWithLogitsLoss(), pairs=list(zip(x.split(6), targets.split(6))))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 255.0), (1.0, 2.0)])
@pytest.mark.parametrize("told", [True, False])
def test_targets_are_brought_to_0_and_1(tmp_path: Path, low: float, high: float, told: bool) -> None:
    wanted, loop = binary(0.0, 1.0), binary(low, high)
    wanted()
    done = patched(tmp_path, f"targets:unit={low:g},{high:g}" if told else "targets:unit", loop)
    assert loop.losses == pytest.approx(wanted.losses, rel=1e-5)
    assert sum(done.applied.values()) == 4


def test_both_trainings_are_scored_against_the_new_targets(tmp_path: Path) -> None:
    control = patched(tmp_path, "score:unit=-1,1", binary(-1.0, 1.0))
    both = patched(tmp_path, "targets:unit=-1,1 + score:unit=-1,1", other := binary(-1.0, 1.0))
    assert control.trained.failure == both.trained.failure == ""
    assert control.trained.series("error")[0] == pytest.approx(other.losses[0], rel=1e-5), "of the same weights"
    assert list(both.trained.series("error")) == pytest.approx(other.losses, rel=1e-5)
    assert str(Patch.parse("targets:unit=-1,1").scored) == "score:unit=-1,1"


def test_class_ids_are_no_scale(tmp_path: Path) -> None:
    x, y = data(24)
    loop = Loop(nn.Linear(FEATURES, 1), nn.BCEWithLogitsLoss(), pairs=[(x, y.float()[:, None])] * 3)
    assert "no place at which it could act" in patched(tmp_path, "targets:unit", loop).trained.failure
    assert unit_range(0, 16, values=17, per_example=64) == (0, 16)
    assert unit_range(3, 97, values=40, per_example=1) == (0, 100)
    assert unit_range(0, 251, values=99, per_example=64) == (0, 255)
    assert unit_range(1, 1, values=1, per_example=1) is None
    with pytest.raises(ValueError, match="a range wanted, as in unit=0,255, but got 'unit=1,1'"):
        patched(tmp_path, "targets:unit=1,1", loop)


def test_labels_become_signs(tmp_path: Path) -> None:
    wanted = binary(-1.0, 1.0, nn.SoftMarginLoss())
    wanted()
    loop = binary(0.0, 1.0, nn.SoftMarginLoss())
    done = patched(tmp_path, "targets:signs + score:signs", loop)
    assert loop.losses == pytest.approx(wanted.losses, rel=1e-5)
    assert list(done.trained.series("error")) == pytest.approx(wanted.losses, rel=1e-4), "logistic loss and BCE agree"


def test_lowered_class_ids_leave_the_ignored_ones_alone(tmp_path: Path) -> None:
    x, y = data(6)[0], torch.tensor([1, 3, -100, 2, 1, 3])
    wanted = Loop(mlp(nn.LogSoftmax(1)), nn.NLLLoss(), pairs=[(x, torch.tensor([0, 2, -100, 1, 0, 2]))] * 3)
    wanted()
    loop = Loop(mlp(nn.LogSoftmax(1)), nn.NLLLoss(), pairs=[(x, y)] * 3)
    patched(tmp_path, "targets:shift-1", loop)
    assert loop.losses == wanted.losses


def test_a_training_that_had_ids_from_0_fails_with_lowered_ones(tmp_path: Path) -> None:
    with pytest.raises(IndexError, match="Target -1 is out of bounds"):
        patched(tmp_path, "targets:shift-1", Loop())


def test_examples_without_a_target_are_left_out(tmp_path: Path) -> None:
    def loop(gap: bool) -> Loop:
        x, y = data(12)
        torch.manual_seed(0)
        numbers = y.float()[:, None].clone()
        if gap:
            numbers[2] = torch.nan
        else:
            x, numbers = x[torch.arange(12) != 2], numbers[torch.arange(12) != 2]
        return Loop(nn.Linear(FEATURES, 1), nn.MSELoss(), pairs=[(x, numbers)] * 3)

    wanted, filled = loop(False), loop(True)
    wanted()
    done = patched(tmp_path, "targets:finite", filled)
    assert filled.losses == pytest.approx(wanted.losses, rel=1e-4)
    assert torch.isfinite(torch.tensor(done.trained.series("error"))).all()
    control = patched(tmp_path, "", loop(True)).trained.series("error")
    assert len(control) == 3 and not torch.isfinite(torch.tensor(control)).any(), "the control is worse than any"


def padded() -> list[tuple[torch.Tensor, torch.Tensor]]:
    pairs = batches()
    return [(x, torch.where(torch.arange(len(y)) % 2 == 0, y, 0)) for x, y in pairs]


@pytest.mark.parametrize("module", [True, False])
def test_an_id_is_left_out_of_the_loss(tmp_path: Path, module: bool) -> None:
    wanted = Loop(loss=nn.CrossEntropyLoss(ignore_index=0), pairs=padded())
    wanted()
    loop = Loop(loss=nn.CrossEntropyLoss() if module else lambda out, y: F.cross_entropy(out, y), pairs=padded())
    done = patched(tmp_path, "loss:ignore=0 + score:ignore=0", loop)
    assert loop.losses == wanted.losses
    assert list(done.trained.series("error")) == pytest.approx(wanted.losses, rel=1e-5)
    control = patched(tmp_path, "score:ignore=0", Loop(pairs=padded())).trained.series("error")
    assert control[0] == pytest.approx(wanted.losses[0], rel=1e-5), "the same targets count in both"


def test_another_id_is_ignored_in_the_place_of_a_class(tmp_path: Path) -> None:
    wanted, loop = Loop(), Loop(loss=nn.CrossEntropyLoss(ignore_index=1))
    wanted()
    patched(tmp_path, "loss:ignore=-100", loop)
    assert loop.losses == wanted.losses


def test_classes_are_weighted_by_the_inverse_of_their_counts(tmp_path: Path) -> None:
    wanted = Loop(loss=nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.0, 2.0])))
    wanted()
    for loss in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(weight=torch.tensor([9.0, 1.0, 1.0]))):
        loop = Loop(loss=loss)
        patched(tmp_path, "loss:balanced=40,20,10", loop)
        assert loop.losses == pytest.approx(wanted.losses, rel=1e-5)
    wanted = binary(0.0, 1.0, nn.BCEWithLogitsLoss(pos_weight=torch.tensor(4.0)))
    wanted()
    loop = binary(0.0, 1.0, nn.BCEWithLogitsLoss(pos_weight=torch.tensor([0.2])))
    patched(tmp_path, "loss:balanced=80,20", loop)
    assert loop.losses == pytest.approx(wanted.losses, rel=1e-5)


def test_each_class_counts_the_same_in_a_balanced_error(tmp_path: Path) -> None:
    y = torch.tensor([0, 0, 0, 0, 0, 1])
    loop = Loop(pairs=[(data(6)[0], y)])
    outputs = loop.model(data(6)[0]).detach()
    each = F.cross_entropy(outputs, y, reduction="none")
    done = patched(tmp_path, "score:balanced", loop)
    assert float(done.trained.series("error")[0]) == pytest.approx(float(each[:5].mean() + each[5]) / 2, rel=1e-5)
    two = binary(0.0, 1.0)
    done = patched(tmp_path, "score:balanced", two)
    assert done.trained.failure == ""
    assert str(Patch.parse("loss:balanced=5,1").scored) == "score:balanced"


def test_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="score: unit, signs, ignore, balanced, wrong or others wanted, but got 'best'"
    ):
        patched(tmp_path, "score:best", Loop())


def test_numbers_in_a_loss_of_classes_get_their_own(tmp_path: Path) -> None:
    rule = str(Patch("loss", "mse_loss").scored)
    assert rule == "score:numbers"
    x, _ = data(48)
    ends = []
    for text in (rule, f"loss:mse_loss + {rule}"):
        torch.manual_seed(0)
        loop = Loop(
            torch.nn.Sequential(torch.nn.Linear(5, 1), torch.nn.Flatten(0)),
            optimizer=lambda p: torch.optim.Adam(p, lr=0.1),
            pairs=[(a - 3, a[:, 0] - 3) for a in x.split(12)] * 15,
        )
        done = patched(tmp_path, text, loop)
        assert all(done.applied.values())
        ends.append(float(np.mean(done.trained.series("error")[-8:])))
    assert ends[1] < 0.5 * ends[0]


def test_classes_that_a_view_cut_up_come_back_to_their_axis(tmp_path: Path) -> None:
    scores: list[torch.Tensor] = []

    class Maps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv1d(2, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.layer(x)
            scores.append(made.detach())
            return made

    def loss(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(out.reshape(-1, 3), y.reshape(-1))

    pairs = [(torch.randn(4, 2, 6), torch.randint(0, 3, (4, 6))) for _ in range(2)]
    loop = Loop(Maps(), loss=loss, pairs=pairs)
    assert patched(tmp_path, "loss:transpose", loop).applied == {"loss:transpose": 2}
    expected = [float(torch.nn.functional.cross_entropy(s, y)) for s, (_, y) in zip(scores, pairs, strict=True)]
    assert loop.losses == pytest.approx(expected)


@pytest.mark.parametrize("function", ["cosine_embedding_loss", "margin_ranking_loss"])
@pytest.mark.parametrize("named", [False, True])
def test_labels_of_pairs_become_signs(tmp_path: Path, function: str, named: bool) -> None:
    """Both trainings are scored by the loss itself, with the targets that it is made for."""
    x, _ = data(24)
    labels, losses = (x[:, 0] > 3).float(), []
    assert 0 < labels.sum() < 24

    def training(target: torch.Tensor) -> None:
        torch.manual_seed(0)
        model = nn.Linear(FEATURES, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            one, other = model(x), model(x.flip(0))
            if function == "margin_ranking_loss":
                one, other = one[:, 0], other[:, 0]
            call = getattr(F, function)
            loss = call(one, other, target=target) if named else call(one, other, target, margin=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    training(2 * labels - 1)
    wanted, losses = losses, []
    done = patched(tmp_path, "targets:signs + score:signs", lambda: training(labels))
    assert done.applied == {"targets:signs": 4, "score:signs": 4}
    assert losses == pytest.approx(wanted, rel=1e-5)
    assert list(done.trained.series("error")) == pytest.approx(wanted, rel=1e-5)
    control = patched(tmp_path, "score:signs", lambda: training(labels))
    assert control.trained.series("error")[0] == pytest.approx(wanted[0], rel=1e-5), "of the same weights"


def test_weights_of_positives_are_turned(tmp_path: Path) -> None:
    x, y = data(24)
    labels = torch.stack([(y > 0).float(), (x[:, 0] > 0.8).float()], 1)
    weights = torch.tensor([0.25, 4.0])

    def loop(given: torch.Tensor) -> Loop:
        torch.manual_seed(0)
        pairs = list(zip(x.split(6), labels.split(6)))
        return Loop(nn.Linear(FEATURES, 2), nn.BCEWithLogitsLoss(pos_weight=given), pairs=pairs)

    wanted, patched_loop = loop(1 / weights), loop(weights)
    wanted()
    assert sum(patched(tmp_path, "loss:turned", patched_loop).applied.values()) == 4
    assert patched_loop.losses == pytest.approx(wanted.losses, rel=1e-5)
