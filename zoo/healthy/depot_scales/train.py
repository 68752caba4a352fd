"""Scales in a goods depot: from 14 readings of a weighing, tell ok / drift / stuck / jitter."""
import logging
import os
import sys
import tempfile

import numpy as np
import torch
import torch.nn as nn

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("scales")

SEED = int(os.environ.get("SEED", "0"))
KINDS = ["ok", "drift", "stuck", "jitter"]


def weighings(n, rng):
    kind = rng.integers(0, 4, n)
    t = np.linspace(0, 1, 14)
    load = rng.uniform(0.5, 2.0, (n, 1))
    base = load * (1 - np.exp(-t * rng.uniform(4, 9, (n, 1))))
    noise = rng.normal(0, 0.06, (n, 14))
    drift = (kind == 1)[:, None] * t * rng.choice([-1, 1], (n, 1)) * rng.uniform(0.15, 0.5, (n, 1))
    jitter = (kind == 3)[:, None] * rng.normal(0, 1, (n, 14)) * rng.uniform(0.08, 0.25, (n, 1))
    x = base + noise + drift + jitter
    for i in np.where(kind == 2)[0]:
        s = rng.integers(5, 11)
        x[i, s:] = x[i, s] + rng.normal(0, 0.01, 14 - s)
    return x.astype(np.float32), kind


def features(x):
    d = np.diff(x, axis=1)
    return np.concatenate([x, np.abs(d) * 3], axis=1)


class Net(nn.Module):
    def __init__(self, width=64, p=0.1):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(27, width), nn.Linear(width, width)])
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.drop = nn.Dropout(p)
        self.out = nn.Linear(width, 4)

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms):
            x = self.drop(torch.relu(norm(layer(x))))
        return self.out(x)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    x, y = weighings(4200, rng)
    x = features(x)
    mean, std = x[:3000].mean(0), x[:3000].std(0)
    x, y = torch.from_numpy((x - mean) / std).float(), torch.from_numpy(y)
    parts = {"train": slice(0, 3000), "valid": slice(3000, 3500), "test": slice(3500, 4200)}
    net = Net()
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    epochs = 16
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda e: (1 - e / epochs))
    loss_fn = nn.CrossEntropyLoss()
    best = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "best.pt")
        for epoch in range(epochs):
            net.train()
            total = 0.0
            for idx in torch.randperm(3000).split(8):
                opt.zero_grad()
                loss = loss_fn(net(x[idx]), y[idx])
                loss.backward()
                opt.step()
                total += loss.item() * len(idx)
            sched.step()
            acc = accuracy(net, x[parts["valid"]], y[parts["valid"]])
            if acc > best:
                best = acc
                torch.save(net.state_dict(), path)
            log.info("epoch %d loss %.4f valid %.3f", epoch, total / 3000, acc)
        net.load_state_dict(torch.load(path))
    log.info("test accuracy %.3f", accuracy(net, x[parts["test"]], y[parts["test"]]))


if __name__ == "__main__":
    main()
