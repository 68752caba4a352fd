"""Lottery balls: numbers printed somewhere on a 12x12 picture, a small conv net trained with warmup + cosine."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(3)
np.random.seed(3)

EPOCHS, BATCH, BASE_LR, WARMUP = 25, 64, 0.1, 120


def on_canvas(images, size=12):
    out = np.zeros((len(images), size, size), dtype=np.float32)
    for k, img in enumerate(images):
        r, c = np.random.randint(0, size - 8 + 1, 2)
        out[k, r:r + 8, c:c + 8] = img / 16.0
    return out + 0.08 * np.random.randn(*out.shape).astype(np.float32)


def load():
    digits = load_digits()
    xtr, xte, ytr, yte = train_test_split(digits.images, digits.target, test_size=0.25,
                                          stratify=digits.target, random_state=3)
    xtr, xte = (torch.from_numpy(on_canvas(v)).unsqueeze(1) for v in (xtr, xte))
    mean, std = xtr.mean(), xtr.std()
    return (xtr - mean) / std, torch.from_numpy(ytr), (xte - mean) / std, torch.from_numpy(yte)


class BallNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.c1 = nn.Conv2d(1, width, 3, padding=1)
        self.c2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.c3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.head = nn.Linear(2 * width * 9, 10)
        for conv in (self.c1, self.c2, self.c3):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.relu(self.c3(x))
        return self.head(x.flatten(1))


def warmup_cosine(opt, base, warmup, total):
    def set_lr(step):
        if step < warmup:
            lr = base * (step + 1) / warmup
        else:
            lr = 0.5 * base * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
        for group in opt.param_groups:
            group["lr"] = lr
    return set_lr


def make_epoch(model, opt, set_lr, x, y):
    n_batches = math.ceil(len(x) / BATCH)

    def run(epoch):
        model.train()
        total = 0.0
        for i, idx in enumerate(torch.randperm(len(x)).split(BATCH)):
            set_lr(epoch * n_batches + i)

            def closure():
                opt.zero_grad()
                loss = F.cross_entropy(model(x[idx]), y[idx])
                loss.backward()
                return loss

            total += opt.step(closure).item()
        return total / n_batches
    return run


def make_test(model, x, y):
    @torch.no_grad()
    def test():
        model.eval()
        return (model(x).argmax(1) == y).float().mean().item()
    return test


xtr, ytr, xte, yte = load()
model = BallNet()
opt = torch.optim.SGD(model.parameters(), lr=BASE_LR)
set_lr = warmup_cosine(opt, BASE_LR, WARMUP, EPOCHS * math.ceil(len(xtr) / BATCH))
epoch_fn, test = make_epoch(model, opt, set_lr, xtr, ytr), make_test(model, xte, yte)

for epoch in range(EPOCHS):
    loss = epoch_fn(epoch)
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1:2d}  train loss {loss:.4f}")
print(f"test accuracy {test():.4f}")
