"""Representation of stamped digits from pairs of views, without labels and without negatives (BYOL)."""
import copy
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

SEED = int(os.environ.get("SEED", "0"))


def view(x):
    """Shift by up to one pixel, change the contrast, hide a small patch, add noise."""
    n = len(x)
    out = F.pad(x, (1, 1, 1, 1))
    dy, dx = random.randint(0, 2), random.randint(0, 2)
    out = out[:, :, dy:dy + 8, dx:dx + 8].clone()
    out = out * (0.7 + 0.6 * torch.rand(n, 1, 1, 1))
    r, c = random.randint(0, 6), random.randint(0, 6)
    out[:, :, r:r + 2, c:c + 2] = 0
    return out + 0.1 * torch.randn_like(out)


def mlp(n_in, hidden, n_out):
    return nn.Sequential(nn.Linear(n_in, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, n_out))


class Branch(nn.Module):
    def __init__(self, width=48, proj=24):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, width),
        )
        self.projector = mlp(width, 64, proj)

    def forward(self, x):
        return self.projector(self.encoder(x))


class BYOL(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = Branch()
        self.predictor = mlp(24, 64, 24)
        self.target = copy.deepcopy(self.online)
        for p in self.target.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def follow(self, tau):
        for t, o in zip(self.target.parameters(), self.online.parameters()):
            t.mul_(tau).add_(o, alpha=1 - tau)

    def forward(self, a, b):
        pa, pb = self.predictor(self.online(a)), self.predictor(self.online(b))
        with torch.no_grad():
            ta, tb = self.target(a), self.target(b)
        return 2 - F.cosine_similarity(pa, tb).mean() - F.cosine_similarity(pb, ta).mean()


@torch.no_grad()
def features(model, x):
    model.eval()
    f = model.online.encoder(x).numpy()
    model.train()
    return f


def probe(model, train, test):
    # a linear classifier on 60 labelled coins shows what the features are worth
    clf = LogisticRegression(max_iter=500).fit(features(model, train[0][:60]), train[1][:60])
    return clf.score(features(model, test[0]), test[1])


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    x, y = load_digits(return_X_y=True)
    x = (x / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    xtr, xte, ytr, yte = train_test_split(x, y, test_size=0.3, stratify=y, random_state=SEED)
    xtr, xte = torch.from_numpy(xtr), torch.from_numpy(xte)
    model = BYOL()
    learned = list(model.online.parameters()) + list(model.predictor.parameters())
    optimizer = torch.optim.AdamW(learned, lr=2e-3, weight_decay=1e-4)
    epochs = 22
    print(f"probe of the untrained encoder {probe(model, (xtr, ytr), (xte, yte)):.4f}")
    for epoch in range(epochs):
        total, n = 0.0, 0
        tau = 1 - 0.04 * (math.cos(math.pi * epoch / epochs) + 1) / 2
        for idx in torch.randperm(len(xtr)).split(128)[:-1]:
            loss = model(view(xtr[idx]), view(xtr[idx]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.follow(tau)
            total, n = total + loss.item(), n + 1
        if epoch % 5 == 4:
            spread = F.normalize(torch.from_numpy(features(model, xte)), dim=1).std(0).mean()
            print(f"epoch {epoch + 1:2d}  loss {total / n:.4f}  spread of features {spread:.3f}  tau {tau:.3f}")
    print(f"probe accuracy {probe(model, (xtr, ytr), (xte, yte)):.4f}")


if __name__ == "__main__":
    main()
