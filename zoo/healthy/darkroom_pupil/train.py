"""BYOL on unlabelled 8x8 prints; then a linear probe with ten labels a class, against an untrained encoder."""
import copy
import os

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

SEED = int(os.environ.get("SEED", "0"))


def views(x):
    """A random small rotation, scaling and shift, then contrast and noise."""
    n = len(x)
    angle = (torch.rand(n) - 0.5) * 0.7
    scale = 0.85 + 0.35 * torch.rand(n)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    move = (torch.rand(n, 2) - 0.5) * 0.5
    theta = torch.stack([torch.stack([cos, -sin, move[:, 0]], 1), torch.stack([sin, cos, move[:, 1]], 1)], 1)
    out = F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False)
    return out * (0.7 + 0.6 * torch.rand(n, 1, 1, 1)) + 0.1 * torch.randn_like(out)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
                                  nn.MaxPool2d(2), nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(),
                                  nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48 * 4, 96))

    def forward(self, x):
        return self.conv(x)


def head(i, o, h=128):
    return nn.Sequential(nn.Linear(i, h), nn.BatchNorm1d(h), nn.ReLU(), nn.Linear(h, o))


class Byol(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = nn.Sequential(Encoder(), head(96, 48))
        self.target = copy.deepcopy(self.online)
        for p in self.target.parameters():
            p.requires_grad = False
        self.predictor = head(48, 48)

    def loss(self, x):
        a, b = views(x), views(x)
        pa, pb = self.predictor(self.online(a)), self.predictor(self.online(b))
        with torch.no_grad():
            ta, tb = self.target(a), self.target(b)
        return 2 - F.cosine_similarity(pa, tb).mean() - F.cosine_similarity(pb, ta).mean()

    @torch.no_grad()
    def move_target(self, decay):
        for t, o in zip(self.target.parameters(), self.online.parameters()):
            t.data.mul_(decay).add_(o.data, alpha=1 - decay)


def probe(encoder, xl, yl, xt, yt):
    encoder.eval()
    with torch.no_grad():
        a, b = encoder(xl).numpy(), encoder(xt).numpy()
    mean, std = a.mean(0), a.std(0) + 1e-6
    return LogisticRegression(C=0.1, max_iter=500).fit((a - mean) / std, yl).score((b - mean) / std, yt)


def main():
    torch.manual_seed(SEED)
    x, y = load_digits(return_X_y=True)
    order = np.random.RandomState(SEED).permutation(len(x))
    x = torch.tensor(x[order] / 16.0, dtype=torch.float32).view(-1, 1, 8, 8)
    y = y[order]
    xtr, ytr, xte, yte = x[:1300], y[:1300], x[1300:], y[1300:]
    few = np.concatenate([np.where(ytr == c)[0][:10] for c in range(10)])

    model = Byol()
    before = probe(copy.deepcopy(model.online[0]), xtr[few], ytr[few], xte, yte)
    opt = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3, weight_decay=1e-4)
    epochs = 28
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        model.train()
        total, batches = 0.0, torch.randperm(len(xtr))[:1280].split(128)
        for idx in batches:
            loss = model.loss(xtr[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            model.move_target(0.98)
            total += loss.item()
        sched.step()
        if epoch % 7 == 6:
            with torch.no_grad():
                spread = F.normalize(model.online(xtr[:300]), dim=1).std(0).mean().item()
            print(f"epoch {epoch + 1} loss {total / len(batches):.4f} spread {spread:.3f}")
    after = probe(model.online[0], xtr[few], ytr[few], xte, yte)
    print(f"linear probe, ten labels a class: untrained encoder {before:.3f}  BYOL {after:.3f}")


main()
