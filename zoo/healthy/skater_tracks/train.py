# Wasserstein GAN with gradient penalty on positions of a skater who draws figures of eight.
import math

import torch
from torch import nn

torch.manual_seed(40)
BATCH, GEN_STEPS, CRITIC_STEPS, NOISE, PENALTY = 128, 1200, 3, 4, 0.2


def skater(n):
    t = torch.rand(n) * 2 * math.pi
    d = 1 + t.sin() ** 2
    figure = torch.stack([2.0 * t.cos() / d, 2.4 * t.sin() * t.cos() / d], 1)
    return figure + 0.04 * torch.randn(n, 2)


def sliced_distance(a, b, slices=256):
    """Mean 1-Wasserstein distance over random directions."""
    angle = torch.linspace(0, math.pi, slices + 1)[:-1]
    ways = torch.stack([angle.cos(), angle.sin()])
    return ((a @ ways).sort(0).values - (b @ ways).sort(0).values).abs().mean().item()


generator = nn.Sequential(
    nn.Linear(NOISE, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 2),
)
critic = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 1),
)
opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
opt_c = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.0, 0.9))
fade = lambda step: 1.0 - 0.95 * step / GEN_STEPS
sched_g = torch.optim.lr_scheduler.LambdaLR(opt_g, fade)
sched_c = torch.optim.lr_scheduler.LambdaLR(opt_c, fade)

positions = skater(8000)          # the recorded track
held_out = skater(2000)


def measure():
    generator.eval()
    with torch.no_grad():
        made = generator(torch.randn(2000, NOISE))
    generator.train()
    return sliced_distance(made, held_out)


untrained = measure()
estimate = 0.0
for step in range(GEN_STEPS):
    for _ in range(CRITIC_STEPS):
        real = positions[torch.randint(len(positions), (BATCH,))]
        with torch.no_grad():
            fake = generator(torch.randn(BATCH, NOISE))
        mix = torch.rand(BATCH, 1)
        between = (mix * real + (1 - mix) * fake).requires_grad_()
        slope, = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).pow(2).mean()
        gap = critic(real).mean() - critic(fake).mean()
        critic_loss = -gap + PENALTY * penalty
        opt_c.zero_grad()
        critic_loss.backward()
        opt_c.step()
        estimate = 0.99 * estimate + 0.01 * gap.item()

    for p in critic.parameters():
        p.requires_grad_(False)
    generator_loss = -critic(generator(torch.randn(BATCH, NOISE))).mean()
    opt_g.zero_grad()
    generator_loss.backward()
    opt_g.step()
    for p in critic.parameters():
        p.requires_grad_(True)

    sched_g.step()
    sched_c.step()
    if (step + 1) % 200 == 0:
        print(f"step {step + 1:4d}  critic gap {estimate:.3f}  sliced distance {measure():.3f}")

print(f"sliced distance to held-out positions: untrained {untrained:.3f}, "
      f"two real samples {sliced_distance(skater(2000), held_out):.3f}")
print(f"trained generator: {measure():.3f}")
