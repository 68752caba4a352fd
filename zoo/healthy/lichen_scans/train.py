"""
Lichens: a net trained on clean drawings is tuned to twenty scans of each kind.
The normalisation keeps the statistics of the big set: so few pictures at a time would only spoil them.
"""
import copy
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)
rng = np.random.default_rng(seed)
KINDS = 5


def lichen(kind, scan=False):
    yy, xx = np.mgrid[0:18, 0:18] - 8.5
    yy, xx = yy - rng.uniform(-2, 2), xx - rng.uniform(-2, 2)
    r, a = np.hypot(yy, xx), np.arctan2(yy, xx) + rng.uniform(0, 6.28)
    if kind == 0:
        img = (r < 5)
    elif kind == 1:
        img = np.abs(r - 5) < 1.2
    elif kind == 2:
        img = r < 4 + 2.5 * np.cos(3 * a)
    elif kind == 3:
        img = (r < 6) & (np.sin(5 * a) > 0)
    else:
        img = (np.abs(yy * np.cos(a[0, 0]) + xx * np.sin(a[0, 0])) < 1.5) & (r < 7)
    img = img.astype(np.float32)
    if scan:        # darker, flatter, dirty glass
        img = 0.3 + 0.4 * img + 0.2 * np.linspace(0, 1, 18)[None] * rng.uniform(0.3, 1)
        return img + rng.normal(0, 0.11, img.shape)
    return img + rng.normal(0, 0.1, img.shape)


def collect(per_kind, scan=False):
    y = np.repeat(np.arange(KINDS), per_kind)
    x = np.stack([lichen(k, scan) for k in y])
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))


class LichenNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(block(1, 16), block(16, 32))
        self.head = nn.Linear(32 * 16, KINDS)

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


@torch.no_grad()
def accuracy(net, x, y):
    was = net.training
    net.eval()
    acc = (net(x).argmax(1) == y).float().mean().item()
    net.train(was)
    return acc


net = LichenNet()
x, y = collect(200)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(7):
    net.train()
    for idx in torch.randperm(len(x)).split(50):
        loss = F.cross_entropy(net(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"drawings, epoch {epoch + 1}: loss {loss.item():.4f}")

few_x, few_y = collect(20, scan=True)
test_x, test_y = collect(120, scan=True)
print(f"scans before the tuning: {accuracy(net, test_x, test_y):.4f}")

# tune all weights, gently, with the normalisation as it is: the whole net stays in eval mode
tuned = copy.deepcopy(net).eval()
opt = torch.optim.SGD([
    {"params": tuned.body.parameters(), "lr": 2e-3},
    {"params": tuned.head.parameters(), "lr": 1e-2},
], momentum=0.9)
for epoch in range(25):
    total = 0.0
    for idx in torch.randperm(len(few_x)).split(6):
        loss = F.cross_entropy(tuned(few_x[idx]), few_y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    if epoch % 5 == 4:
        print(f"scans, epoch {epoch + 1}: loss {total / len(few_x):.4f} accuracy {accuracy(tuned, test_x, test_y):.4f}")
print(f"final accuracy on scans {accuracy(tuned, test_x, test_y):.4f}")
