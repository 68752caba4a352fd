"""Losses that were made numbers of Python: the trial keeps their history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.lab.made import CLASSES, FEATURES, batches, equal, patched

SOURCE, HERE = Path(__file__).read_text(), Path(__file__).name


def test_numbers_that_a_script_makes_tensors_again_keep_their_history(tmp_path: Path) -> None:
    def weights(patch: str, how: str) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Linear(FEATURES, CLASSES)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        logged: list[Any] = []

        def run() -> None:
            for x, y in batches(4):
                values = [F.cross_entropy(model(x), y), 0.1 * model.weight.square().mean()]
                if how != "right":
                    values = [v.item() for v in values]  # a number for the log
                logged.extend(v.detach() if isinstance(v, torch.Tensor) and how == "right" else v for v in values)
                optimizer.zero_grad()
                if how == "list":
                    torch.tensor(values, requires_grad=True).sum().backward()
                elif how == "sum":
                    torch.tensor(sum(values), requires_grad=True).backward()
                else:
                    sum(values).backward()
                optimizer.step()
            assert np.isfinite(np.mean(logged))

        patched(tmp_path, patch, run)
        return [p.detach().clone() for p in model.parameters()]

    line = next(i for i, text in enumerate(SOURCE.splitlines(), 1) if text.endswith("# a number for the log"))
    wanted, patch = weights("lr:x1", "right"), f"keep-graph:{HERE}:{line}"
    for how in ("sum", "list"):
        assert equal(weights(patch, how), wanted)
        assert not equal(weights("lr:x1", how), wanted)


def test_what_was_a_tensor_before_is_copied_on_purpose(tmp_path: Path) -> None:
    def weights(patch: str) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Linear(FEATURES, CLASSES)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        monitored = 0.0

        def run() -> None:
            nonlocal monitored
            for x, _ in batches(4):
                z = model(x)
                monitored += z.square().mean().item()  # for the log
                target = torch.tensor(z)  # SimSiam stops the gradient here
                optimizer.zero_grad()
                ((model(x + 0.1) - target).square().mean() + 0.01 * torch.tensor(z.mean())).backward()
                optimizer.step()

        patched(tmp_path, patch, run)
        return [p.detach().clone() for p in model.parameters()]

    line = next(i for i, text in enumerate(SOURCE.splitlines(), 1) if text.endswith("# for the log"))
    assert equal(weights(f"keep-graph:{HERE}:{line}"), weights("lr:x1"))
