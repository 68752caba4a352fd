# Scrawled digits, trained on blends of two pictures and of their labels.
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

digits = load_digits()
images = torch.tensor(digits.images / 16.0, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
order = torch.randperm(len(labels))
train_idx, test_idx = order[:1300], order[1300:]
mean, std = images[train_idx].mean(), images[train_idx].std()
images = (images - mean) / std

net = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.4), nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.4), nn.Linear(64, 10),
)
epochs, batch = 26, 50
optimizer = torch.optim.SGD(net.parameters(), lr=0.08, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.08, total_steps=epochs * (len(train_idx) // batch))
blend = torch.distributions.Beta(1.0, 1.0)


def soft_labels(y, smoothing=0.1):
    return F.one_hot(y, 10).float() * (1 - smoothing) + smoothing / 10


def test_accuracy():
    net.eval()
    with torch.no_grad():
        hits = (net(images[test_idx]).argmax(1) == labels[test_idx]).float().mean().item()
    net.train()
    return hits


for epoch in range(epochs):
    net.train()
    total, hits, seen = 0.0, 0, 0
    for idx in train_idx[torch.randperm(len(train_idx))].split(batch):
        x, y = images[idx], soft_labels(labels[idx])
        lam = blend.sample()
        other = torch.randperm(len(idx))
        x = lam * x + (1 - lam) * x[other]
        y = lam * y + (1 - lam) * y[other]
        out = net(x)
        loss = -(y * F.log_softmax(out, dim=1)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(idx)
        hits += (out.argmax(1) == labels[idx]).sum().item()
        seen += len(idx)
    if epoch % 5 == 0 or epoch == epochs - 1:
        print(f"epoch {epoch:2d}  loss {total / seen:.3f}  train accuracy {hits / seen:.3f}  test accuracy {test_accuracy():.3f}")

print(f"test accuracy {test_accuracy():.4f}")
