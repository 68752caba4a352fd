"""Dropout at work: where it stands, how much it drops, and trials that change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.recording.provenance.kept_shares import names_kept_share
from flightcheck.recording.run import Run
from flightcheck.testing import verdict_of
from tests.lab.made import patched


class Net(nn.Module):
    def __init__(self, hidden: float, output: float, after: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 3)
        self.hidden, self.output, self.after = hidden, output, after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.dropout(torch.relu(self.one(x)), self.hidden, self.training)
        return self.after(F.dropout(self.two(h), p=self.output, training=self.training))


def log_softmax(x: torch.Tensor) -> torch.Tensor:
    return F.log_softmax(x, dim=1)


def train(model: nn.Module, steps: int = 8) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(steps):
        x = torch.randn(16, 6)
        optimizer.zero_grad()
        F.nll_loss(model(x), x[:, :3].argmax(1)).backward()
        optimizer.step()


def watched(folder: Path, model: nn.Module) -> Run:
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        train(model)
    assert seen.run is not None
    return seen.run


def test_a_function_on_the_output_is_told_at_its_line(tmp_path: Path) -> None:
    (finding,) = verdict_of("P35", watched(tmp_path, Net(0.0, 0.5, log_softmax))).findings
    assert finding.evidence["place"] == "output" and finding.location is not None
    assert "self.two(h)" in finding.location.code


def test_a_module_behind_a_softmax_is_told(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.3), nn.LogSoftmax(1))
    (finding,) = verdict_of("P35", watched(tmp_path, model)).findings
    assert (finding.evidence["place"], finding.module) == ("output", "Sequential.1")


def test_a_share_to_keep_in_a_function_is_told(tmp_path: Path) -> None:
    (finding,) = verdict_of("P35", watched(tmp_path, Net(0.9, 0.0, log_softmax))).findings
    assert finding.evidence["place"] == "hidden" and finding.patch.endswith("=0.1")


def test_usual_dropout_and_tied_weights_pass(tmp_path: Path) -> None:
    assert verdict_of("P35", watched(tmp_path, Net(0.3, 0.0, log_softmax))).status == "pass"
    table = nn.Parameter(torch.randn(3, 3))
    tied = Net(0.0, 0.5, lambda x: log_softmax(x @ table))
    tied.table = table
    assert verdict_of("P35", watched(tmp_path, tied)).status == "pass"


class Deep(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.out = nn.GRU(3, 4, num_layers=2, dropout=p, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return log_softmax(self.out(self.rnn(x.view(len(x), 2, 3))[0][:, -1]))


def test_recurrent_layers(tmp_path: Path) -> None:
    (finding,) = verdict_of("P35", watched(tmp_path, Deep(0.9))).findings
    assert finding.patch == "dropout:Deep.rnn=0.1"
    assert verdict_of("P35", watched(tmp_path, Deep(0.4))).status == "pass"


def test_trials_act_on_lines_and_layers(tmp_path: Path) -> None:
    (finding,) = verdict_of("P35", watched(tmp_path, Net(0.0, 0.5, log_softmax))).findings
    assert patched(tmp_path, finding.patch, lambda: train(Net(0.0, 0.5, log_softmax))).applied[finding.patch]
    model = Deep(0.9)
    assert patched(tmp_path, "dropout:Deep.rnn=0.1", lambda: train(model)).applied == {"dropout:Deep.rnn=0.1": 8}
    assert model.rnn.dropout == 0.9
    assert patched(tmp_path, "regularization:dropout", lambda: train(Deep(0.5))).applied["regularization:dropout"]


class Parts:
    """Layers that the script calls by themselves."""

    def __init__(self, keep_prob: float) -> None:
        torch.manual_seed(0)
        self.table, self.one, self.two = nn.Embedding(5, 6), nn.Linear(6, 8), nn.Linear(8, 3)
        self.drop = nn.Dropout(keep_prob)

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        h = self.one(self.drop(self.table(ids)))  # WORDS
        return self.two(self.drop(torch.relu(h)))  # type: ignore[no-any-return]  # HIDDEN

    def train(self, steps: int = 8) -> None:
        parts = nn.ModuleList([self.table, self.one, self.two])
        optimizer = torch.optim.SGD(parts.parameters(), lr=0.05)
        for _ in range(steps):
            ids = torch.randint(0, 5, (16,))
            optimizer.zero_grad()
            F.cross_entropy(self(ids), ids % 3).backward()
            optimizer.step()


def of_parts(folder: Path, keep_prob: float) -> Run:
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        Parts(keep_prob).train()
    assert seen.run is not None
    return seen.run


def test_a_module_that_the_script_calls_by_itself(tmp_path: Path) -> None:
    assert not verdict_of("P35", of_parts(tmp_path / "usual", 0.3)).findings
    (finding,) = verdict_of("P35", of_parts(tmp_path / "kept", 0.9)).findings
    assert finding.location is not None and finding.location.code.endswith("# HIDDEN")
    text = Path(__file__).read_text().splitlines()
    lines = {i for i, code in enumerate(text, 1) if code.endswith(("  # WORDS", "  # HIDDEN"))}
    assert {int(part.rpartition("=")[0].rpartition(":")[2]) for part in finding.patch.split("+")} == lines


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("drop = nn.Dropout(keep_prob)", True), ("drop = nn.Dropout(p=cfg.keep)", True),
        ("drop = nn.Dropout(1 - keep_prob)", False), ("drop = nn.Dropout(0.9)", False), ("keep = pool(x)", False),
    ],
)  # fmt: skip
def test_what_dropout_is_made_with(code: str, kept: bool, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(code)
    assert names_kept_share(str(tmp_path / "train.py")) == kept
