# %% [markdown]
# # VAE on drawings of pocket watches
# Every watch is 16x16 pixels: a rim, an hour hand and a minute hand, at any time of the day.

# %%
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)
np.random.seed(2)

SIDE = 16
yy, xx = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)


# %%
def hand(cx, cy, angle, length, width=0.8):
    dx, dy = np.sin(angle), -np.cos(angle)
    along = np.clip((xx - cx) * dx + (yy - cy) * dy, 0, length)
    dist = np.hypot(xx - cx - along * dx, yy - cy - along * dy)
    return np.clip(1.5 - dist / width, 0, 1)


def watch():
    cx, cy = 7.5 + np.random.uniform(-1, 1, 2)
    r = np.random.uniform(5.0, 6.5)
    minutes = np.random.uniform(0, 2 * np.pi)
    hours = np.random.uniform(0, 2 * np.pi)
    rim = np.clip(1.4 - np.abs(np.hypot(xx - cx, yy - cy) - r), 0, 1)
    return np.maximum.reduce([rim, hand(cx, cy, minutes, r - 1.0), hand(cx, cy, hours, r - 2.8, 1.2)])


images = torch.tensor(np.stack([watch() for _ in range(2000)]), dtype=torch.float32).view(-1, SIDE * SIDE)
train_x, test_x = images[:1600], images[1600:]
loader = DataLoader(TensorDataset(train_x), batch_size=64, shuffle=True)


# %%
class VAE(nn.Module):
    def __init__(self, latent=10, hidden=144):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(SIDE * SIDE, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mu = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)
        self.dec = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                                 nn.Linear(hidden, SIDE * SIDE))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(z), mu, logvar


def elbo_loss(logits, x, mu, logvar):
    recon = F.binary_cross_entropy_with_logits(logits, x)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
    return recon + kl, recon, kl


# %%
vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=1e-3)
EPOCHS = 24

for epoch in range(EPOCHS):
    vae.train()
    totals = np.zeros(3)
    for (x,) in loader:
        logits, mu, logvar = vae(x)
        loss, recon, kl = elbo_loss(logits, x, mu, logvar)
        opt.zero_grad()
        loss.backward()
        opt.step()
        totals += np.array([loss.item(), recon.item(), kl.item()]) * len(x)
    if epoch % 4 == 3:
        t = totals / len(train_x)
        print(f"epoch {epoch + 1:2d}: loss {t[0]:.4f}  recon {t[1]:.4f}  kl {t[2]:.4f}")

# %%
vae.eval()
with torch.no_grad():
    logits, mu, logvar = vae(test_x)
    mse = F.mse_loss(logits.sigmoid(), test_x).item()
    baseline = F.mse_loss(train_x.mean(0).expand_as(test_x), test_x).item()
    print("std of the latent means:", [round(v, 3) for v in mu.std(0).tolist()])
print(f"error of the mean watch {baseline:.4f}")
print(f"test reconstruction error {mse:.4f}")
