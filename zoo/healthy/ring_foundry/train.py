"""Cast rivets at eight spots of a ring: a GAN with R1 penalty in the plane (Mescheder et al. 2018)."""
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

Z_DIM, BATCH, STEPS = 4, 128, 2000
SPOTS = torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(8) * math.pi / 4]) * math.sqrt(2)
SPREAD = 0.12


def real_batch(n):
    return SPOTS[torch.randint(8, (n,))] + SPREAD * torch.randn(n, 2)


def mlp(n_in, n_out, width, act):
    return nn.Sequential(
        nn.Linear(n_in, width), act(),
        nn.Linear(width, width), act(),
        nn.Linear(width, width), act(),
        nn.Linear(width, n_out))


def critic_step(critic, generator, optimizer, weight=0.02):
    real = real_batch(BATCH).requires_grad_(True)
    with torch.no_grad():
        fake = generator(torch.randn(BATCH, Z_DIM))
    on_real, on_fake = critic(real), critic(fake)
    slope, = torch.autograd.grad(on_real.sum(), real, create_graph=True)
    adversarial = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
    loss = adversarial + 0.5 * weight * slope.square().sum(1).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return adversarial.item()


def generator_step(critic, generator, optimizer):
    critic.requires_grad_(False)          # the gradient passes through the critic, but not into its weights
    loss = F.softplus(-critic(generator(torch.randn(BATCH, Z_DIM)))).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    critic.requires_grad_(True)


@torch.no_grad()
def update_average(average, model, decay=0.995):
    for a, p in zip(average.parameters(), model.parameters()):
        a.lerp_(p, 1 - decay)


@torch.no_grad()
def inspect(generator, n=4000):
    """Share of good casts (within 3.5 spreads of a spot), spots hit, and the rarest spot's share."""
    d, which = torch.cdist(generator(torch.randn(n, Z_DIM)), SPOTS).min(1)
    good = d < 3.5 * SPREAD
    share = torch.bincount(which[good], minlength=8) / n
    return good.float().mean().item(), int((share > 0.03).sum()), share.min().item()


def main():
    torch.manual_seed(17)
    generator = mlp(Z_DIM, 2, 96, nn.ReLU)
    critic = mlp(2, 1, 96, nn.SiLU)
    average = copy.deepcopy(generator).requires_grad_(False)
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.99))
    opt_c = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.99))
    decay = lambda step: 1.0 if step < STEPS // 2 else max(0.05, 2 * (1 - step / STEPS))
    sched_g = torch.optim.lr_scheduler.LambdaLR(opt_g, decay)
    sched_c = torch.optim.lr_scheduler.LambdaLR(opt_c, decay)

    print("untrained: good %.3f, spots %d, rarest %.3f" % inspect(generator))
    for step in range(1, STEPS + 1):
        adversarial = critic_step(critic, generator, opt_c)
        generator_step(critic, generator, opt_g)
        update_average(average, generator)
        sched_g.step()
        sched_c.step()
        if step % 400 == 0:
            print(f"step {step}: critic loss {adversarial:.3f}; good %.3f, spots %d, rarest %.3f" % inspect(average))
    print("final: good casts %.3f, spots covered %d of 8, rarest spot %.3f (ideal 0.125)" % inspect(average))


if __name__ == "__main__":
    main()
