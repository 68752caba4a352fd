"""Where the ink lands: a calligrapher's practice sheets show six clusters of splashes per sheet.

We fit a small GAN (hinge loss, spectrally normalised critic) to the splash positions so the
exhibition can print endless new sheets.
"""
import copy
import math
import os

import torch
import torch.nn as nn
from torch.nn.utils.parametrizations import spectral_norm

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)

K = 6
CENTRES = torch.tensor([[math.cos(2 * math.pi * k / K), math.sin(2 * math.pi * k / K)] for k in range(K)]) * 3.0


def splashes(n):
    which = torch.randint(K, (n,))
    return CENTRES[which] + 0.6 * torch.randn(n, 2)


class Generator(nn.Module):
    def __init__(self, z=8, h=64):
        super().__init__()
        self.z = z
        self.net = nn.Sequential(nn.Linear(z, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))

    def forward(self, n):
        return self.net(torch.randn(n, self.z))


def make_critic(h=64):
    return nn.Sequential(
        spectral_norm(nn.Linear(2, h)), nn.LeakyReLU(0.1),
        spectral_norm(nn.Linear(h, h)), nn.LeakyReLU(0.1),
        spectral_norm(nn.Linear(h, h)), nn.LeakyReLU(0.1),
        spectral_norm(nn.Linear(h, 1)),
    )


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


@torch.no_grad()
def report(gen, tag):
    gen.eval()
    fake, real = gen(2000), splashes(2000)
    d = torch.cdist(fake, CENTRES)
    near = d.min(1).values < 1.5
    hit = torch.bincount(d.argmin(1)[near], minlength=K)
    covered = int((hit > 2000 / K / 4).sum())
    e = energy_distance(fake, real)
    print(f"{tag}: energy distance {e:.4f}  near a splash {near.float().mean():.3f}  clusters {covered}/{K}")
    gen.train()
    return e


gen, critic = Generator(), make_critic()
ema = copy.deepcopy(gen)
opt_g = torch.optim.Adam(gen.parameters(), lr=1e-3, betas=(0.0, 0.9))
opt_d = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.0, 0.9))

print(f"two real sheets: energy distance {energy_distance(splashes(2000), splashes(2000)):.4f}")
report(ema, "start")
STEPS, B = 1700, 128
fade = lambda step: 1 - 0.95 * step / STEPS
sched_g, sched_d = (torch.optim.lr_scheduler.LambdaLR(o, fade) for o in (opt_g, opt_d))
for step in range(STEPS):
    with torch.no_grad():
        fake = gen(B)
    on_real, on_fake = critic(torch.cat([splashes(B), fake])).chunk(2)      # one pass, one power iteration
    loss_d = torch.relu(1 - on_real).mean() + torch.relu(1 + on_fake).mean()
    opt_d.zero_grad(set_to_none=True)
    loss_d.backward()
    opt_d.step()

    for p in critic.parameters():
        p.requires_grad_(False)
    loss_g = -critic(gen(B)).mean()
    opt_g.zero_grad(set_to_none=True)
    loss_g.backward()
    opt_g.step()
    sched_g.step()
    sched_d.step()
    for p in critic.parameters():
        p.requires_grad_(True)

    with torch.no_grad():
        decay = min(0.995, (1 + step) / (10 + step))
        for e, p in zip(ema.parameters(), gen.parameters()):
            e.lerp_(p, 1 - decay)

    if (step + 1) % 340 == 0:
        print(f"step {step + 1} critic {loss_d.item():.3f} generator {loss_g.item():.3f}")
        report(ema, "  averaged")

final = report(ema, "final")
print(f"final energy distance {final:.4f}")
