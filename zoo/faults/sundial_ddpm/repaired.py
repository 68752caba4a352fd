"""A small diffusion model for points on a sundial: twelve hour marks on a circle and the shadow of the gnomon."""
import copy
import math

import torch
import torch.nn as nn


def sundial(n):
    hour = torch.randint(12, (n,)) * (2 * math.pi / 12)
    marks = torch.stack([hour.cos(), hour.sin()], 1) * 1.5
    shadow = torch.rand(n, 1) * torch.tensor([[0.6, 0.9]])
    on_shadow = torch.rand(n, 1) < 0.25
    return torch.where(on_shadow, shadow, marks) + 0.05 * torch.randn(n, 2)


class Denoiser(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.register_buffer("freqs", 2.0 ** torch.arange(4) * math.pi / 2)
        self.net = nn.Sequential(
            nn.Linear(2 + 8, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2),
        )  # fmt: skip

    def forward(self, x, t):
        phase = t[:, None] * self.freqs
        return self.net(torch.cat([x, phase.sin(), phase.cos()], 1))


def make_diffusion(steps=50):
    betas = torch.linspace(1e-3, 0.2, steps)
    kept = torch.cumprod(1 - betas, 0)

    def loss_on(model, x):
        i = torch.randint(steps, (len(x),))
        noise = torch.randn_like(x)
        noisy = kept[i, None].sqrt() * x + (1 - kept[i, None]).sqrt() * noise
        return (model(noisy, i / steps) - noise).square().mean()

    @torch.no_grad()
    def sample(model, n):
        x = torch.randn(n, 2)
        for i in reversed(range(steps)):
            eps = model(x, torch.full((n,), i / steps))
            x = (x - betas[i] / (1 - kept[i]).sqrt() * eps) / (1 - betas[i]).sqrt()
            if i:
                x = x + betas[i].sqrt() * torch.randn_like(x)
        return x

    return loss_on, sample


@torch.no_grad()
def follow(average, model, decay=0.99):
    for slow, fast in zip(average.parameters(), model.parameters()):
        slow.copy_(decay * slow + (1 - decay) * fast)


def energy_distance(a, b):
    return 2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()


torch.manual_seed(12)
data, held_out = sundial(4000), sundial(1000)
model = Denoiser()
average = copy.deepcopy(model).requires_grad_(False)
loss_on, sample = make_diffusion()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(1, 901):
    batch = data[torch.randint(len(data), (256,))]
    loss = loss_on(model, batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    follow(average, model)
    if step % 300 == 0:
        print(f"step {step} loss {loss.item():.3f} energy distance {energy_distance(sample(average, 1000), held_out):.4f}")
