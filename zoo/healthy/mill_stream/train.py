"""Level of a mill stream, one step ahead. The state of the LSTM is carried from window to window, in order."""
import os
import random

import numpy as np
import torch
import torch.nn as nn

SEED = int(os.environ.get("SEED", "0"))
LANES, WINDOW = 16, 25


def stream(n, rng):
    """The gate upstream opens and shuts in turn; the level fills and drains slowly, the time to the next turn is fixed."""
    gate = ((np.arange(n) // 60) % 2).astype(np.float64)
    rain = np.convolve(rng.exponential(0.4, n) * (rng.random(n) < 0.08), np.exp(-np.arange(30) / 8.0))[:n]
    level = np.zeros(n)
    for i in range(1, n):
        level[i] = 0.93 * level[i - 1] + 0.1 * gate[i] + 0.08 * rain[i]
    return torch.tensor(np.stack([level + rng.normal(0, 0.01, n), rain], 1), dtype=torch.float32)


class StreamNet(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x, state=None):
        h, state = self.lstm(x, state)
        return x[..., :1] + self.out(h), state


def lanes(series, n_lanes):
    steps = len(series) // n_lanes
    return series[: steps * n_lanes].view(n_lanes, steps, 2)


def windows(block):
    # neighbouring windows on purpose: lane i of one batch goes on in lane i of the next
    for s in range(0, block.size(1) - WINDOW, WINDOW):
        yield block[:, s : s + WINDOW], block[:, s + 1 : s + WINDOW + 1, :1]


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    series = stream(16000, rng)
    mean, std = series[:12000].mean(0), series[:12000].std(0)
    series = (series - mean) / std
    train, test = lanes(series[:12000], LANES), lanes(series[12000:], 2)
    net = StreamNet()
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 22)
    for epoch in range(22):
        net.train()
        state, total, count = None, 0.0, 0
        for x, y in windows(train):
            if state is not None:
                state = tuple(s.detach() for s in state)
            pred, state = net(x, state)
            loss = nn.functional.mse_loss(pred, y)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            total, count = total + loss.item(), count + 1
        sched.step()
        print(f"epoch {epoch + 1} mse {total / count:.5f}")
    net.eval()
    with torch.no_grad():
        pred, _ = net(test[:, :-1])
    err = ((pred - test[:, 1:, :1]) ** 2).mean().item()
    naive = ((test[:, :-1, :1] - test[:, 1:, :1]) ** 2).mean().item()
    print(f"test mse {err:.5f} last value {naive:.5f}")
    print(f"skill over last value {1 - err / naive:.4f}")


if __name__ == "__main__":
    main()
