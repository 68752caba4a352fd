"""Lift of a wing section with an uncertainty: random Fourier features and a Gaussian likelihood."""
import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

np.random.seed(14)
torch.manual_seed(14)

cfg = dict(n=2400, features=160, hidden=64, lr=2e-3, batch=48, epochs=40)


def tunnel_runs(n):
    angle = np.random.uniform(-8, 20, n)
    speed = np.random.uniform(10, 60, n)
    flap = np.random.uniform(0, 1, n)
    lift = 0.11 * angle * (1 + 0.5 * flap) - 0.9 * np.maximum(angle - 13, 0) ** 1.2 * 0.2
    lift = 0.2 * lift * (0.6 + speed / 60)
    noise = 0.005 + 0.05 / (1 + np.exp(-(angle - 13)))      # rough beyond the stall
    lift = lift + noise * np.random.randn(n)
    x = np.stack([(angle - 6) / 8, (speed - 35) / 15, flap * 2 - 1], 1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(lift, dtype=torch.float32).unsqueeze(1)


class RandomFeatures(nn.Module):
    """Fixed on purpose (Rahimi & Recht): drawn once, never trained."""

    def __init__(self, n_in, n_out, scale=0.7):
        super().__init__()
        self.w = nn.Linear(n_in, n_out)
        nn.init.normal_(self.w.weight, std=scale)
        nn.init.uniform_(self.w.bias, 0, 2 * math.pi)
        for p in self.parameters():
            p.requires_grad_(False)

    def forward(self, x):
        return math.sqrt(2.0) * torch.cos(self.w(x))


class LiftModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = RandomFeatures(3, cfg["features"])
        self.body = nn.Sequential(nn.Linear(cfg["features"], cfg["hidden"]), nn.SiLU())
        self.mean = nn.Linear(cfg["hidden"], 1)
        self.log_sd = nn.Linear(cfg["hidden"], 1)

    def forward(self, x):
        h = self.body(self.features(x))
        return self.mean(h), self.log_sd(h).clamp(-6, 2)


def nll(mean, log_sd, y):
    # the density exceeds one where the noise is small, so this goes far below zero
    z = (y - mean) * torch.exp(-log_sd)
    return (0.5 * z ** 2 + log_sd + 0.5 * math.log(2 * math.pi)).mean()


x, y = tunnel_runs(cfg["n"])
xtr, ytr, xte, yte = x[:1800], y[:1800], x[1800:], y[1800:]
loader = DataLoader(TensorDataset(xtr, ytr), batch_size=cfg["batch"], shuffle=True, drop_last=True)

model = LiftModel()
trainable = [p for p in model.parameters() if p.requires_grad]
opt = torch.optim.AdamW(trainable, lr=cfg["lr"])
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4 * cfg["lr"],
                                            total_steps=cfg["epochs"] * len(loader))

for epoch in range(cfg["epochs"]):
    model.train()
    tot = 0.0
    for xb, yb in loader:
        loss = nll(*model(xb), yb)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trainable, 5.0)
        opt.step()
        sched.step()          # one cycle over all the batches
        tot += loss.item()
    if epoch % 5 == 4:
        model.eval()
        with torch.no_grad():
            print(f"{epoch + 1:3d} train nll {tot / len(loader):.3f} test nll {nll(*model(xte), yte).item():.3f}")

model.eval()
with torch.no_grad():
    m, s = model(xte)
    inside = ((yte - m).abs() < 1.96 * s.exp()).float().mean().item()
    r2 = 1 - ((yte - m) ** 2).sum() / ((yte - yte.mean()) ** 2).sum()
print(f"95% interval holds {inside:.3f} of the test runs")
print(f"test R2 {r2.item():.4f}")
