"""Wax rubbings of bark: 12 tree species, learn features without names (NT-Xent), then a linear probe.

Each rubbing is a 1-d profile of 48 readings; augmentations are a cyclic shift, gain and noise,
none of which changes the species.
"""
import os
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)
rs = np.random.RandomState(1000 + seed)
SPECIES, L = 12, 48

# each species: two characteristic ridge frequencies, their strengths and a relative phase
freqs = np.array([(a, b) for a in range(2, 8) for b in range(a + 1, 9)])
freqs = freqs[rs.permutation(len(freqs))[:SPECIES]]
rel = rs.rand(SPECIES) * 2 * np.pi


def rubbings(n):
    y = np.sort(rs.randint(SPECIES, size=n))        # filed by species, as in the herbarium
    t = np.arange(L) / L * 2 * np.pi
    ph = rs.rand(n, 1) * 2 * np.pi
    f1, f2 = freqs[y, 0][:, None], freqs[y, 1][:, None]
    amp = rs.uniform(0.5, 1.0, (n, 2))
    x = amp[:, :1] * np.sin(f1 * (t + ph)) + amp[:, 1:] * np.sin(f2 * (t + ph) + rel[y][:, None])
    x += 0.4 * rs.randn(n, L)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


xtr, ytr = rubbings(2000)
xte, yte = rubbings(800)


def augment(x):
    shift = torch.randint(L, (len(x), 1))
    idx = (torch.arange(L)[None] + shift) % L
    x = x.gather(1, idx)
    x = x * (0.7 + 0.6 * torch.rand(len(x), 1))
    return x + 0.2 * torch.randn_like(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        def conv(i, o, s):
            return nn.Sequential(nn.Conv1d(i, o, 5, stride=s, padding=2, padding_mode="circular"),
                                 nn.BatchNorm1d(o), nn.ReLU())
        self.f = nn.Sequential(conv(1, 32, 1), conv(32, 48, 2), conv(48, 64, 2), nn.AdaptiveAvgPool1d(1), nn.Flatten())

    def forward(self, x):
        return self.f(x[:, None])


enc = Encoder()
head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
opt = torch.optim.AdamW([*enc.parameters(), *head.parameters()], lr=2e-3, weight_decay=1e-4)
TEMP, B, EPOCHS = 0.2, 200, 22


def nt_xent(z):
    z = F.normalize(z, dim=1)
    sim = z @ z.T / TEMP
    sim.fill_diagonal_(float("-inf"))
    n = len(z) // 2
    return F.cross_entropy(sim, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def probe():
    enc.eval()
    with torch.no_grad():
        a, b = enc(xtr).numpy(), enc(xte).numpy()
    enc.train()
    m, s = a.mean(0), a.std(0) + 1e-6
    clf = LogisticRegression(max_iter=500).fit((a[::4] - m) / s, ytr[::4])   # a quarter is enough for a probe
    return clf.score((b - m) / s, yte)


print(f"random features: probe {probe():.3f}; best possible NT-Xent is not 0")
for ep in range(EPOCHS):
    tot = 0.0
    perm = torch.randperm(len(xtr))
    for i in range(0, len(perm), B):
        x = xtr[perm[i:i + B]]
        loss = nt_xent(head(enc(torch.cat([augment(x), augment(x)]))))
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    if ep % 5 == 4:
        print(f"epoch {ep + 1} loss {tot / (len(perm) // B):.3f}")
print(f"probe accuracy {probe():.3f}")
