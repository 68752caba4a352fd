"""Diffusion model for one number: lengths of eels in a trap (glass eels, yellow eels, silver eels). From a 2-d toy-diffusion notebook."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(9)
np.random.seed(9)

T = 60
BATCH = 128


def eel_catch(n):
    kind = np.random.choice(3, n, p=[0.45, 0.35, 0.20])
    centre, spread = np.array([12.0, 38.0, 74.0]), np.array([2.5, 4.0, 5.0])
    return centre[kind] + spread[kind] * np.random.randn(n)


class Schedule:
    def __init__(self, steps, start=1e-3, end=0.2):
        self.beta = torch.linspace(start, end, steps)
        self.alpha = 1 - self.beta
        self.alpha_bar = self.alpha.cumprod(0)

    def noisy(self, x0, t, noise):
        a = self.alpha_bar[t].unsqueeze(1)
        return a.sqrt() * x0 + (1 - a).sqrt() * noise


class NoiseNet(nn.Module):
    """Residual MLP; the step enters as an embedding."""

    def __init__(self, steps, width=96):
        super().__init__()
        self.inp = nn.Linear(1, width)
        self.step = nn.Embedding(steps, width)
        self.mid1 = nn.Linear(width, width)
        self.mid2 = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        self.act = nn.SiLU()

    def forward(self, x, t):
        h = self.inp(x) + self.step(t)
        h = h + self.mid1(self.act(h))
        h = h + self.mid2(self.act(h))
        return self.out(self.act(h)).squeeze(-1)


@torch.no_grad()
def sample(model, sched, n):
    model.eval()
    x = torch.randn(n, 1)
    for k in reversed(range(T)):
        eps = model(x, torch.full((n,), k)).view(n, 1)
        x = (x - sched.beta[k] / (1 - sched.alpha_bar[k]).sqrt() * eps) / sched.alpha[k].sqrt()
        if k > 0:
            x = x + sched.beta[k].sqrt() * torch.randn_like(x)
    return x


lengths = eel_catch(4000)
train_cm, held_cm = lengths[:3000], lengths[3000:]
mean, std = train_cm.mean(), train_cm.std()
data = torch.tensor((train_cm - mean) / std, dtype=torch.float32).unsqueeze(1)

sched = Schedule(T)
model = NoiseNet(T)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.975)

for epoch in range(1, 101):
    model.train()
    order = torch.randperm(len(data))
    losses = []
    for i in range(0, len(data) - BATCH + 1, BATCH):
        x0 = data[order[i:i + BATCH]]
        t = torch.randint(0, T, (BATCH,))
        noise = torch.randn_like(x0)
        pred = model(sched.noisy(x0, t, noise), t)
        loss = (noise - pred).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    decay.step()
    if epoch % 20 == 0:
        print(f"epoch {epoch:3d}  loss {np.mean(losses):.4f}")

drawn = sample(model, sched, len(held_cm)).squeeze(1).numpy() * std + mean
for name, low, high in (("glass", 0, 22), ("yellow", 22, 55), ("silver", 55, 100)):
    share = ((drawn > low) & (drawn < high)).mean()
    real = ((held_cm > low) & (held_cm < high)).mean()
    print(f"{name:7s} share drawn {share:.3f}  held out {real:.3f}")
print(f"wasserstein distance {np.abs(np.sort(drawn) - np.sort(held_cm)).mean():.3f} cm")
