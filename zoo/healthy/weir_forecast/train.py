"""Water level at a weir three days ahead from the last sixteen days of two gauges."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Setup:
    past: int = 48  # readings, three a day
    ahead: int = 9
    channels: int = 24
    batch: int = 64
    epochs: int = 7
    lr: float = 4e-3
    seed: int = 27


def record(days: int, rng: np.random.Generator) -> np.ndarray:
    """Level in centimetres above sea; rain upstream arrives a day later, the bed silts up over the years."""
    n = 3 * days
    rain = (rng.random(n) < 0.06) * rng.gamma(2.0, 14.0, n)
    upper, lower = np.zeros(n), np.zeros(n)
    for t in range(1, n):
        upper[t] = 0.90 * upper[t - 1] + rain[t]
        lower[t] = 0.93 * lower[t - 1] + 0.12 * upper[max(t - 4, 0)]
    day = np.arange(n) / 3
    tide = 9 * np.sin(2 * np.pi * day / 14.77)
    silt = 0.03 * day
    level = np.stack([31200 + upper + rng.normal(size=n), 28650 + lower + tide + silt + rng.normal(size=n) * 0.8])
    return level.astype(np.float32)


def cut(levels: np.ndarray, s: Setup) -> tuple[torch.Tensor, torch.Tensor]:
    windows = torch.from_numpy(levels).unfold(1, s.past + s.ahead, 1).permute(1, 0, 2)
    return windows[:, :, : s.past].clone(), windows[:, 1, s.past :].clone()


class Causal(nn.Module):
    def __init__(self, c_in: int, c_out: int, dilation: int):
        super().__init__()
        self.gap = 2 * dilation
        self.conv = nn.Conv1d(c_in, 2 * c_out, 3, dilation=dilation)
        self.skip = nn.Conv1d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.skip(x) + F.glu(self.conv(F.pad(x, (self.gap, 0))), dim=1)


class Forecast(nn.Module):
    def __init__(self, s: Setup):
        super().__init__()
        blocks = [Causal(2 if i == 0 else s.channels, s.channels, 2**i) for i in range(5)]
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Linear(s.channels, s.ahead)

    def forward(self, past: torch.Tensor) -> torch.Tensor:
        mean, std = past.mean(-1, keepdim=True), past.std(-1, keepdim=True) + 1.0
        h = self.blocks((past - mean) / std)[:, :, -1]
        return past[:, 1, -1:] + std[:, 1] * self.last(h)


def mean_error(model: nn.Module, past: torch.Tensor, future: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return (model(past) - future).abs().mean().item()


def fit(s: Setup) -> nn.Module:
    torch.manual_seed(s.seed)
    levels = record(1300, np.random.default_rng(s.seed))
    stop = int(levels.shape[1] * 0.75)
    past, future = cut(levels[:, :stop], s)
    past_late, future_late = cut(levels[:, stop:], s)

    model = Forecast(s)
    optimizer = torch.optim.Adam(model.parameters(), lr=s.lr)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 6], gamma=0.3)
    for epoch in range(s.epochs):
        model.train()
        losses = []
        for rows in torch.randperm(len(past)).split(s.batch):
            x, y = past[rows], future[rows]
            scale = x[:, 1].std(-1, keepdim=True) + 1.0
            loss = F.smooth_l1_loss(model(x) / scale, y / scale, beta=0.5)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, last year's error {mean_error(model, past_late, future_late):.2f} cm")
    print(f"the level stays: {(past_late[:, 1, -1:] - future_late).abs().mean().item():.2f} cm")
    return model


if __name__ == "__main__":
    fit(Setup())
