"""Quantile forecasts of the logarithm of a heat pump's hourly power draw, one day ahead."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

QUANTILES = torch.tensor([0.1, 0.5, 0.9])
HISTORY, HORIZON = 72, 24


def simulate(hours=24 * 800, seed=5):
    rng = np.random.default_rng(seed)
    t = np.arange(hours)
    season = 6 * np.cos(2 * np.pi * t / (24 * 365))
    daily = 3 * np.cos(2 * np.pi * (t % 24 - 4) / 24)
    weather = np.zeros(hours)
    for i in range(1, hours):
        weather[i] = 0.98 * weather[i - 1] + rng.normal(0, 0.35)
    cold = season + daily + weather
    morning = 1.5 * np.exp(-0.5 * ((t % 24 - 7) / 1.5) ** 2) * (t // 24 % 7 < 5)
    load = np.log1p(np.exp(0.35 * cold + 1.5)) + morning
    return np.log(load * np.exp(0.08 * rng.standard_normal(hours))).astype(np.float32)


class Windows(Dataset):
    """Windows of one contiguous stretch: history and the clock of the day after go in, the load comes out."""

    def __init__(self, load, first_hour, mean, std, stride):
        self.z = torch.from_numpy((load - mean) / std)
        hour = torch.arange(first_hour, first_hour + len(load))
        angle = 2 * np.pi * (hour % 24) / 24
        weekend = (hour // 24 % 7 >= 5).float()
        self.clock = torch.stack([torch.sin(angle), torch.cos(angle), weekend])
        self.starts = range(0, len(load) - HISTORY - HORIZON + 1, stride)

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, i):
        a = self.starts[i]
        b, c = a + HISTORY, a + HISTORY + HORIZON
        past = torch.cat([self.z[None, a:b], self.clock[:, a:b]])
        return past, self.clock[:, b:c], self.z[b:c]


class CausalBlock(nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.pad = nn.ConstantPad1d((2 * dilation, 0), 0.0)
        self.conv = nn.Conv1d(width, 2 * width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x):
        return x + self.mix(nn.functional.glu(self.conv(self.pad(x)), dim=1))


class Forecaster(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.inp = nn.Conv1d(4, width, 1)
        self.blocks = nn.Sequential(*[CausalBlock(width, d) for d in (1, 2, 4, 8, 16)])
        self.decode = nn.Sequential(nn.Linear(width + HORIZON * 3, 96), nn.SiLU(), nn.Linear(96, HORIZON * 3))

    def forward(self, past, future_clock):
        summary = self.blocks(self.inp(past))[:, :, -1]
        out = self.decode(torch.cat([summary, future_clock.flatten(1)], 1))
        return out.view(-1, HORIZON, 3)


def pinball(pred, target):
    error = target.unsqueeze(-1) - pred
    return torch.maximum(QUANTILES * error, (QUANTILES - 1) * error).mean()


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    total, inside, naive, n = 0.0, 0.0, 0.0, 0
    for past, clock, target in loader:
        pred = model(past, clock)
        total += pinball(pred, target).item() * len(target)
        inside += ((target > pred[..., 0]) & (target < pred[..., 2])).float().mean().item() * len(target)
        yesterday = past[:, 0, -HORIZON:].unsqueeze(-1).expand(-1, -1, 3)
        naive += pinball(yesterday, target).item() * len(target)
        n += len(target)
    return total / n, inside / n, naive / n


def main():
    torch.manual_seed(5)
    load = simulate()
    cut = 24 * 650
    mean, std = load[:cut].mean(), load[:cut].std()
    train = Windows(load[:cut], 0, mean, std, stride=6)
    test = Windows(load[cut:], cut, mean, std, stride=12)
    train_loader = DataLoader(train, batch_size=64, shuffle=True)
    test_loader = DataLoader(test, batch_size=128)

    model = Forecaster()
    epochs = 7
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=epochs * len(train_loader))
    for epoch in range(epochs):
        model.train()
        running = 0.0
        for past, clock, target in train_loader:
            loss = pinball(model(past, clock), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            running += loss.item() * len(target)
        print(f"epoch {epoch}: train pinball {running / len(train):.4f}")
    score, coverage, naive = evaluate(model, test_loader)
    print(f"test pinball {score:.4f} (same hour yesterday: {naive:.4f}), 10-90% coverage {coverage:.3f}")


if __name__ == "__main__":
    main()
