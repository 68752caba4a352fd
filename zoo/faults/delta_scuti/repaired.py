"""Light curve of a double-mode pulsating star in three filters, learned from scattered exposures."""
import math

import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(55)
torch.manual_seed(55)

P1, P2 = 0.13764, 0.10588  # days
FILTERS = 3

# exposures: Julian date, filter, magnitude
night = rng.integers(0, 60, 4000)
jd = 2460410.5 + night + rng.uniform(0.25, 0.65, 4000)
band = rng.integers(0, FILTERS, 4000)
a1, a2 = 2 * math.pi * jd / P1, 2 * math.pi * jd / P2
amplitude = np.array([1.0, 0.75, 0.5])[band]
signal = 0.18 * np.cos(a1) + 0.06 * np.cos(2 * a1 + 0.8) + 0.10 * np.cos(a2 + 2.0) + 0.05 * np.cos(a1 + a2 - 0.5)
mag = np.array([11.3, 10.9, 10.7])[band] + amplitude * signal + rng.normal(0, 0.015, 4000)

t = torch.tensor(jd - jd.min(), dtype=torch.float32)
c = torch.tensor(band)
y = torch.tensor(mag, dtype=torch.float32)
held_out = torch.tensor(night % 5 == 0)
mean = torch.stack([y[(c == k) & ~held_out].mean() for k in range(FILTERS)])
y = (y - mean[c]) / 0.15


class LightCurve(nn.Module):
    def __init__(self, periods, hidden=64):
        super().__init__()
        self.register_buffer("omega", 2 * math.pi / torch.tensor(periods))
        self.filter = nn.Embedding(FILTERS, 4)
        self.net = nn.Sequential(
            nn.Linear(2 * len(periods) + 4, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, t, c):
        angle = t[:, None] * self.omega
        return self.net(torch.cat([angle.sin(), angle.cos(), self.filter(c)], 1)).squeeze(1)


loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(t[~held_out], c[~held_out], y[~held_out]), batch_size=64, shuffle=True
)
model = LightCurve([P1, P2])
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 6e-3, epochs=16, steps_per_epoch=len(loader))
for epoch in range(16):
    total = 0.0
    for tb, cb, yb in loader:
        loss = nn.functional.mse_loss(model(tb, cb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item()
    if epoch % 3 == 0:
        model.eval()
        with torch.no_grad():
            rms = 0.15 * (model(t[held_out], c[held_out]) - y[held_out]).square().mean().sqrt()
        model.train()
        print(f"epoch {epoch} loss {total / len(loader):.4f} rms on other nights {rms:.4f} mag")
