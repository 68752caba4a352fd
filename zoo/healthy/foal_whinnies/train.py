"""Bootstrap-your-own-latent on unlabelled foal calls, judged with forty labels per kind of call."""
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

LENGTH = 128


def record(n, rng):
    """Five kinds: steady, rising, falling, warbling, broken in the middle."""
    t = np.linspace(0, 1, LENGTH)
    kinds = rng.integers(0, 5, n)
    out = np.empty((n, LENGTH))
    for i, kind in enumerate(kinds):
        f0, depth = rng.uniform(9, 15), rng.uniform(0.4, 0.7)
        freq = np.full(LENGTH, f0)
        if kind == 1:
            freq = f0 * (1 + depth * (t - 0.5))
        elif kind == 2:
            freq = f0 * (1 - depth * (t - 0.5))
        elif kind == 3:
            freq = f0 * (1 + 0.5 * depth * np.sin(2 * np.pi * rng.uniform(2.5, 3.5) * t + rng.uniform(0, 6.28)))
        elif kind == 4:
            freq = f0 * np.where(t < rng.uniform(0.4, 0.6), 1.0, 1 + depth)
        wave = np.sin(2 * np.pi * np.cumsum(freq) / LENGTH + rng.uniform(0, 6.28))
        out[i] = wave * rng.uniform(0.7, 1.3) + rng.normal(0, 0.15, LENGTH)
    return torch.tensor(out, dtype=torch.float32).unsqueeze(1), kinds


def view(x):
    """Random gain, polarity, small circular shift, hiss and a short dropout."""
    n = len(x)
    sign = torch.where(torch.rand(n, 1, 1) < 0.5, -1.0, 1.0)
    x = x * sign * torch.empty(n, 1, 1).uniform_(0.6, 1.4)
    shift = torch.randint(-6, 7, (n, 1))
    x = x.gather(2, ((torch.arange(LENGTH) + shift) % LENGTH).unsqueeze(1))
    start = torch.randint(0, LENGTH - 16, (n, 1, 1))
    where = torch.arange(LENGTH)
    x = x.masked_fill((where >= start) & (where < start + 12), 0.0)
    return x + 0.1 * torch.randn_like(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(1, 32, 9, stride=2, padding=4), nn.BatchNorm1d(32), nn.ReLU(),
            nn.Conv1d(32, 48, 7, stride=2, padding=3), nn.BatchNorm1d(48), nn.ReLU(),
            nn.Conv1d(48, 64, 5, stride=2, padding=2), nn.BatchNorm1d(64), nn.ReLU(),
            nn.AdaptiveAvgPool1d(4), nn.Flatten())

    def forward(self, x):
        return self.net(x)


def mlp(cin, hidden, cout):
    return nn.Sequential(nn.Linear(cin, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, cout))


def agreement(p, z):
    return 2 - 2 * F.cosine_similarity(p, z, dim=1).mean()


@torch.no_grad()
def embed(encoder, x):
    encoder.eval()
    return encoder(x).numpy()


def probe(encoder, labelled, test):
    clf = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    clf.fit(embed(encoder, labelled[0]), labelled[1])
    return clf.score(embed(encoder, test[0]), test[1])


def main():
    torch.manual_seed(6)
    rng = np.random.default_rng(6)
    (calls, _), labelled, test = record(3000, rng), record(200, rng), record(1000, rng)
    mean, std = calls.mean(), calls.std()
    calls, labelled, test = (calls - mean) / std, ((labelled[0] - mean) / std, labelled[1]), ((test[0] - mean) / std, test[1])

    online = nn.Sequential(Encoder(), mlp(256, 128, 64))
    predictor = mlp(64, 128, 64)
    target = copy.deepcopy(online).requires_grad_(False)
    before = probe(copy.deepcopy(online[0]), labelled, test)

    epochs, batch = 12, 125
    params = list(online.parameters()) + list(predictor.parameters())
    optimizer = torch.optim.AdamW(params, lr=2e-3, weight_decay=1e-3)
    total = epochs * (len(calls) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=total, pct_start=0.1)
    step = 0
    for epoch in range(epochs):
        online.train(), predictor.train(), target.train()
        losses = []
        for rows in torch.randperm(len(calls)).split(batch):
            a, b = view(calls[rows]), view(calls[rows])
            with torch.no_grad():
                za, zb = target(a), target(b)
            loss = agreement(predictor(online(a)), zb) + agreement(predictor(online(b)), za)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            tau = 1 - 0.03 * (math.cos(math.pi * step / total) + 1) / 2
            with torch.no_grad():
                for slow, fast in zip(target.parameters(), online.parameters()):
                    slow.lerp_(fast, 1 - tau)
            step += 1
            losses.append(loss.item())
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.3f}")
    after = probe(online[0], labelled, test)
    print(f"linear probe on an untrained encoder: {before:.3f}")
    print(f"linear probe after pretraining: {after:.3f}")


main()
