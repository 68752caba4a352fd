"""Page numbers on old microfilm: first learn from a cheap label (which half holds more ink), then fine-tune on few numbers."""
import os
import random

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


class Film(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, 24), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(24, 2)

    def forward(self, x):
        return self.head(self.backbone(x))


def freeze(module):
    for p in module.parameters():
        p.requires_grad = False


def unfreeze(module):
    for p in module.parameters():
        p.requires_grad = True


def batches(n, size):
    return torch.randperm(n).split(size)


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


digits = load_digits()
perm = np.random.permutation(len(digits.target))
images = torch.tensor(digits.images[perm] / 16, dtype=torch.float32).unsqueeze(1)
numbers = torch.tensor(digits.target[perm])
half = (images[:, 0, :4].sum((1, 2)) > images[:, 0, 4:].sum((1, 2))).long()

model = Film()

# stage 1: the cheap label
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    model.train()
    for idx in batches(1000, 50):
        loss = F.cross_entropy(model(images[idx]), half[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"[stage 1] epoch {epoch} loss {loss.item():.4f}")

# stage 2: a new head on the frozen backbone, then everything together
x_few, y_few = images[1000:1400], numbers[1000:1400]
x_test, y_test = images[1400:], numbers[1400:]
model.head = nn.Linear(24, 10)
freeze(model.backbone)
opt = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=3e-3)
UNFREEZE_AT = 10
best = 0.0
for epoch in range(50):
    if epoch == UNFREEZE_AT:
        unfreeze(model.backbone)
        opt.add_param_group({"params": model.backbone.parameters()})
        print("[stage 2] backbone is trained from here on")
    model.train()
    total = 0.0
    for idx in batches(len(x_few), 32):
        loss = F.cross_entropy(model(x_few[idx]), y_few[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    if epoch % 5 == 4:
        acc = accuracy(model, x_test, y_test)
        best = max(best, acc)
        print(f"[stage 2] epoch {epoch + 1} loss {total / len(x_few):.4f} accuracy {acc:.4f}")
print(f"best {best:.4f}")
print(f"final accuracy {accuracy(model, x_test, y_test):.4f}")
