# conditional GAN that makes up finch measurements for a given species
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier

torch.manual_seed(12)
np.random.seed(12)

K, D, Z = 5, 4, 8
COLS = ["beak length", "beak depth", "wing", "mass"]


def finches(n):
    means = np.array([[11, 8, 66, 14], [14, 9, 70, 20], [17, 16, 84, 33], [9, 7, 58, 10], [20, 10, 76, 26]], float)
    sp = np.random.randint(0, K, n)
    size = np.random.randn(n, 1)
    x = means[sp] + size * np.array([0.5, 0.4, 1.8, 1.2]) + np.random.randn(n, D) * np.array([0.4, 0.4, 1.2, 0.8])
    return x, sp


def standardize(x, ref):
    return (x - ref.mean(0)) / ref.std(0)


def grab(a, n):
    """n random rows"""
    return a[np.random.randint(0, len(a), n)]


def tensors(x, y):
    return torch.tensor(x, dtype=torch.float32), F.one_hot(torch.tensor(y), K).float()


def make_g():
    return nn.Sequential(nn.Linear(Z + K, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, D))


def make_d():
    return nn.Sequential(nn.Linear(D + K, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2),
                         nn.Linear(64, 1))


def generate(g, c):
    return g(torch.cat([torch.randn(len(c), Z), c], 1))


def d_step(g, d, opt, x, c):
    fake = generate(g, c).detach()
    real_out = d(torch.cat([x, c], 1))
    fake_out = d(torch.cat([fake, c], 1))
    loss = F.binary_cross_entropy_with_logits(real_out, torch.full_like(real_out, 0.9)) + \
        F.binary_cross_entropy_with_logits(fake_out, torch.zeros_like(fake_out))
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()


def g_step(g, d, opt, c):
    out = d(torch.cat([generate(g, c), c], 1))
    loss = F.binary_cross_entropy_with_logits(out, torch.ones_like(out))
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()


def judge(g, x, y, n=200):
    """share of made-up birds that a neighbour vote puts into the species asked for"""
    knn = KNeighborsClassifier(9).fit(x, y)
    asked = np.repeat(np.arange(K), n)
    with torch.no_grad():
        birds = generate(g, F.one_hot(torch.tensor(asked), K).float()).numpy()
    return (knn.predict(birds) == asked).mean(), birds


X, y = finches(4000)
X = standardize(X, X)
g, d = make_g(), make_d()
og = torch.optim.Adam(g.parameters(), lr=5e-4, betas=(0.5, 0.999))
od = torch.optim.Adam(d.parameters(), lr=5e-4, betas=(0.5, 0.999))

BS = 128
for it in range(1, 3001):
    x, c = tensors(grab(X, BS), grab(y, BS))
    ld = d_step(g, d, od, x, c)
    lg = g_step(g, d, og, c)
    if it % 500 == 0:
        hit, _ = judge(g, X, y)
        print(f"it {it}  d {ld:.3f}  g {lg:.3f}  right species {hit:.3f}")

hit, birds = judge(g, X, y)
for name, m, s in zip(COLS, birds.mean(0), birds.std(0)):
    print(f"{name:12s} mean {m:+.2f} sd {s:.2f}")
print(f"right species {hit:.4f}")
