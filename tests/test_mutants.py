"""The benchmark's mutators: what they change, and which lines they hold for right."""

from __future__ import annotations

import ast

import pytest

from benchmarks.mutants.mutators import MUTATORS
from benchmarks.mutants.programs import Ending, Healthy, harmed
from benchmarks.mutants.source import Change, Source
from benchmarks.zoo.programs import Symptom

PROGRAM = """import torch
from torch import nn
import torch.nn.functional as F

x = torch.rand(400, 8) / 16
x = (x - x.mean(0)) / x.std(0)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(5):
    model.train()
    perm = torch.randperm(400)
    for i in range(0, 400, 40):
        idx = perm[i:i + 40]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print("loss", loss.item(), "test acc", (model(x).argmax(1) == y).float().mean().item())
"""


def made(name: str) -> Change:
    return next(iter(MUTATORS[name].changes(Source(PROGRAM))))


def line(text: str, part: str) -> int:
    return next(n for n, code in enumerate(text.splitlines(), 1) if part in code)


@pytest.mark.parametrize(
    ("name", "there", "gone"),
    [
        ("learning rate times 100", "lr=1)", "lr=1e-2"),
        ("learning rate by 1000", "lr=1e-05", "lr=1e-2"),
        ("weight decay absurd", "lr=1e-2, weight_decay=1.0", "lr=1e-2)"),
        ("step removed", "loss.backward()", "optimizer.step"),
        ("labels of other inputs", "y[idx][torch.randperm(len(y[idx]))]", "y_"),
        ("the same batch", "perm[:40]", "perm[i"),
        ("inputs not scaled", "torch.rand(400, 8) * 15.9375", "/ 16"),
        ("activations removed", "nn.Identity()", "nn.ReLU"),
        ("dropout too strong", "nn.Dropout(0.95)", "nn.Dropout(0.1)"),
        ("optimizer holds the last layer", "list(model.parameters())[-2:]", "Adam(model.parameters()"),
        ("softmax in the loss call", "(model(x[idx])).softmax(1)", "y_"),
        ("softmax on the output", "nn.Linear(16, 2), nn.Softmax(dim=1)", "y_"),
        ("train not restored", "model.eval()", "model.train"),
        ("loss climbed", "(-loss).backward()", " loss.backward"),
        ("argmax over the wrong axis", "argmax(0)", "argmax(1)"),
    ],
)
def test_one_place_is_changed(name: str, there: str, gone: str) -> None:
    text = made(name).text
    assert there in text
    assert gone not in text


def test_every_change_is_another_program() -> None:
    source = Source(PROGRAM)
    made_by = {name: [c.text for c in m.changes(source)] for name, m in MUTATORS.items()}
    assert sum(map(bool, made_by.values())) > 30
    for texts in made_by.values():
        assert PROGRAM not in texts
        for text in texts:
            ast.parse(text)


def test_a_missing_call_belongs_to_the_lines_of_the_step() -> None:
    text, lines = made("zero grad removed").text, made("zero grad removed").lines
    assert {line(text, "loss.backward"), line(text, "optimizer.step")} <= lines


def test_the_step_moves_before_the_backward() -> None:
    text = made("step before backward").text
    assert line(text, "optimizer.step") == line(text, "loss.backward") - 1


def test_what_stands_on_several_lines_is_right_as_a_whole() -> None:
    source = Source("f(\n    1,\n    2,\n)\nfor i in f(3):\n    g()\n")
    assert source.whole_statements(frozenset({2})) == {1, 2, 3, 4}
    assert source.whole_statements(frozenset({5})) == {5}


def test_without_removes_whole_blocks_as_pass() -> None:
    source = Source("if a:\n    b()\nc()\n")
    assert source.without(source.statements_calling("b")) == "if a:\n    pass\nc()\n"
    assert source.without(source.statements_calling("c")) == "if a:\n    b()\n"


def test_harm_is_what_the_program_prints() -> None:
    def ended(text: str, status: int = 0) -> Ending:
        return Ending(text, status, 1.0)

    program = Healthy("p", PROGRAM, None)
    healthy = ended("train loss 0.2 test acc 0.90\n")
    assert harmed(program, ended("train loss 0.1 test acc 0.70\n"), healthy)
    assert not harmed(program, ended("train loss 0.9 test acc 0.89\n"), healthy)
    assert harmed(program, ended("test acc 0.5 loss 9\n"), ended("loss 0.9\n"))  # the same number of both
    assert harmed(program, ended("test acc nan\n"), healthy)
    assert not harmed(program, ended("", status=1), healthy)  # an error tells its line itself
    own = Healthy("p", PROGRAM, Symptom(r"loss (\S+)", "lower", 0.5))
    assert harmed(own, ended("train loss 0.8\n"), healthy)
    assert harmed(own, ended("train loss nan\n"), healthy)
