"""Flow in an aqueduct, one day ahead. Started from examples/time_sequence_prediction, LSTM over a sliding window."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(14)
np.random.seed(14)

WINDOW, FUTURE = 48, 24


def flow_record(hours=2600):
    """Hourly litres per second: mills by day, fountains at noon, a weekly rhythm, a slow wander."""
    t = np.arange(hours)
    flow = 80 + 14 * np.sin(2 * np.pi * t / 24) + 6 * np.sin(4 * np.pi * t / 24 + 0.7)
    flow += 4 * np.sin(2 * np.pi * t / 168)
    noise = np.zeros(hours)
    for i in range(1, hours):
        noise[i] = 0.8 * noise[i - 1] + 0.6 * np.random.randn()
    return flow + noise


class Sequence(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, window):
        h, _ = self.lstm(window.unsqueeze(-1))
        return self.linear(h[:, -1]).squeeze(-1)


def make_windows(series, ahead):
    """Windows and the `ahead` values that follow each."""
    rows = len(series) - WINDOW - ahead + 1
    x = torch.stack([series[i:i + WINDOW] for i in range(rows)])
    y = torch.stack([series[i + WINDOW:i + WINDOW + ahead] for i in range(rows)])
    return x, y


def train(model, series, epochs=10):
    x, y = make_windows(series, 1)
    loader = DataLoader(TensorDataset(x, y.squeeze(1)), batch_size=32, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    criterion = nn.MSELoss()
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
        scheduler.step()
        print(f"epoch {epoch:2d}  one-step mse {total / len(x):.4f}")


@torch.no_grad()
def roll_forward(model, window, steps):
    """Feed the forecasts back in, one hour at a time."""
    model.eval()
    window = window.clone()
    out = []
    for _ in range(steps):
        nxt = model(window)
        out.append(nxt)
        window = torch.roll(window, -1, dims=1)
        window[:, -1] = nxt
    return torch.stack(out, dim=1)


@torch.no_grad()
def evaluate(model, series, scale):
    x, y = make_windows(series, FUTURE)
    model.eval()
    one_step = (model(x) - y[:, 0]).abs().mean().item() * scale
    ahead = (roll_forward(model, x, FUTURE) - y).abs().mean().item() * scale
    same_mean = y.abs().mean().item() * scale
    return one_step, ahead, same_mean


def main():
    flow = flow_record()
    cut = 2000
    mean, std = flow[:cut].mean(), flow[:cut].std()
    series = torch.tensor((flow - mean) / std, dtype=torch.float32)
    model = Sequence()
    train(model, series[:cut])
    one_step, ahead, same_mean = evaluate(model, series[cut:], std)
    print(f"held-out weeks, litres per second: next hour {one_step:.3f}, constant mean {same_mean:.3f}")
    print(f"error over the next {FUTURE} hours {ahead:.3f}")


if __name__ == "__main__":
    main()
