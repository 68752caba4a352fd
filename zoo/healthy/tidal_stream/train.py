"""Streaming tide forecasts: one LSTM, sixteen gauges in parallel, state carried across windows."""
import argparse

import torch
from torch import nn

GAUGES, WINDOW = 16, 48


def tides(hours, seed):
    """Sea level of every gauge as four constituents, a slow surge and noise; the phases are unknown to the model."""
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(hours, dtype=torch.float64)[:, None]
    periods = torch.tensor([12.42, 12.0, 23.93, 25.82], dtype=torch.float64)
    size = torch.tensor([1.0, 0.45, 0.3, 0.25]) * (0.6 + 0.8 * torch.rand(GAUGES, 4, generator=g))
    phase = 6.2832 * torch.rand(GAUGES, 4, generator=g)
    level = sum(size[:, k] * torch.cos(6.2832 * t / periods[k] + phase[:, k]) for k in range(4))
    surge = torch.zeros(hours, GAUGES)
    kick = 0.05 * torch.randn(hours, GAUGES, generator=g)
    for i in range(1, hours):
        surge[i] = 0.97 * surge[i - 1] + kick[i]
    return (level + surge + 0.02 * torch.randn(hours, GAUGES, generator=g)).float()


def windows(series, lead):
    """Consecutive (input, target) windows in their order in time; the target is the level `lead` hours later."""
    for start in range(0, len(series) - lead - WINDOW + 1, WINDOW):
        yield (series[start:start + WINDOW].unsqueeze(-1),
               series[start + lead:start + lead + WINDOW].unsqueeze(-1))


class Gauge(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x, state):
        h, state = self.lstm(x, state)
        return x + self.out(h), state        # the change of the level is predicted


def detach(state):
    return tuple(s.detach() for s in state)


@torch.no_grad()
def stream_error(model, series, lead, warmup=4):
    model.eval()
    state, err, keep, n = None, 0.0, 0.0, 0
    for i, (x, y) in enumerate(windows(series, lead)):
        pred, state = model(x, state)
        if i >= warmup:                        # the first days only fill the state
            err += (pred - y).square().mean().item()
            keep += (x - y).square().mean().item()
            n += 1
    return (err / n) ** 0.5, (keep / n) ** 0.5


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--passes", type=int, default=9)
    parser.add_argument("--hours", type=int, default=4000)
    parser.add_argument("--lead", type=int, default=3)
    parser.add_argument("--lr", type=float, default=4e-3)
    args = parser.parse_args()
    torch.manual_seed(19)

    raw = tides(args.hours, seed=19)
    cut = int(0.8 * args.hours)
    mean, std = raw[:cut].mean(), raw[:cut].std()
    train, test = (raw[:cut] - mean) / std, (raw[cut:] - mean) / std
    model = Gauge()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    per_pass = sum(1 for _ in windows(train, args.lead))
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.passes * per_pass, eta_min=1e-4)
    criterion = nn.MSELoss()

    for p in range(args.passes):
        model.train()
        state, total = None, 0.0               # every pass starts the stream anew
        for x, y in windows(train, args.lead):
            pred, state = model(x, state)
            state = detach(state)
            loss = criterion(pred, y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            total += loss.item()
        print(f"pass {p}: mean squared error {total / per_pass:.4f}")

    rmse, persistence = stream_error(model, test, args.lead)
    print(f"test rmse {args.lead} hours ahead: {rmse:.4f} standard deviations (persistence {persistence:.4f})")


if __name__ == "__main__":
    main()
