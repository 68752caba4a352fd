# carved runes, small conv net trained with 4-bit activations (for a microcontroller)
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
np.random.seed(2)

S, K = 16, 10
# every rune: a few strokes on a 3 x 3 grid of anchor points
RUNES = [[(0, 6), (1, 5)], [(0, 6), (0, 4), (4, 6)], [(2, 8), (2, 4)], [(0, 8), (2, 6)], [(1, 7), (3, 5)],
         [(0, 6), (2, 8), (0, 8)], [(1, 7), (1, 3), (1, 5)], [(0, 2), (2, 6)], [(1, 7), (6, 8)], [(0, 4), (2, 4), (4, 7)]]
GRID = [(r, c) for r in (3, 7.5, 12) for c in (3, 7.5, 12)]
yy, xx = np.mgrid[:S, :S]


def stroke(p, q):
    p, q = np.array(p), np.array(q)
    d = q - p
    t = np.clip(((yy - p[0]) * d[0] + (xx - p[1]) * d[1]) / (d @ d + 1e-6), 0, 1)
    dist2 = (yy - p[0] - t * d[0]) ** 2 + (xx - p[1] - t * d[1]) ** 2
    return np.exp(-dist2 / 1.2)


def carve(k):
    off = np.random.uniform(-2, 2, 2)
    pts = [np.array(g) + off + np.random.randn(2) * 0.6 for g in GRID]
    img = np.max([stroke(pts[a], pts[b]) for a, b in RUNES[k]], 0)
    sign = np.random.choice([-1, 1])          # light from the left or from the right
    return sign * img + 0.35 * np.random.randn(S, S)


def dataset(n):
    y = np.random.randint(0, K, n)
    x = np.stack([carve(k) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


xtr, ytr = dataset(3000)
xte, yte = dataset(800)
m, s = xtr.mean(), xtr.std()
xtr, xte = (xtr - m) / s, (xte - m) / s

net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(24 * 4, K))


def quantize(bits=4, top=4.0):
    levels = 2 ** bits - 1

    def hook(module, inputs, out):
        # straight-through: rounded values forward, plain gradient backward
        c = out.clamp(0, top)
        q = torch.round(c / top * levels) / levels * top
        return c + (q - c).detach()
    return hook


handles = [mod.register_forward_hook(quantize()) for mod in net if isinstance(mod, nn.ReLU)]
opt = torch.optim.Adam(net.parameters(), lr=2e-3)


def accuracy(x, y):
    net.eval()
    with torch.no_grad():
        a = (net(x).argmax(1) == y).float().mean().item()
    net.train()
    return a


for ep in range(1, 11):
    tot = 0.0
    for b in torch.randperm(len(xtr)).split(50):
        loss = F.cross_entropy(net(xtr[b]), ytr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    print(f"epoch {ep:2d}  loss {tot / len(xtr):.4f}  test {accuracy(xte, yte):.3f}")

print(f"hooks {len(handles)}")
print(f"test accuracy {accuracy(xte, yte):.4f}")
