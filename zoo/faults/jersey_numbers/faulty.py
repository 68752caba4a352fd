"""
Numbers on jerseys. We have many pictures of 0-5 from last season and only a handful of 6-9 from this one:
train the encoder on the old ones, save it, load it into the new classifier and train a new head.
"""
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def encoder():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 2 * 2, 48), nn.ReLU(),
        nn.Linear(48, 32), nn.ReLU(),
    )


class OldSeason(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = encoder()
        self.head = nn.Linear(32, 6)

    def forward(self, x):
        return self.head(self.backbone(x))


class NewSeason(nn.Module):
    def __init__(self, n_classes=4):
        super().__init__()
        self.encoder = encoder()
        self.fc = nn.Linear(32, n_classes)

    def forward(self, x):
        return self.fc(self.encoder(x))


def train(model, params, x, y, epochs, lr, batch=32):
    opt = torch.optim.Adam(params, lr=lr)
    for epoch in range(epochs):
        model.train()
        losses = []
        for idx in torch.randperm(len(x)).split(batch):
            loss = nn.functional.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        if (epoch + 1) % max(1, epochs // 5) == 0:
            print(f"   epoch {epoch + 1}: {np.mean(losses):.4f}")


@torch.no_grad()
def score(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
target = torch.tensor(digits.target)
old = target < 6
x_old, y_old = images[old], target[old]

# this season: 10 shirts of each new number to learn from, the rest for the test
few, rest = [], []
for c in range(6, 10):
    where = torch.where(target == c)[0]
    where = where[torch.randperm(len(where))]
    few.append(where[:10])
    rest.append(where[10:])
few, rest = torch.cat(few), torch.cat(rest)

print("last season")
pretrained = OldSeason()
train(pretrained, pretrained.parameters(), x_old, y_old, epochs=8, lr=2e-3)
print("  accuracy on the old numbers", round(score(pretrained, x_old, y_old), 4))

path = os.path.join(tempfile.mkdtemp(), "jersey_backbone.pt")
torch.save(pretrained.state_dict(), path)

print("this season")
model = NewSeason()
checkpoint = torch.load(path)
# the old head has another size and is left out
state = {k: v for k, v in checkpoint.items() if not k.startswith("head.")}
model.load_state_dict(state, strict=False)
for p in model.encoder.parameters():
    p.requires_grad = False

train(model, model.fc.parameters(), images[few], target[few] - 6, epochs=60, lr=1e-2, batch=20)
print(f"accuracy on the new numbers {score(model, images[rest], target[rest] - 6):.4f}")
