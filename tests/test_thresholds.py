"""Comparisons with about a half of what a model returned, as the source tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.thresholds import Threshold, thresholds

CALL = "out = model(x)\n"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (CALL + "hat = out.detach().cpu().numpy().ravel() > 0.5", [Threshold(2, ">", 0.5, 1)]),
        (
            CALL + "import numpy as np\nhat = np.where(np.array(out.tolist()) >= 0.5, 1, 0)",
            [Threshold(3, ">=", 0.5, 1)],
        ),
        (CALL + "kept = []\nkept.append(out.numpy())\nhat = np.concatenate(kept) > 0.5", [Threshold(4, ">", 0.5, 1)]),
        (CALL + "hat = [1 if p > 0.5 else 0 for p in out]", [Threshold(2, ">", 0.5, 1)]),
        (CALL + "hat = torch.sigmoid(out).numpy() > 0.5", []),
        (CALL + "p = 1 / (1 + np.exp(-out.numpy()))\nhat = p > 0.5", []),
        ("p = model(x).sigmoid().numpy()\nhat = p > 0.5", []),
        ("squash = Sigmoid()\np = squash(model(x)).numpy()\nhat = p > 0.5", []),
        ("import torch\nhat = model(torch.from_numpy(a).to(d)).numpy() > 0.5 # model(x)", [Threshold(2, ">", 0.5, 2)]),
        ("def add(out, y):\n    return out > 0.5\nadd(model(x).sigmoid(), y)", []),
        (CALL + "hat = out.numpy() > 0.0", []),
        (CALL + "hat = other(x).numpy() > 0.5", []),
        ("def predict(x):\n    return model(x).numpy()\nhat = predict(x) > 0.5", [Threshold(3, ">", 0.5, 2)]),
    ],
)
def test_a_script(tmp_path: Path, code: str, found: list[Threshold]) -> None:
    (tmp_path / "train.py").write_text(code + "\n")
    calls = {i for i, line in enumerate(code.splitlines(), 1) if "model(x)" in line}
    assert thresholds(str(tmp_path / "train.py"), calls) == found


def test_no_file() -> None:
    assert thresholds("missing.py", {1}) == []
