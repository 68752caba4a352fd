"""Whose functions run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from flightcheck.adapters.torch.frames import is_of_torch

TORCH = Path(torch.__file__).parent


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (TORCH / "nn/utils/clip_grad.py", True),
        (TORCH.parent / "torchmetrics/metric.py", False),
        (Path("/home/me/torch_training/train.py"), False),
    ],
    ids=["torch", "a library whose name begins alike", "a script"],
)
def test_functions_of_torch(file: Path, expected: bool) -> None:
    frame: Any = SimpleNamespace(f_code=SimpleNamespace(co_filename=str(file)))
    assert is_of_torch(frame) is expected
