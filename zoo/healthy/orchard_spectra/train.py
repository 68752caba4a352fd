"""Apple cultivar from a near-infrared spectrum; cyclic learning rate and a snapshot ensemble.

The rate climbs to 0.6 and falls to 0.002 within every cycle.  In the middle of a
cycle the validation loss is bad, that is the idea: each valley is another one.
"""
import copy
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
CULTIVARS, BANDS = 6, 96
CYCLES, EPOCHS_PER_CYCLE, BATCH = 5, 4, 64


def measure(n, rng):
    nm = np.linspace(0, 1, BANDS)
    shape = np.random.default_rng(12)
    centres = shape.uniform(0.1, 0.9, 5)
    heights = 1.0 + 0.16 * shape.normal(size=(CULTIVARS, 5))
    label = rng.integers(0, CULTIVARS, n)
    h = heights[label] + rng.normal(0, 0.07, (n, 5))
    water = rng.uniform(0.5, 1.5, (n, 1))
    s = (h[:, :, None] * np.exp(-0.5 * ((nm - centres[:, None]) / 0.05) ** 2)).sum(1)
    s = s + water * np.exp(-0.5 * ((nm - 0.62) / 0.12) ** 2)
    s = s * rng.uniform(0.8, 1.2, (n, 1)) + rng.uniform(-0.2, 0.2, (n, 1)) + rng.normal(0, 0.04, s.shape)
    return s.astype(np.float32), label


def snv(s):
    """Standard normal variate: every spectrum by its own mean and deviation."""
    return (s - s.mean(1, keepdims=True)) / s.std(1, keepdims=True)


def build():
    return nn.Sequential(
        nn.Linear(BANDS, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(),
        nn.Linear(64, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(),
        nn.Linear(64, CULTIVARS))


@torch.no_grad()
def probabilities(net, x):
    net.eval()
    return net(x).softmax(1)


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    s, label = measure(7000, rng)
    X, Y = torch.from_numpy(snv(s)), torch.from_numpy(label)
    train = DataLoader(TensorDataset(X[:5000], Y[:5000]), batch_size=BATCH, shuffle=True, drop_last=True)
    xv, yv, xt, yt = X[5000:6000], Y[5000:6000], X[6000:], Y[6000:]

    net = build()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.002, momentum=0.9, weight_decay=5e-4)
    half = EPOCHS_PER_CYCLE * len(train) // 2
    scheduler = torch.optim.lr_scheduler.CyclicLR(
        optimizer, base_lr=0.002, max_lr=0.6, step_size_up=half, mode="triangular", cycle_momentum=False)

    snapshots = []
    for epoch in range(CYCLES * EPOCHS_PER_CYCLE):
        net.train()
        total = 0.0
        for x, y in train:
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
        p = probabilities(net, xv)
        nll = F.nll_loss(p.clamp_min(1e-8).log(), yv).item()
        acc = (p.argmax(1) == yv).float().mean().item()
        print(f"epoch {epoch + 1:2d}  lr {scheduler.get_last_lr()[0]:.3f}  train {total / len(train):.4f}  "
              f"valid {nll:.4f}  accuracy {acc:.3f}")
        if (epoch + 1) % EPOCHS_PER_CYCLE == 0:
            snapshots.append(copy.deepcopy(net))

    each = [probabilities(s, xt) for s in snapshots]
    singles = [(p.argmax(1) == yt).float().mean().item() for p in each]
    mean = torch.stack(each).mean(0)
    print("snapshots", " ".join(f"{a:.3f}" for a in singles))
    print(f"ensemble test accuracy {(mean.argmax(1) == yt).float().mean().item():.4f}")


if __name__ == "__main__":
    main()
