"""WGAN-GP for the positions of lichen that grows in a three-lobed ring on a rock."""
import copy
import itertools

import torch
from torch import nn

torch.manual_seed(10)


def lichen(n):
    angle = 2 * torch.pi * torch.rand(n)
    radius = 2.0 + 0.5 * torch.sin(3 * angle) + 0.08 * torch.randn(n)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def sliced_distance(a, b, directions=200):
    """Mean Wasserstein-1 distance over random projections of two equally large samples."""
    d = nn.functional.normalize(torch.randn(2, directions), dim=0)
    return ((a @ d).sort(dim=0).values - (b @ d).sort(dim=0).values).abs().mean().item()


generator = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
average = copy.deepcopy(generator).requires_grad_(False)

BATCH, CRITIC_STEPS, PENALTY, DRIFT, ROUNDS = 125, 4, 0.1, 1e-3, 900
data = lichen(8000)
held_out = lichen(4000)
mean, std = data.mean(0), data.std()
data, held_out = (data - mean) / std, (held_out - mean) / std


def stream():
    while True:
        for idx in torch.randperm(len(data)).split(BATCH):
            yield data[idx]


def gradient_penalty(real, fake):
    mix = torch.rand(len(real), 1)
    point = (mix * real + (1 - mix) * fake).requires_grad_(True)
    (grad,) = torch.autograd.grad(critic(point).sum(), point, create_graph=True)
    return (grad.norm(dim=1) - 1).square().mean()


critic_opt = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
generator_opt = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
decay = [torch.optim.lr_scheduler.LambdaLR(o, lambda k: max(0.05, 1 - k / ROUNDS))
         for o in (critic_opt, generator_opt)]
batches = stream()


@torch.no_grad()
def quality(net):
    return sliced_distance(net(torch.randn(len(held_out), 4)), held_out)


start = quality(generator)
for round_ in range(1, ROUNDS + 1):
    for real in itertools.islice(batches, CRITIC_STEPS):
        with torch.no_grad():
            fake = generator(torch.randn(BATCH, 4))
        real_score = critic(real)
        gap = real_score.mean() - critic(fake).mean()
        critic_loss = -gap + PENALTY * gradient_penalty(real, fake) + DRIFT * real_score.square().mean()
        critic_opt.zero_grad()
        critic_loss.backward()
        critic_opt.step()

    critic.requires_grad_(False)
    generator_loss = -critic(generator(torch.randn(BATCH, 4))).mean()
    generator_opt.zero_grad()
    generator_loss.backward()
    generator_opt.step()
    critic.requires_grad_(True)

    for scheduler in decay:
        scheduler.step()
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), generator.parameters()):
            slow.lerp_(fast, 0.01)
    if round_ % 200 == 0:
        print(f"round {round_:4d}  estimated distance {gap.item():.4f}  generator {generator_loss.item():+.3f}  "
              f"sliced W1 {quality(average):.4f}")

floor = sliced_distance(((lichen(4000) - mean) / std), held_out)
print(f"sliced W1: untrained {start:.4f}, trained {quality(average):.4f}, two real samples {floor:.4f}")
