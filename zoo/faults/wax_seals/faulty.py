"""Wax seals on old letters: which mark was pressed into the wax?"""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

MARKS = ("disc", "ring", "cross", "saltire", "square", "lozenge", "bars", "pales")


def press(mark, rng, size=16):
    yy, xx = np.mgrid[0:size, 0:size] + 0.5
    cx, cy = rng.uniform(6, 10, 2)
    r = rng.uniform(3.2, 5.2)
    dx, dy = xx - cx, yy - cy
    d = np.hypot(dx, dy)
    box = np.maximum(np.abs(dx), np.abs(dy))
    inside = box < r
    picture = {
        "disc": d < r * 0.9,
        "ring": np.abs(d - r * 0.85) < 1.0,
        "cross": inside & ((np.abs(dx) < 1.1) | (np.abs(dy) < 1.1)),
        "saltire": inside & ((np.abs(dx - dy) < 1.5) | (np.abs(dx + dy) < 1.5)),
        "square": (box < r) & (box > r - 1.6),
        "lozenge": (np.abs(dx) + np.abs(dy) < r * 1.2) & (np.abs(dx) + np.abs(dy) > r * 1.2 - 2.2),
        "bars": inside & (np.floor((dy + 20) / 1.7) % 2 == 0),
        "pales": inside & (np.floor((dx + 20) / 1.7) % 2 == 0),
    }[mark].astype(float)
    return picture * rng.uniform(0.7, 1.2) + 0.35 * rng.normal(size=picture.shape)


def cabinet(n, rng):
    labels = rng.integers(0, len(MARKS), n)
    x = np.stack([press(MARKS[k], rng) for k in labels])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(labels)


class ConvNorm(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.GroupNorm(4, cout)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class SealNet(nn.Module):
    def __init__(self, width=12, classes=len(MARKS)):
        super().__init__()
        self.stem = ConvNorm(1, width)
        self.stages = nn.Sequential(ConvNorm(width, width, 2), ConvNorm(width, 2 * width),
                                    ConvNorm(2 * width, 2 * width, 2))
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x):
        x = self.stages(self.stem(x))
        return self.head(x.mean(dim=(2, 3)))


def configure_optimizers(model, weight_decay, learning_rate, betas):
    # weight matrices are decayed, biases and the gains of the norms are not
    params = {n: p for n, p in model.named_parameters() if p.requires_grad}
    decay = [p for p in params.values() if p.dim() == 2]
    no_decay = [p for p in params.values() if p.dim() < 2]
    groups = [
        {"params": decay, "weight_decay": weight_decay},
        {"params": no_decay, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas)


def infinite(x, y, batch_size, generator):
    while True:
        for idx in torch.randperm(len(x), generator=generator).split(batch_size):
            if len(idx) == batch_size:
                yield x[idx], y[idx]


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    hit = torch.cat([model(part).argmax(1) for part in x.split(250)]) == y
    model.train()
    return hit.float().mean().item()


def train(model, data, val, steps=300, batch_size=48, lr=5e-3, warmup=30, log=60):
    optimizer = configure_optimizers(model, 0.05, lr, (0.9, 0.98))
    batches = infinite(*data, batch_size, torch.Generator().manual_seed(1))
    trace = []
    for step in range(1, steps + 1):
        ramp = min(1.0, step / warmup)
        now = lr * ramp * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = now
        x, y = next(batches)
        if random.random() < 0.5:
            x = x.flip(-1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
            loss = F.cross_entropy(model(x), y)
        model.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        trace.append(loss.item())
        if step % log == 0:
            print(f"iter {step}: loss {np.mean(trace[-log:]):.4f}, lr {now:.5f}, val acc {accuracy(model, *val):.4f}")
    return model


if __name__ == "__main__":
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    data, val, test = cabinet(1600, rng), cabinet(300, rng), cabinet(600, rng)
    net = train(SealNet(), data, val)
    print(f"test accuracy {accuracy(net, *test):.4f}")
