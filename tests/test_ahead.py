"""What models are given behind the loop in which the watch ends."""

from __future__ import annotations

import linecache
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from torch import nn

from flightcheck.adapters.torch.ahead import look_ahead
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.batches import AwaitedBatch

BEFORE = """
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    X = np.random.default_rng(0).normal(5, 2, (96, 4)).astype("float32")
    X_train, X_test = X[:64], X[64:]
    mean, std = X_train.mean(0), X_train.std(0)
    X_train = (X_train - mean) / std  # SCALED
    x = torch.tensor(X_train)
    raw, labels = torch.from_numpy(X_test), torch.zeros(32)
    scaled = torch.from_numpy((X_test - mean) / std)
    loader = DataLoader(TensorDataset(raw, labels), batch_size=8)

    def score(inputs):
        return model(inputs[:16].to("cpu"))

    def score_all(net, batches, scale=False):
        for xb, yb in batches:
            xb, yb = xb.float(), yb.float()
            net(xb)

    def score_parts(inputs):
        for i in range(0, len(inputs), 8):
            part = inputs[i : i + 8]
            model(part)

    def score_scaled(inputs):
        inputs = (inputs - torch.tensor(mean)) / torch.tensor(std)
        return model(inputs)

    for epoch in range(2):
        for i in range(0, 64, 32):
            model(x[i : i + 32])  # TRAINED
            stop()
        if epoch == 9:
            model(scaled)
"""


class _Stopped(BaseException):
    pass


def look(folder: Path, behind: str) -> list[AwaitedBatch]:
    """Run a script up to its first step, and look ahead."""
    file = folder / "train.py"
    text = textwrap.dedent(BEFORE) + textwrap.dedent(behind)
    file.write_text(text)
    linecache.checkcache(str(file))
    lines, found = SourceLines(), list[AwaitedBatch]()
    model = nn.Linear(4, 2)
    line = next(i for i, code in enumerate(text.splitlines(), 1) if "# TRAINED" in code)

    class Info:
        index = 0

    class Root:
        info, train_calls, call_location = Info, 1, lines.of(str(file), line)

    class Found:
        roots: ClassVar = {id(model): Root}

    class Writer:
        @staticmethod
        def put(record: Any, key: int) -> None:
            found.append(record)

    class Watched:
        step, writer = 1, Writer

    watched: Any = Watched()
    watched.lines = lines

    def stop() -> None:
        look_ahead(cast(Watch, watched), cast(Discovery, Found))
        raise _Stopped

    names: dict[str, Any] = {"model": model, "stop": stop}
    run: Callable[..., None] = exec
    with pytest.raises(_Stopped):
        run(compile(text, str(file), "exec"), names)
    return found


@pytest.mark.parametrize(
    ("behind", "name"),
    [
        ("model(raw)", "raw"),
        ("with torch.no_grad():\n    print(model(raw).argmax(1))", "raw"),
        ("score(raw)", "raw"),
        ("score_parts(raw)", "raw"),
        ("score_all(model, loader)", "loader"),
        ("for xb, yb in loader:\n    model(xb)", "loader"),
        ("test = torch.tensor(X_test)\nmodel(test)", "test"),
    ],
)
def test_data_that_miss_a_step(tmp_path: Path, behind: str, name: str) -> None:
    (found,) = look(tmp_path, behind)
    assert found.name == name
    assert found.left_out is not None
    assert found.left_out.code.endswith("# SCALED")
    assert found.shape[1] == 4


@pytest.mark.parametrize(
    "behind",
    [
        "score_scaled(raw)",
        "raw = (raw - torch.tensor(mean)) / torch.tensor(std)\nmodel(raw)",
        "raw -= 5\nmodel(raw)",
        "if epoch == 7:\n    model(raw)",
        "model((raw - torch.tensor(mean)) / torch.tensor(std))",
        "for xb, yb in loader:\n    xb = (xb - 5) / 2\n    model(xb)",
        "torch.nn.Sequential(torch.nn.BatchNorm1d(4), model)(raw)",
    ],
)
def test_what_is_computed_on_the_way_is_not_known(tmp_path: Path, behind: str) -> None:
    assert look(tmp_path, behind) == []


def test_data_that_went_through_a_step_of_their_own(tmp_path: Path) -> None:
    (found,) = look(tmp_path, "score(scaled)")
    assert (found.name, found.left_out) == ("scaled", None)
    (found,) = look(tmp_path, "noisy = X_test\nscore(torch.randn(8, 4))\nmodel(scaled)")
    assert (found.name, found.left_out) == ("scaled", None)
