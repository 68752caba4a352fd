"""Tomorrow's pollen count from three weeks of weather and counts; a temporal convolution."""
import numpy as np
import torch
import torch.nn as nn

WINDOW = 21


def station(days, rng):
    season = np.sin(2 * np.pi * np.arange(days) / 365 - 1.2)
    warm = np.zeros(days)
    rain = np.zeros(days)
    bloom = np.zeros(days)
    for d in range(1, days):
        warm[d] = 0.8 * warm[d - 1] + rng.normal(0, 0.6)
        rain[d] = max(0.0, 0.5 * rain[d - 1] + rng.normal(-0.2, 0.8))
        push = np.exp(1.2 * season[d]) * (1 + np.tanh(warm[d - 1] + warm[d - 4]))
        bloom[d] = 0.75 * bloom[d - 1] * np.exp(-0.6 * rain[d]) + push
    count = np.log1p(bloom) + rng.normal(0, 0.05, days)
    return np.stack([warm, rain, season, count], 1).astype(np.float32)


def windows(series):
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], WINDOW, axis=0)
    return torch.tensor(x.copy()), torch.tensor(series[WINDOW:, 3:])


class Residual(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.pad = nn.ConstantPad1d((2 * dilation, 0), 0.0)
        self.conv = nn.Conv1d(channels, channels, 3, dilation=dilation)

    def forward(self, x):
        return x + torch.relu(self.conv(self.pad(x)))


def build(channels=32):
    return nn.Sequential(
        nn.Conv1d(4, channels, 1),
        *[Residual(channels, d) for d in (1, 2, 4)],
        nn.Flatten(),
        nn.Linear(channels * WINDOW, 1),
    )


class Fit:
    epochs = 24

    def __init__(self, net, data, valid):
        self.net, self.data, self.valid = net, data, valid
        self.opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3)
        self.plan = torch.optim.lr_scheduler.ExponentialLR(self.opt, gamma=0.87)
        self.crit = nn.MSELoss()

    def one_batch(self, x, y):
        loss = self.crit(self.net(x), y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()

    def one_epoch(self):
        x, y = self.data
        losses = [self.one_batch(x[i], y[i]) for i in torch.randperm(len(x)).split(64)]
        self.plan.step()
        return sum(losses) / len(losses)

    def run(self):
        for epoch in range(self.epochs):
            train = self.one_epoch()
            with torch.no_grad():
                x, y = self.valid
                r2 = 1 - (self.net(x) - y).square().mean() / y.var()
            if epoch % 3 == 2:
                print(f"epoch {epoch + 1} mse {train:.4f} valid R2 {r2.item():.4f}")


np.random.seed(77)
torch.manual_seed(77)
record = station(1700, np.random)
split = 1200
mean, std = record[:split].mean(0), record[:split].std(0)
record = (record - mean) / std
Fit(build(), windows(record[:split]), windows(record[split:])).run()
