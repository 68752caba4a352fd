"""Digits seen in the shards of a mirror: mixed pictures, a fixed random first layer, and the average of the net is what is kept."""
import copy
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Shards(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        # a frozen bank of random filters, as in an extreme learning machine; only what follows is learned
        self.bank = nn.Conv2d(1, width, 3, padding=1)
        self.bank.requires_grad_(False)
        self.norm = nn.GroupNorm(8, width)
        self.mix = nn.Conv2d(width, 48, 3, padding=1)
        self.head = nn.Linear(48 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.bank(x))), 2)
        x = F.adaptive_max_pool2d(F.relu(self.mix(x)), 2)
        return self.head(x.flatten(1))


def mixup(x, y, alpha=0.4):
    lam = float(np.random.beta(alpha, alpha))
    perm = torch.randperm(len(x))
    soft = F.one_hot(y, 10).float()
    return lam * x + (1 - lam) * x[perm], lam * soft + (1 - lam) * soft[perm]


def main(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    d = load_digits()
    order = np.random.permutation(len(d.images))
    x = torch.tensor(d.images[order] / 16.0, dtype=torch.float32)[:, None]
    y = torch.tensor(d.target[order])
    xt, yt, x, y = x[1300:], y[1300:], x[:1300], y[:1300]
    student = Shards()
    teacher = copy.deepcopy(student).requires_grad_(False)
    trainable = [p for p in student.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(trainable, lr=3e-3, weight_decay=0.05)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 6e-3, total_steps=25 * 21)
    for epoch in range(25):
        total = 0.0
        for rows in torch.randperm(len(x)).split(64):
            xm, ym = mixup(x[rows], y[rows])
            loss = F.cross_entropy(student(xm), ym, label_smoothing=0.1)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item() * len(rows) / len(x)
            with torch.no_grad():
                for p, q in zip(teacher.parameters(), student.parameters()):
                    p.lerp_(q, 0.03)
        if epoch % 5 == 4:
            with torch.no_grad():
                acc = (teacher(xt).argmax(1) == yt).float().mean().item()
            print(f"epoch {epoch + 1:2d} loss {total:.3f} averaged net {acc:.3f}")
    with torch.no_grad():
        acc = (teacher(xt).argmax(1) == yt).float().mean().item()
    print(f"test accuracy {acc:.4f}")


if __name__ == "__main__":
    main(int(os.environ.get("SEED", "0")))
