"""Thimble makers' marks.  Learn strokes on common marks, then three rare ones from ten pictures each."""
import copy
import os

import torch
import torch.nn.functional as F
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
SIZE = 14
grid = torch.stack(torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij"), -1).float()


def draw(kind):
    cy, cx = (SIZE / 2 - 0.5 + torch.rand(2) * 3 - 1.5).tolist()
    r = 3.0 + torch.rand(()).item() * 2
    y, x = grid[..., 0] - cy, grid[..., 1] - cx
    d = (y ** 2 + x ** 2).sqrt()
    inside = (d < r + 0.5)
    shapes = [
        (d - r).abs() < 0.8,                                            # ring
        ((x.abs() - r).abs() < 0.7) & (y.abs() < r) | ((y.abs() - r).abs() < 0.7) & (x.abs() < r + .7),   # square
        ((x.abs() < 0.8) | (y.abs() < 0.8)) & inside,                   # plus
        ((x - y).abs() < 1.0) & inside,                                 # stroke down
        (((x - y).abs() < 1.0) | ((x + y).abs() < 1.0)) & inside,       # cross
        ((y.abs() - r / 2).abs() < 0.8) & (x.abs() < r),                # two bars
        ((x.abs() + y.abs()) - r).abs() < 0.9,                          # diamond
    ]
    return shapes[kind].float() + 0.35 * torch.randn(SIZE, SIZE)


def make(kinds, n):
    y = torch.randint(0, len(kinds), (n,))
    x = torch.stack([draw(kinds[k]) for k in y.tolist()]).unsqueeze(1)
    return x, y


def backbone():
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten())


class Classifier(nn.Module):
    def __init__(self, body, classes):
        super().__init__()
        self.body = body
        self.head = nn.Linear(32 * 9, classes)

    def forward(self, x):
        return self.head(self.body(x))


def fit(model, params, x, y, epochs, lr, batch, frozen=False):
    opt = torch.optim.AdamW(params, lr=lr, weight_decay=1e-2)
    for _ in range(epochs):
        model.train()
        if frozen:
            model.body.eval()
        for idx in torch.randperm(len(x)).split(batch):
            opt.zero_grad()
            loss = F.cross_entropy(model(x[idx]), y[idx])
            loss.backward()
            opt.step()
    return loss.item()


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


common, rare = [0, 1, 2, 3], [4, 5, 6]
xa, ya = make(common, 2400)
xb, yb = make(common, 500)
first = Classifier(backbone(), 4)
fit(first, first.parameters(), xa, ya, epochs=5, lr=2e-3, batch=32)
print(f"common marks: test accuracy {accuracy(first, xb, yb):.3f}")

xs = torch.stack([draw(k) for k in rare for _ in range(10)]).unsqueeze(1)
ys = torch.arange(3).repeat_interleave(10)
xt, yt = make(rare, 900)

moved = Classifier(copy.deepcopy(first.body), 3)
for p in moved.body.parameters():
    p.requires_grad_(False)
fit(moved, moved.head.parameters(), xs, ys, epochs=60, lr=2e-3, batch=10, frozen=True)

scratch = Classifier(backbone(), 3)
fit(scratch, scratch.parameters(), xs, ys, epochs=60, lr=2e-3, batch=10)
print(f"rare marks, ten each: from scratch {accuracy(scratch, xt, yt):.3f}  transferred {accuracy(moved, xt, yt):.3f}")
