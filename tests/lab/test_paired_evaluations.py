"""Evaluations with and without ``mode:eval`` are of the same weights: dropout that is off draws as if it were on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.recording.inputs import Confusion
from tests.lab.made import CLASSES, FEATURES, Loop, batches, data, equal, patched


class Functional(nn.Module):
    """Dropout called as a function, without the mode or with it."""

    def __init__(self, always: bool) -> None:
        super().__init__()
        self.always = always
        self.first, self.second = nn.Linear(FEATURES, 16), nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x).relu()
        return self.second(F.dropout(h, 0.5) if self.always else F.dropout(h, 0.5, self.training))


def stack() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, CLASSES))


@pytest.mark.parametrize("kind", ["module", "function", "function with the mode"])
def test_the_training_goes_on_as_its_control(tmp_path: Path, kind: str) -> None:
    x, _ = data(6)

    def run(patches: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        torch.manual_seed(0)
        loop = Loop(stack() if kind == "module" else Functional(always=kind == "function"), pairs=[])
        if kind == "function":
            loop.model.train()
        outputs: list[torch.Tensor] = []

        def epochs() -> None:
            for _ in range(3):
                loop.pairs = batches()
                loop()
                if kind == "function":
                    loop.model.eval()
                with torch.no_grad():
                    outputs.append(loop.model(x))
                loop.model.train()

        done = patched(tmp_path, patches, epochs)
        assert done.applied.get("mode:eval", 0) == (3 if patches else 0)
        return loop.weights, outputs

    (control, random), (weights, outputs) = run(""), run("mode:eval")
    assert equal(control, weights), "the same weights are evaluated"
    assert not equal(random, outputs)


def test_outputs_are_those_of_eval_mode(tmp_path: Path) -> None:
    x, _ = data(6)
    torch.manual_seed(0)
    loop, outputs = Loop(stack()), []

    def both() -> None:
        loop()
        with torch.no_grad():
            outputs.append(loop.model(x))

    patched(tmp_path, "mode:eval", both)
    loop.model.eval()
    assert torch.equal(outputs[0], loop.model(x))


def test_answers_that_are_compared_behind_the_block_count(tmp_path: Path) -> None:
    x, y = data(12)
    loop = Loop()

    def both() -> None:
        for a, b in batches():
            with torch.no_grad():
                out = loop.model(x)
            assert len(out.argmax(1) == y) == 12
            trained = loop.model(a)
            assert len(trained.argmax(1) == b) == len(b)  # of the training
            loop.step(a, b)

    run = patched(tmp_path, "", both).run
    assert [sum(map(sum, c.counts)) for c in run.recorded(Confusion)] == [12] * len(batches())
