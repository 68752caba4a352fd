"""Vowel category from a short synthetic spectrum: MLP with configurable depth."""
import dataclasses
from typing import Iterator, Sequence

import torch
from torch import Tensor, nn

FORMANTS = [(270, 2290), (390, 1990), (530, 1840), (660, 1720), (730, 1090),
            (570, 840), (440, 1020), (300, 870), (640, 1190), (490, 1350)]


@dataclasses.dataclass(frozen=True)
class Config:
    n_bins: int = 48
    widths: Sequence[int] = (64, 64, 64)
    n_train: int = 3000
    n_test: int = 1000
    batch_size: int = 60
    n_epochs: int = 10
    lr: float = 2e-3
    seed: int = 11


def synthesize(n: int, cfg: Config) -> tuple[Tensor, Tensor]:
    labels = torch.randint(len(FORMANTS), (n,))
    centres = torch.tensor(FORMANTS, dtype=torch.float32)[labels]
    tract = 1 + 0.06 * torch.randn(n, 1)  # speakers differ in the length of the tract
    centres = centres * tract + torch.tensor([30.0, 60.0]) * torch.randn(n, 2)
    freqs = torch.linspace(100, 3000, cfg.n_bins)
    width = torch.tensor([90.0, 140.0])
    peaks = torch.exp(-0.5 * ((freqs - centres[..., None]) / width[:, None]) ** 2)
    gain = 0.7 + 0.6 * torch.rand(n, 2, 1)
    return (peaks * gain).sum(1) + 0.12 * torch.randn(n, cfg.n_bins), labels


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    stack: list[nn.Module] = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:]):
        stack.append(nn.Linear(n_in, n_out))
        stack.append(nn.ReLU())
    return nn.Sequential(*stack)


def minibatches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in torch.randperm(len(x)).split(size):
        yield x[rows], y[rows]


@torch.no_grad()
def error_rate(net: nn.Module, x: Tensor, y: Tensor) -> float:
    return (net(x).argmax(-1) != y).float().mean().item()


def run(cfg: Config) -> float:
    torch.manual_seed(cfg.seed)
    x, y = synthesize(cfg.n_train + cfg.n_test, cfg)
    mean, std = x[: cfg.n_train].mean(0), x[: cfg.n_train].std(0)
    x = (x - mean) / std
    x_train, y_train = x[: cfg.n_train], y[: cfg.n_train]
    x_test, y_test = x[cfg.n_train :], y[cfg.n_train :]
    net = mlp([cfg.n_bins, *cfg.widths, len(FORMANTS)])
    optimizer = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    for epoch in range(cfg.n_epochs):
        total = 0.0
        for xb, yb in minibatches(x_train, y_train, cfg.batch_size):
            loss = nn.functional.cross_entropy(net(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
        print(f"[{epoch:02d}] nll={total / len(x_train):.4f} err={error_rate(net, x_test, y_test):.4f}")
    return error_rate(net, x_test, y_test)


if __name__ == "__main__":
    print(f"test error {run(Config()):.4f}")
