"""Terms of a loss without a graph: which are found, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

from flightcheck.recording.loss_records import LooseTerm
from tests.lab.made import FEATURES, Loop, batches, patched

LINES = {
    line.rpartition("# at ")[2]: i
    for i, line in enumerate(Path(__file__).read_text(encoding="utf-8").splitlines(), 1)
    if "  # at " in line
}


class Policy(nn.Module):
    """Gives a distribution, as an actor does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.actor, self.critic = nn.Linear(FEATURES, 3), nn.Linear(FEATURES, 1)

    def forward(self, x: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
        return Categorical(logits=self.actor(x)), self.critic(x).squeeze(1)


class Summing(Loop):
    """A loss from two terms, the second made in one of several ways."""

    def __init__(self, how: str) -> None:
        super().__init__(Policy(), pairs=batches(60))
        self.how, self.average, self.count = how, torch.tensor(0.0), 0

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.count += 1
        with torch.no_grad():
            stored, _ = self.model(x)
            logp = stored.log_prob(y)
        dist, value = self.model(x)
        main = F.mse_loss(value, x.mean(1))
        loss = self.total(main, dist, value, logp, x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def total(
        self, main: torch.Tensor, dist: Categorical, value: torch.Tensor, logp: torch.Tensor, x: torch.Tensor
    ) -> torch.Tensor:
        if self.how == "stored":
            policy = -(logp * x[:, 0]).mean()  # at stored
            return policy + 0.5 * main - 0.01 * dist.entropy().mean()  # at sum of stored
        if self.how == "detached":
            entropy = dist.entropy().detach().mean()  # at detached
            return 1.0 * (main - 0.1 * entropy)
        if self.how == "in place":
            main += logp.mean()  # at in place
            return main
        if self.how == "data":
            return main + x.square().mean()
        if self.how == "weights":
            penalty = sum(p.data.abs().sum() for p in self.model.parameters())  # at weights
            return main + 0.01 * penalty
        if self.how == "connected":
            return main + dist.entropy().mean()
        if self.how == "weight":
            return main * logp.mean().exp() + main / main.detach()
        if self.how == "baseline":
            self.average = 0.9 * self.average + 0.1 * main.detach()
            return main - self.average
        if self.how == "value instead":
            return main + (dist.entropy().mean() - main).detach() - main.detach()
        if self.how == "alternating":
            entropy = dist.entropy().mean()
            return main + (entropy if self.count % 2 else entropy.detach())
        print(f"{(main + logp.mean()).item():.3f}")
        return main


def found(folder: Path, how: str) -> list[LooseTerm]:
    done = patched(folder, "", Summing(how), steps=8)
    assert not done.errors
    return [
        t for t in done.run.recorded(LooseTerm) if t.parameters and t.rounds > 1
    ]  # a baseline begins without a past


@pytest.mark.parametrize("how", ["stored", "detached", "in place"])
def test_loose_terms_are_found(tmp_path: Path, how: str) -> None:
    (term,) = found(tmp_path, how)
    assert term.location is not None
    assert term.location.line == LINES[how]
    assert term.rounds == 8
    assert len(set(term.values)) > 1
    assert term.operation == ("detach" if how == "detached" else "no_grad")
    if how == "stored":
        assert term.sum_location is not None
        assert term.sum_location.line == LINES["sum of stored"]
    else:
        assert term.beside == [2, 3], "the critic's, to whom the rest of the sum leads"
    assert set(term.beside) <= set(range(4)) and term.parameters


def test_a_penalty_on_weights_without_a_graph(tmp_path: Path) -> None:
    (term,) = found(tmp_path, "weights")
    assert term.operation == "data"
    assert term.cut_location is not None
    assert term.cut_location.line == LINES["weights"]
    assert len(term.parameters) == 4


@pytest.mark.parametrize("how", ["data", "connected", "weight", "baseline", "alternating", "printed"])
def test_what_is_no_loose_term(tmp_path: Path, how: str) -> None:
    assert found(tmp_path, how) == []


def test_a_value_put_in_the_place_of_another(tmp_path: Path) -> None:
    assert found(tmp_path, "value instead") == []
