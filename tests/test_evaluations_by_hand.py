"""Evaluations whose error the script computes by hand: are they recognized, and is their mode judged?"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck

X = torch.randn(300, 6, generator=torch.Generator().manual_seed(3))
Y = X.sum(1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.drop, self.out = nn.Linear(6, 16), nn.Dropout(0.3), nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.drop(torch.relu(self.hidden(x)))).squeeze(1)


def fails(how: str, tmp_path: Path) -> bool:
    torch.manual_seed(0)
    net = Net()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(4):
            net.train()
            for rows in torch.randperm(200).split(20):
                loss = nn.functional.mse_loss(net(X[rows]), Y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if how == "eval":
                net.eval()
            with torch.no_grad():
                given = net(X[200:])
                if how == "printed":
                    print(f"{given.mean():.1f}")
                else:
                    print(f"{((Y[200:] - given) ** 2).mean().sqrt():.1f}")
    assert watched.diagnosis is not None
    return any(v.info.code == "C30" and v.status == "fail" for v in watched.diagnosis.verdicts)


@pytest.mark.parametrize(("how", "wrong"), [("train", True), ("eval", False), ("printed", False)])
def test_an_error_by_hand_in_train_mode_is_a_mistake(how: str, wrong: bool, tmp_path: Path) -> None:
    assert fails(how, tmp_path) is wrong


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


def predicted(net: nn.Module, pair: torch.Tensor) -> list[int]:
    with torch.no_grad():
        logits = net(pair)
    return logits.argmax(dim=1).tolist()


@pytest.mark.parametrize(("eval_mode", "answers"), [(False, True), (True, True), (False, False)])
def test_classes_that_are_chosen_behind_the_block_without_gradient_count(
    eval_mode: bool, answers: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net, kinds = Classifier(), (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for rows in torch.arange(200).repeat(2).split(20):
            logits = net(X[rows])
            _hits = logits.detach().argmax(1)  # of a batch of the training: no evaluation
            loss = nn.functional.cross_entropy(logits, kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        net.train(not eval_mode)
        for pair in X[200:].split(2):
            if answers:
                predicted(net, pair)
            else:
                with torch.no_grad():  # statistics of the normalization alone
                    net(pair)
    assert watched.diagnosis is not None
    failed = any(v.info.code == "C30" and v.status == "fail" for v in watched.diagnosis.verdicts)
    assert failed is (answers and not eval_mode)
