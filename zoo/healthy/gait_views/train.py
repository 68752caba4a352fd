"""Features of accelerometer windows without labels (BYOL), then a linear classifier on few labels."""
import copy
import math

import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import nn


def windows(n):
    """Five gaits: rhythm and the share of overtones differ, strength, phase and noise do not matter."""
    label = torch.randint(0, 5, (n,))
    rhythm = torch.tensor([2.5, 2.5, 4.0, 4.0, 5.5])[label] * (1 + 0.06 * torch.randn(n))
    second = torch.tensor([0.2, 0.9, 0.2, 0.9, 0.5])[label]
    t = torch.arange(80) / 80
    phase = 2 * math.pi * torch.rand(n, 2)
    base = torch.sin(2 * math.pi * rhythm[:, None] * t + phase[:, :1])
    over = torch.sin(4 * math.pi * rhythm[:, None] * t + phase[:, 1:])
    strength = torch.exp(0.4 * torch.randn(n, 1))
    return (strength * (base + second[:, None] * over) + 0.4 * torch.randn(n, 80)).unsqueeze(1), label


def view(x):
    """A shifted, scaled and noisy copy, with a gap."""
    n, _, length = x.shape
    start = torch.randint(0, length - 64 + 1, (n, 1))
    x = x.squeeze(1).gather(1, start + torch.arange(64))
    x = x * torch.exp(0.3 * torch.randn(n, 1)) + 0.1 * torch.randn(n, 64)
    hole = torch.randint(0, 56, (n, 1))
    pos = torch.arange(64)
    return x.masked_fill((pos >= hole) & (pos < hole + 8), 0.0).unsqueeze(1)


def mlp(a, b, c):
    return nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Linear(b, c))


def encoder():
    return nn.Sequential(
        nn.Conv1d(1, 32, 9, stride=2, padding=4), nn.BatchNorm1d(32), nn.ReLU(),
        nn.Conv1d(32, 48, 7, stride=2, padding=3), nn.BatchNorm1d(48), nn.ReLU(),
        nn.Conv1d(48, 64, 5, padding=2), nn.BatchNorm1d(64), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(),
    )  # fmt: skip


class BYOL:
    def __init__(self, steps):
        self.steps = steps
        self.online = nn.Sequential(encoder(), mlp(64, 128, 32))
        self.predictor = mlp(32, 64, 32)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        params = [*self.online.parameters(), *self.predictor.parameters()]
        self.opt = torch.optim.AdamW(params, lr=2e-3, weight_decay=1e-4)

    def agreement(self, a, b):
        p = self.predictor(self.online(a))
        with torch.no_grad():
            z = self.target(b)
        return F.cosine_similarity(p, z, dim=1).mean()

    def step(self, x, k):
        a, b = view(x), view(x)
        loss = -(self.agreement(a, b) + self.agreement(b, a))
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        tau = 1 - 0.03 * (math.cos(math.pi * k / self.steps) + 1) / 2
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.online.parameters()):
                slow.lerp_(fast, 1 - tau)
        return loss.item()

    @torch.no_grad()
    def features(self, x):
        self.online.eval()
        h = self.online[0](x)
        self.online.train()
        return h


def probe(f_train, y_train, f_test, y_test):
    mean, std = f_train.mean(0), f_train.std(0) + 1e-6
    clf = LogisticRegression(max_iter=500).fit(((f_train - mean) / std).numpy(), y_train.numpy())
    return clf.score(((f_test - mean) / std).numpy(), y_test.numpy())


torch.manual_seed(101)
unlabeled, _ = windows(2000)
few, y_few = windows(60)
test, y_test = windows(600)
STEPS = 240
byol = BYOL(STEPS)
print(f"untrained features: {probe(byol.features(few), y_few, byol.features(test), y_test):.3f}")
for k in range(1, STEPS + 1):
    loss = byol.step(unlabeled[torch.randint(0, len(unlabeled), (96,))], k)
    if k % 60 == 0:
        accuracy = probe(byol.features(few), y_few, byol.features(test), y_test)
        print(f"step {k} loss {loss:.3f} accuracy on 60 labels {accuracy:.3f}")
raw = probe(few.flatten(1), y_few, test.flatten(1), y_test)
print(f"the same classifier on raw windows: {raw:.3f}")
