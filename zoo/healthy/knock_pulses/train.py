"""Synthetic knock pulses, 24 samples each: a relativistic pairing game with gradient penalties on both sides."""
import torch
import torch.nn.functional as F
from torch import nn

LENGTH, NOISE, BATCH = 24, 8, 128


def pulses(n):
    """Damped oscillations, a slow and a fast kind, of either sign."""
    t = torch.arange(LENGTH) / 4
    fast = torch.rand(n, 1) < 0.4
    omega = torch.where(fast, 3.0, 1.3) * (1 + 0.05 * torch.randn(n, 1))
    decay = torch.where(fast, 0.6, 0.35)
    sign = torch.where(torch.rand(n, 1) < 0.5, -1.0, 1.0)
    x = sign * (1.5 + 0.2 * torch.randn(n, 1)) * torch.exp(-decay * t) * torch.sin(omega * t + 0.4)
    return x + 0.05 * torch.randn(n, LENGTH)


def kinds(x):
    """Shares of slow+, slow-, fast+, fast- among pulses, by the nearest mean shape."""
    t = torch.arange(LENGTH) / 4
    slow = 1.5 * torch.exp(-0.35 * t) * torch.sin(1.3 * t + 0.4)
    fast = 1.5 * torch.exp(-0.6 * t) * torch.sin(3.0 * t + 0.4)
    shapes = torch.stack([slow, -slow, fast, -fast])
    return torch.bincount(torch.cdist(x, shapes).argmin(1), minlength=4) / len(x)


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def penalised_scores(critic, x):
    x = x.detach().requires_grad_(True)
    score = critic(x)
    (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    return score, slope.square().sum(1).mean()


torch.manual_seed(19)
maker = nn.Sequential(
    nn.Linear(NOISE, 96), nn.LeakyReLU(0.2), nn.Linear(96, 96), nn.LeakyReLU(0.2), nn.Linear(96, LENGTH)
)
critic = nn.Sequential(
    nn.Linear(LENGTH, 96), nn.LeakyReLU(0.2), nn.Linear(96, 96), nn.LeakyReLU(0.2), nn.Linear(96, 1)
)
maker_opt = torch.optim.Adam(maker.parameters(), lr=1e-3, betas=(0.0, 0.99))
critic_opt = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.99))

floor = energy_distance(pulses(1000), pulses(1000))
for round_ in range(1, 1001):
    # pairs of a true and a made pulse; the critic says which is which
    fake = maker(torch.randn(BATCH, NOISE))
    on_true, slope_true = penalised_scores(critic, pulses(BATCH))
    on_fake, slope_fake = penalised_scores(critic, fake)
    critic_loss = F.softplus(on_fake - on_true).mean() + 0.25 * (slope_true + slope_fake)
    critic_opt.zero_grad(set_to_none=True)
    critic_loss.backward()
    critic_opt.step()

    # the maker wants its pulse to look truer than the true one
    maker_loss = F.softplus(critic(pulses(BATCH)) - critic(maker(torch.randn(BATCH, NOISE)))).mean()
    maker_opt.zero_grad(set_to_none=True)
    maker_loss.backward()
    maker_opt.step()

    if round_ % 200 == 0:
        with torch.no_grad():
            made = maker(torch.randn(1000, NOISE))
        shares = " ".join(f"{s:.2f}" for s in kinds(made).tolist())
        print(
            f"round {round_} critic {critic_loss.item():.3f} maker {maker_loss.item():.3f} kinds {shares} "
            f"energy distance {energy_distance(made, pulses(1000)):.4f} (true against true {floor:.4f})"
        )
