"""Predict two properties of short peptides from their sequence with a bidirectional GRU."""
import dataclasses
import logging
import math
import sys

import torch
from torch import Tensor, nn

log = logging.getLogger("peptides")
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


@dataclasses.dataclass
class Hyper:
    dim: int = 24
    hidden: int = 32
    batch: int = 64
    epochs: int = 12
    peak_lr: float = 3e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    seed: int = 37


@dataclasses.dataclass
class Peptides:
    ids: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.ids)


def assay(n: int, length: int = 14) -> Peptides:
    charge = torch.zeros(20)
    for letter, q in {"D": -1, "E": -1, "K": 1, "R": 1, "H": 0.3}.items():
        charge[RESIDUES.index(letter)] = q
    greasy = torch.tensor([1.8 if c in "AVILMFW" else -1.0 for c in RESIDUES])
    ids = torch.randint(20, (n, length))
    tilt = (greasy[ids] * torch.linspace(-1, 1, length)).sum(1)
    targets = torch.stack([charge[ids].sum(1), tilt], 1)
    targets = targets + 0.2 * torch.randn(n, 2)
    return Peptides(ids, targets)


class SequenceRegressor(nn.Module):
    def __init__(self, hp: Hyper):
        super().__init__()
        self.embed = nn.Embedding(20, hp.dim)
        self.gru = nn.GRU(hp.dim, hp.hidden, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.LayerNorm(2 * hp.hidden), nn.Linear(2 * hp.hidden, 2))

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.gru(self.embed(ids))
        return self.head(states.mean(1))


def r_squared(model: nn.Module, data: Peptides) -> float:
    model.eval()
    with torch.no_grad():
        residual = (model(data.ids) - data.targets).square().mean(0)
    return (1 - residual / data.targets.var(0)).mean().item()


def train(hp: Hyper) -> float:
    torch.manual_seed(hp.seed)
    data, held = assay(2400), assay(600)
    centre, scale = data.targets.mean(0), data.targets.std(0)
    data.targets = (data.targets - centre) / scale
    held.targets = (held.targets - centre) / scale
    model = SequenceRegressor(hp)
    optimizer = torch.optim.AdamW(model.parameters(), lr=hp.peak_lr, weight_decay=hp.weight_decay)
    total = hp.epochs * math.ceil(len(data) / hp.batch)
    rise = int(hp.warmup * total)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / rise, (total - s) / (total - rise)))
    for epoch in range(hp.epochs):
        model.train()
        for rows in torch.randperm(len(data)).split(hp.batch):
            loss = nn.functional.mse_loss(model(data.ids[rows]), data.targets[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        log.info("epoch %d loss %.4f held-out R2 %.3f", epoch, loss.item(), r_squared(model, held))
    return r_squared(model, held)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    print(f"final R2 {train(Hyper()):.3f}")
