"""Phases of a stride from a shin-worn gyroscope: label each sample of a recording as stance, push, swing or strike."""
import argparse
from typing import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

PHASES = ((0.0, 0.45), (0.45, 0.6), (0.6, 0.9), (0.9, 1.0))


def recording(rng, seconds: float, standing: bool) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(int(50 * seconds)) / 50
    pace = rng.uniform(0.7, 1.2)
    phase = (rng.uniform() + np.cumsum(pace * (1 + 0.1 * rng.normal(size=len(t)))) / 50) % 1
    if standing:  # long rests: the stride stays at one point of its stance
        hold = rng.uniform(0.1, 0.3)
        phase = np.where(t < rng.uniform(0.75, 0.92) * seconds, hold, phase)
    label = sum((phase >= lo).astype(int) for lo, _ in PHASES[1:])
    gyro = 2.2 * np.exp(-(((phase - 0.75) / 0.09) ** 2)) - 1.3 * np.exp(-(((phase - 0.52) / 0.05) ** 2))
    gyro -= 0.9 * np.exp(-(((phase - 0.95) / 0.03) ** 2))
    accel = 0.8 * np.cos(2 * np.pi * phase) + 0.6 * np.exp(-(((phase - 0.95) / 0.04) ** 2))
    x = np.stack([gyro, accel]) + rng.normal(0, 0.25, (2, len(t)))
    return x.astype(np.float32), label


class PhaseNet(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()

        def block(n_in: int, dilation: int) -> nn.Sequential:
            conv = nn.Conv1d(n_in, channels, 5, padding=2 * dilation, dilation=dilation, bias=False)
            return nn.Sequential(conv, nn.BatchNorm1d(channels), nn.ReLU())

        self.body = nn.Sequential(block(2, 1), block(channels, 2), block(channels, 4))
        self.head = nn.Conv1d(channels, len(PHASES), 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def minibatches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for chunk in torch.randperm(len(x)).split(size):
        yield x[chunk], y[chunk]


def balanced(model: PhaseNet, patients: list[tuple[Tensor, Tensor]]) -> float:
    """Mean recall of the phases, patient by patient as the recordings have different lengths."""
    hits, counts = torch.zeros(len(PHASES)), torch.zeros(len(PHASES))
    model.eval()
    with torch.inference_mode():
        for x, y in patients:
            guess = model(x[None])[0].argmax(0)
            counts += torch.bincount(y, minlength=len(PHASES))
            hits += torch.bincount(y[guess == y], minlength=len(PHASES))
    model.train()
    return (hits / counts).mean().item()


def main(args: argparse.Namespace) -> None:
    np.random.seed(52)
    torch.manual_seed(52)
    rng = np.random
    x, y = (torch.tensor(np.stack(part)) for part in zip(*(recording(rng, 4, False) for _ in range(320))))
    patients = [recording(rng, rng.uniform(6, 12), True) for _ in range(40)]
    patients = [(torch.tensor(a), torch.tensor(b)) for a, b in patients]
    model = PhaseNet(args.channels)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        total = 0.0
        for xb, yb in minibatches(x, y, 16):
            loss = F.cross_entropy(model(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(xb)
        print(f"epoch {epoch} loss {total / len(x):.4f} balanced accuracy of patients {balanced(model, patients):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--epochs", type=int, default=8)
    main(parser.parse_args([]))
