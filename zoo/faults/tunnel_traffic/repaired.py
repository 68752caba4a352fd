# Cars per hour through a tunnel: learn the next hour from two days, then roll the forecast on for a day.
import numpy as np
import torch
from torch import nn

np.random.seed(61)
torch.manual_seed(61)

HOURS, WINDOW, AHEAD = 24 * 120, 48, 24
hour = np.arange(HOURS)
daily = 900 + 500 * np.sin(2 * np.pi * (hour - 8) / 24) + 250 * np.sin(4 * np.pi * (hour - 7) / 24)
weekly = np.where(hour // 24 % 7 >= 5, 0.7, 1.0)
drift = np.zeros(HOURS)
for i in range(1, HOURS):
    drift[i] = 0.9 * drift[i - 1] + 25 * np.random.randn()
cars = daily * weekly + drift

cut = 24 * 95
mu, sd = cars[:cut].mean(), cars[:cut].std()
series = torch.tensor((cars - mu) / sd, dtype=torch.float32)
windows = series.unfold(0, WINDOW, 1)  # windows[i] holds the hours i .. i + WINDOW - 1


class NextHour(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(WINDOW, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.out = nn.Linear(hidden, 1)

    def forward(self, past):
        return self.out(self.mix(past)).squeeze(-1)


@torch.no_grad()
def roll(net, past, steps):
    for _ in range(steps):
        past = torch.cat([past, net(past[:, -WINDOW:])[:, None]], 1)
    return past[:, -steps:]


net = NextHour()
optim = torch.optim.Adam(net.parameters(), lr=1e-3)
starts = torch.arange(cut - WINDOW)
test_starts = torch.arange(cut, HOURS - WINDOW - AHEAD, 5)
truth = torch.stack([series[s + WINDOW : s + WINDOW + AHEAD] for s in test_starts.tolist()])
for epoch in range(1, 16):
    net.train()
    mixed, running = starts[torch.randperm(len(starts))], 0.0
    for first in range(0, len(mixed), 64):
        rows = mixed[first : first + 64]
        wanted = series[rows + WINDOW]
        loss = (net(windows[rows]) - wanted).pow(2).mean()
        optim.zero_grad()
        loss.backward()
        optim.step()
        running += loss.item() * len(rows)
    if epoch % 3 == 0:
        net.eval()
        error = (roll(net, windows[test_starts], AHEAD) - truth).abs().mean().item() * sd
        print(f"epoch {epoch:2} mse {running / len(mixed):.4f}, next day wrong by {error:.1f} cars per hour")
