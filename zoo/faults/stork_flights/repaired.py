"""Small DDPM on 2-d points (after tiny-diffusion), now fed with GPS positions of ringed storks around one breeding site."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
rng = np.random.default_rng(3)

# ---- positions: (lat, lon) in degrees, a figure-of-eight between the nest and two feeding meadows
n = 4000
s = rng.uniform(0, 2 * math.pi, n)
lat = 52.370 + 0.060 * np.sin(2 * s) + rng.normal(0, 0.006, n)
lon = 4.890 + 0.150 * np.sin(s) + rng.normal(0, 0.012, n)
positions = torch.tensor(np.stack([lat, lon], axis=1), dtype=torch.float64)
perm = torch.randperm(n)
train_positions, held_positions = positions[perm[:3200]], positions[perm[3200:]]

# ---- scaling
centre, scale = train_positions.mean(dim=0), train_positions.std(dim=0)
data = ((train_positions - centre) / scale).float()

# ---- noise schedule
T = 100
betas = torch.linspace(1e-4, 0.1, T)
alphas = 1.0 - betas
alpha_bar = torch.cumprod(alphas, dim=0)


class SinusoidalEmbedding(nn.Module):
    def __init__(self, size):
        super().__init__()
        half = size // 2
        self.register_buffer("freqs", torch.exp(-math.log(10000.0) * torch.arange(half) / (half - 1)))

    def forward(self, t):
        arg = t.float().unsqueeze(-1) * self.freqs
        return torch.cat([arg.sin(), arg.cos()], dim=-1)


class Denoiser(nn.Module):
    def __init__(self, hidden=128, emb=32):
        super().__init__()
        self.time = SinusoidalEmbedding(emb)
        self.net = nn.Sequential(
            nn.Linear(2 + emb, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, 2),
        )

    def forward(self, x, t):
        return self.net(torch.cat([x, self.time(t)], dim=-1))


model = Denoiser()
epochs, batch_size = 200, 256
steps = epochs * math.ceil(len(data) / batch_size)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)

for epoch in range(epochs):
    model.train()
    running = 0.0
    for index in torch.randperm(len(data)).split(batch_size):
        batch = data[index]
        noise = torch.randn_like(batch)
        t = torch.randint(0, T, (batch.size(0),))
        ab = alpha_bar[t].unsqueeze(-1)
        noisy = ab.sqrt() * batch + (1 - ab).sqrt() * noise
        loss = F.mse_loss(model(noisy, t), noise)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        running += loss.item() * len(batch)
    if (epoch + 1) % 40 == 0:
        print(f"epoch {epoch + 1:3d}  noise mse {running / len(data):.4f}")

# ---- ancestral sampling
model.eval()
with torch.no_grad():
    x = torch.randn(800, 2)
    for step in reversed(range(T)):
        t = torch.full((x.size(0),), step)
        eps = model(x, t)
        x = (x - betas[step] / (1 - alpha_bar[step]).sqrt() * eps) / alphas[step].sqrt()
        if step > 0:
            x = x + betas[step].sqrt() * torch.randn_like(x)
    sampled = x.double() * scale + centre

# ---- distance between the two clouds, in kilometres
km = torch.tensor([111.2, 111.2 * math.cos(math.radians(52.37))], dtype=torch.float64)
d = torch.cdist(sampled * km, held_positions * km)
to_held, to_sampled = d.min(dim=1).values.mean().item(), d.min(dim=0).values.mean().item()
print("mean of the sampled positions", [round(v, 3) for v in sampled.mean(dim=0).tolist()])
print(f"chamfer distance {to_held + to_sampled:.3f} km")
