# count the pips on photographed domino halves (0 .. 6)
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)
np.random.seed(9)

S = 16
SPOTS = {0: [], 1: [(8, 8)], 2: [(4, 4), (12, 12)], 3: [(4, 4), (8, 8), (12, 12)],
         4: [(4, 4), (4, 12), (12, 4), (12, 12)], 5: [(4, 4), (4, 12), (8, 8), (12, 4), (12, 12)],
         6: [(4, 4), (4, 8), (4, 12), (12, 4), (12, 8), (12, 12)]}


def domino(k):
    yy, xx = np.mgrid[:S, :S]
    img = np.zeros((S, S))
    shift = np.random.uniform(-1.5, 1.5, 2)
    zoom = np.random.uniform(0.8, 1.1)
    turn = np.random.rand() < 0.5
    for r, c in SPOTS[k]:
        if turn:
            r, c = c, r
        cy, cx = (np.array([r, c]) - 8) * zoom + 7.5 + shift + np.random.randn(2) * 0.3
        img += np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / (2 * 1.1 ** 2))
    light = np.random.uniform(0.5, 1.0)
    grain = np.random.randn(S, S) * 0.22
    return light * img + 0.3 * np.random.randn() * (xx - 8) / 8 + grain


def make(n):
    y = np.random.randint(0, 7, n)
    x = np.stack([domino(k) for k in y])
    return x[:, None].astype(np.float32), y


def load():
    xtr, ytr = make(3000)
    xte, yte = make(800)
    m, s = xtr.mean(), xtr.std()
    return [torch.tensor(a) for a in ((xtr - m) / s, ytr, (xte - m) / s, yte)]


def block(i, o, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o, 0.9), nn.ReLU())


def build():
    return nn.Sequential(block(1, 12), block(12, 12), block(12, 12),
                         block(12, 24, 2), block(24, 24), block(24, 24),
                         block(24, 32, 2), block(32, 32), block(32, 32),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 7))


def fit(net, x, y, xv, yv, epochs=8, bs=64):
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    per = len(x) // bs
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=epochs * per)
    for ep in range(epochs):
        net.train()
        order = torch.randperm(len(x))
        tot = 0.0
        for k in range(per):
            b = order[k * bs:(k + 1) * bs]
            loss = F.cross_entropy(net(x[b]), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            tot += loss.item()
        print(f"epoch {ep + 1}  loss {tot / per:.4f}  test {accuracy(net, xv, yv):.3f}")


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


xtr, ytr, xte, yte = load()
net = build()
fit(net, xtr, ytr, xte, yte)
print(f"test accuracy {accuracy(net, xte, yte):.4f}")
