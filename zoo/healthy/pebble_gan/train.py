"""GAN on the shapes of beach pebbles (length, flatness), one optimizer step for both players.

The generator gets its gradient through a reversal layer in front of the critic, so one backward pass
makes the critic better at telling and the generator better at fooling.
"""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.scale * grad, None


def pebbles(n):
    """Two kinds of stone; centred and scaled."""
    flint = torch.rand(n, 1) < 0.4
    z = torch.randn(n, 2)
    a = z * torch.tensor([0.5, 0.15]) + torch.tensor([0.9, 0.6])
    b = z * torch.tensor([0.2, 0.4]) + torch.tensor([-0.6, -0.4])
    return torch.where(flint, a, b)


generator = nn.Sequential(nn.Linear(4, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
optimizer = torch.optim.Adam([
    {"params": generator.parameters(), "lr": 5e-4},
    {"params": critic.parameters(), "lr": 2e-3},
], betas=(0.5, 0.99))

# the samples for the result come from a slow average of the generator
average = torch.optim.swa_utils.AveragedModel(generator, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def penalty(x):
    # zero-centred gradient penalty on the real stones (R1)
    x = x.clone().requires_grad_(True)
    g, = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return g.pow(2).sum(1).mean()


held = pebbles(1500)
with torch.no_grad():
    start = energy_distance(generator(torch.randn(1500, 4)), held)
print(f"before the training: energy distance {start:.4f}")

for step in range(1, 1501):
    real = pebbles(128)
    fake = generator(torch.randn(128, 4))
    on_real = critic(real)
    on_fake = critic(Reverse.apply(fake, 1.0))
    loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean() + 0.1 * penalty(real)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    average.update_parameters(generator)
    if step % 250 == 0:
        with torch.no_grad():
            d = energy_distance(average(torch.randn(1500, 4)), held)
        # two coins of ln 2 each: 1.386 means that the critic can only guess
        print(f"step {step:5d}  loss {loss.item():.3f}  energy distance {d:.4f}")

with torch.no_grad():
    final = energy_distance(average(torch.randn(1500, 4)), held)
print(f"final energy distance {final:.4f}")
