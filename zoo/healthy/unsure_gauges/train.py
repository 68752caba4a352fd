"""Read pressure from four gauges and say how sure the reading is: many draws of the thinned network."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    seed: int = 33
    n_train: int = 1500
    n_test: int = 500
    hidden: int = 128
    drop: float = 0.05
    lr: float = 2e-3
    epochs: int = 28
    batch: int = 50
    draws: int = 40


def measure(n: int) -> tuple[Tensor, Tensor]:
    level = torch.rand(n, 1) * 2 - 1
    others = torch.rand(n, 3) * 2 - 1
    pressure = torch.sin(3 * level) + 0.5 * others[:, :1] * others[:, 1:2] + 0.3 * others[:, 2:]
    return torch.cat([level, others], 1), pressure + 0.1 * torch.randn(n, 1)


class Gauge(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Linear(4, cfg.hidden), nn.ReLU(), nn.Dropout(cfg.drop),
            nn.Linear(cfg.hidden, cfg.hidden), nn.ReLU(), nn.Dropout(cfg.drop),
        )  # fmt: skip
        self.mean = nn.Linear(cfg.hidden, 1)
        self.log_var = nn.Linear(cfg.hidden, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.inner(x)
        return self.mean(h), self.log_var(h).clamp(-8, 4)


def nll(mean: Tensor, log_var: Tensor, y: Tensor) -> Tensor:
    return 0.5 * (log_var + (y - mean).square() / log_var.exp()).mean()


def thinned(model: nn.Module) -> nn.Module:
    """Everything in its evaluation mode except the dropout, whose draws are wanted."""
    model.eval()
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.train()
    return model


@torch.no_grad()
def predict(model: Gauge, x: Tensor, draws: int) -> tuple[Tensor, Tensor]:
    thinned(model)
    means, log_vars = zip(*(model(x) for _ in range(draws)))
    means = torch.stack(means)
    return means.mean(0), means.var(0) + torch.stack(log_vars).exp().mean(0)


def train(cfg: Config) -> None:
    torch.manual_seed(cfg.seed)
    (x, y), (x_test, y_test) = measure(cfg.n_train), measure(cfg.n_test)
    model = Gauge(cfg)
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    for epoch in range(1, cfg.epochs + 1):
        model.train()
        for rows in torch.randperm(cfg.n_train).split(cfg.batch):
            loss = nll(*model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 4 == 0:
            mean, var = predict(model, x_test, cfg.draws)
            rmse = (mean - y_test).square().mean().sqrt().item()
            inside = ((mean - y_test).abs() < 1.645 * var.sqrt()).float().mean().item()
            print(f"epoch {epoch} nll {loss.item():.3f} test rmse {rmse:.4f}, in the 90 % band {inside:.3f}")


if __name__ == "__main__":
    train(Config())
