"""Knock on it: which material? Audio lab project, signals synthesised from our recordings."""
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage, signal
from torch import nn

MATERIALS = {"wood": 0.055, "glass": 0.085, "steel": 0.12, "plastic": 0.155, "tile": 0.19}  # ring frequency / rate
LENGTH = 160


def knock(rng, freq):
    n = np.arange(LENGTH)
    start = rng.integers(5, 50)
    t = np.clip(n - start, 0, None)
    ring = np.sin(2 * np.pi * freq * (1 + 0.05 * rng.standard_normal()) * t + rng.uniform(0, 6.28))
    ring *= np.exp(-t / rng.uniform(20, 45)) * (n >= start)
    hum = signal.sawtooth(2 * np.pi * 0.02 * n + rng.uniform(0, 6.28))
    hiss = ndimage.gaussian_filter1d(rng.standard_normal(LENGTH), 0.7)
    return ring + 0.3 * hum + 0.35 * hiss


def collect(count, rng):
    freqs = list(MATERIALS.values())
    y = rng.integers(0, len(freqs), count)
    x = np.stack([knock(rng, freqs[k]) for k in y])
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)


def envelope(h, width=9):
    """Running maximum of every channel, as in the lecture on envelopes."""
    return F.max_pool1d(h, width, stride=1, padding=width // 2)


class KnockNet(nn.Module):
    def __init__(self, filters=4, kernel=25):
        super().__init__()
        self.bank = nn.Conv1d(1, filters, kernel, padding=kernel // 2)
        self.classifier = nn.Linear(filters * 8, len(MATERIALS))

    def forward(self, x):
        h = F.relu(self.bank(x))
        h = envelope(h)
        h = F.adaptive_avg_pool1d(h, 8)
        return self.classifier(h.flatten(1))


def main():
    torch.manual_seed(8)
    rng = np.random.default_rng(8)
    x, y = collect(1800, rng)
    x_test, y_test = collect(500, rng)
    net = KnockNet()
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    step = 0
    for epoch in range(10):
        net.train()
        order = torch.randperm(len(x))
        for k in range(0, len(x), 60):
            pick = order[k:k + 60]
            loss = F.cross_entropy(net(x[pick]), y[pick])
            opt.zero_grad()
            loss.backward()
            opt.step()
            step += 1
            if step % 60 == 0:
                print(f"step {step} loss {loss.item():.3f}")
    net.eval()
    with torch.no_grad():
        acc = (net(x_test).argmax(1) == y_test).float().mean()
    print(f"test accuracy {acc:.3f}")


if __name__ == "__main__":
    main()
