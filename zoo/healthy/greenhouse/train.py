"""One network for three sensors that are often out of order."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split


@dataclass(frozen=True)
class Options:
    rows: int = 3000
    epochs: int = 14
    batch: int = 48
    accumulate: int = 2
    lr: float = 4e-3
    alarm_weight: float = 0.02
    seed: int = 77


def simulate(n: int, gen: torch.Generator):
    x = torch.randn(n, 9, generator=gen)
    sun, wind, water, vent = x[:, 0], x[:, 1].abs(), x[:, 2], torch.sigmoid(2 * x[:, 3])
    warmth = 1.5 * torch.tanh(sun) - vent * wind + 0.3 * x[:, 4] * x[:, 5]
    damp = 0.8 * water - 0.6 * warmth + 0.5 * torch.sin(2 * x[:, 6])
    noise = 0.1 * torch.randn(n, 2, generator=gen)
    alarm = (warmth + 0.5 * damp + 0.3 * torch.randn(n, generator=gen) > 0.3).float()
    y = torch.stack([warmth, damp], 1) + noise
    broken = torch.rand(n, 3, generator=gen) < torch.tensor([0.3, 0.5, 0.1])
    y = torch.cat([y, alarm[:, None]], 1).masked_fill(broken, float("nan"))
    return x, y


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(9, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 64), nn.GELU())
        self.climate = nn.Linear(64, 2)
        self.alarm = nn.Linear(64, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.climate(h), self.alarm(h).squeeze(1)


def per_row(values, present):
    """Sum of what was measured, per row of the batch."""
    return torch.where(present, values, 0.0).sum() / len(values)


def losses(model, x, y):
    known = ~y.isnan()
    y = y.nan_to_num(0.0)
    climate, alarm = model(x)
    squared = (climate - y[:, :2]) ** 2
    bce = nn.functional.binary_cross_entropy_with_logits(alarm, y[:, 2], reduction="none")
    return per_row(squared, known[:, :2]), per_row(bce, known[:, 2])


def evaluate(model, subset):
    x, y = (torch.stack(t) for t in zip(*subset))
    model.eval()
    with torch.no_grad():
        climate, alarm = model(x)
    scores = []
    for k in range(2):
        ok = ~y[:, k].isnan()
        e = (climate[ok, k] - y[ok, k]).pow(2).mean() / y[ok, k].var()
        scores.append(1 - e.item())
    ok = ~y[:, 2].isnan()
    scores.append(((alarm[ok] > 0).float() == y[ok, 2]).float().mean().item())
    scores.append(max(y[ok, 2].mean().item(), 1 - y[ok, 2].mean().item()))
    return scores


def main(opt: Options = Options()) -> None:
    torch.manual_seed(opt.seed)
    data = TensorDataset(*simulate(opt.rows, torch.Generator().manual_seed(opt.seed)))
    train, test = random_split(data, [opt.rows - 600, 600])
    loader = DataLoader(train, opt.batch, shuffle=True, drop_last=True)
    model = Shared()
    adam = torch.optim.Adam(model.parameters(), opt.lr)
    for epoch in range(1, opt.epochs + 1):
        model.train()
        for i, (x, y) in enumerate(loader, 1):
            climate, alarm = losses(model, x, y)
            loss = climate + opt.alarm_weight * alarm
            (loss / opt.accumulate).backward()
            if i % opt.accumulate == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                adam.step()
                adam.zero_grad()
        if epoch % 2 == 0:
            warm, damp, right, usual = evaluate(model, test)
            print(f"epoch {epoch} climate {climate.item():.3f} alarm {alarm.item():.3f} | R2 {warm:.3f} {damp:.3f} alarms {right:.3f} ({usual:.3f})")


if __name__ == "__main__":
    main()
