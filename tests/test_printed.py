"""Numbers that a script prints: names, which way is better, and whether they are of an evaluation."""

from __future__ import annotations

import pytest

from flightcheck.recording.printed import (
    contradicts_itself,
    direction,
    is_of_classes,
    is_of_samples,
    is_of_the_rare,
    is_return,
    numbers_in,
    rank_as_evaluation,
)


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("epoch 7  loss 0.425  kl 0.000  test rmse 0.2714", {"loss": 0.425, "kl": 0, "test rmse": 0.2714}),
        ("Epoch 02 | val loss 0.4 | val accuracy 0.97", {"val loss": 0.4, "val accuracy": 0.97}),
        ("step=5 val_acc=0.5 mIoU=.25", {"val acc": 0.5, "miou": 0.25}),
        ("recall@1 0.25 F1: 0.5", {"recall": 0.25, "f1": 0.5}),
        ("lr 1e-3, mean return -12.5", {"lr": 1e-3, "mean return": -12.5}),
        ("test accuracy: 91.2% of 300", {"test accuracy": 91.2, "of": 300}),
        ("train -elbo 35.2  held-out -elbo 36.1", {"train -elbo": 35.2, "held out -elbo": 36.1}),
        ("python train.py --lr 5", {"python train py lr": 5}),
        ("bce 0.21 hit rate at 10: 0.043 top 5 0.9", {"bce": 0.21, "hit rate at10": 0.043, "top5": 0.9}),
        ("epoch 3: 0.5 batch 10/20", {"epoch": 3}),
        ("nothing here", {}),
        ("Test set: average loss 0.66, accuracy 338/400", {"test set average loss": 0.66, "accuracy": 0.845}),
        ("Accuracy: 9910/10000 (99%)", {"accuracy": 0.991}),
        ("correct 30 out of 40, epoch 3/10", {"correct": 0.75, "epoch": 3}),
        ("score 12/0", {"score": 12}),
        ("Test set: average loss 0.66, accuracy 338/400", {"test set average loss": 0.66, "accuracy": 0.845}),
        ("Accuracy: 9910/10000 (99%)", {"accuracy": 0.991}),
        ("correct 30 out of 40, epoch 3/10", {"correct": 0.75, "epoch": 3}),
        ("score 12/0", {"score": 12}),
    ],
)
def test_names_and_numbers(line: str, numbers: dict[str, float]) -> None:
    found = dict(numbers_in(line))
    assert {name: found.get(name) for name in numbers} == numbers


def test_which_way_is_better() -> None:
    assert direction("val acc") == direction("mean return") == direction("held out r2") == 1
    assert direction("test rmse") == direction("rel pixel err") == direction("accuracy loss") == -1
    assert direction("held out -elbo") == -1 and direction("-loss") == direction("elbo") == 1
    assert direction("next day wrong by") == direction("listings off by") == -1
    assert direction("deviance explained") == direction("forecast skill") == direction("explained variance") == 1
    assert direction("slips corrected") == direction("digits recognized") == 1
    assert direction("with dropout off") == direction("epoch") == direction("lr") == 0
    assert direction("arrive at the quay") == 1 and is_return("reached")
    assert is_of_samples("sliced distance") and not is_of_samples("d acc") and direction("fid") == -1
    assert is_return("greedy return") and not is_return("acc")
    assert is_of_classes("val f1") and is_of_classes("balanced acc") and not is_of_classes("balanced loss")
    assert is_of_the_rare("minority recall") and not is_of_the_rare("recall loss")


def test_numbers_of_evaluations() -> None:
    assert rank_as_evaluation("test rmse", False) == 2
    assert rank_as_evaluation("acc", True) == rank_as_evaluation("rmse", True) == 1
    assert rank_as_evaluation("acc", False) == rank_as_evaluation("loss", True) == 0
    assert rank_as_evaluation("train acc", True) == rank_as_evaluation("val", True) == 0


def test_a_positive_likelihood_is_its_own_negative() -> None:
    assert contradicts_itself("partial likelihood", 6.29) and contradicts_itself("train elbo", 104.0)
    assert not contradicts_itself("log likelihood", -1.2)
    assert not contradicts_itself("negative log likelihood loss", 1.2), "its last word says which way is better"
    assert not contradicts_itself("test accuracy", 0.9)
