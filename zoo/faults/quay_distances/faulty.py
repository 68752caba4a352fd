"""A map of the harbour from radio fingerprints: points that are near on the water shall be near on the map."""
import math

import torch
from torch import nn


def survey(n, masts):
    """Places in the harbour and the signal strengths there."""
    place = torch.rand(n, 2) * torch.tensor([3.0, 2.0])
    reach = torch.cdist(place, masts)
    return place, torch.exp(-reach) + 0.01 * torch.randn(n, len(masts))


def gaps(points):
    delta = points[:, None, :] - points[None, :, :]
    return delta.square().sum(-1).sqrt()


def stress(chart, place):
    true = gaps(place)
    return (gaps(chart) - true).square().mean() / true.square().mean()


def train(encoder, fingerprints, place, *, steps, batch, lr):
    optimizer = torch.optim.Adam(encoder.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 0.5 * (1 + math.cos(math.pi * s / steps)))
    for step in range(1, steps + 1):
        rows = torch.randperm(len(place))[:batch]
        loss = stress(encoder(fingerprints[rows]), place[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            yield step, loss.item()


def main():
    torch.manual_seed(55)
    masts = torch.rand(16, 2) * torch.tensor([3.0, 2.0])
    place, signal = survey(1200, masts)
    new_place, new_signal = survey(400, masts)
    mean, std = signal.mean(0), signal.std(0)
    encoder = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    for step, loss in train(encoder, (signal - mean) / std, place, steps=500, batch=64, lr=3e-3):
        encoder.eval()
        with torch.no_grad():
            held_out = stress(encoder((new_signal - mean) / std), new_place).item()
        encoder.train()
        print(f"step {step} loss {loss:.5f} stress on new places {held_out:.5f}")


if __name__ == "__main__":
    main()
