"""Quartz GAN: the generator matches statistics of critic features (improved-GAN style), tapped with forward hooks."""
import contextlib

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)

STEPS, BATCH, Z = 1000, 256, 8


def quartz(n):
    """Six-sided crystals: points along a hexagon outline, a little off centre."""
    k = torch.randint(0, 6, (n,))
    a, b = (k * torch.pi / 3), ((k + 1) * torch.pi / 3)
    w = torch.rand(n, 1)
    corner = lambda t: torch.stack([t.cos(), t.sin()], 1)
    pts = (1 - w) * corner(a) + w * corner(b)
    return 1.5 * pts + torch.tensor([1.0, -0.5]) + 0.05 * torch.randn(n, 2)


class Generator(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(Z, width), nn.LeakyReLU(0.2),
            nn.Linear(width, width), nn.LeakyReLU(0.2),
            nn.Linear(width, 2),
        )

    def forward(self, z):
        return self.net(z)


class Critic(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.body1 = nn.Sequential(nn.Linear(2, width), nn.LeakyReLU(0.2))
        self.body2 = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.2))
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.body2(self.body1(x))).squeeze(-1)


class FeatureTap:
    """Keeps the latest outputs of the named submodules."""

    def __init__(self, module, names):
        self.feats = {}
        self.handles = [m.register_forward_hook(self.save(n))
                        for n, m in module.named_modules() if n in names]

    def save(self, name):
        def hook(module, args, output):
            self.feats[name] = output
        return hook

    def grab(self, module, x):
        module(x)
        return dict(self.feats)


@contextlib.contextmanager
def frozen(module):
    for p in module.parameters():
        p.requires_grad_(False)
    yield
    for p in module.parameters():
        p.requires_grad_(True)


def moment_gap(fake, real):
    return sum(F.mse_loss(fake[k].mean(0), real[k].mean(0)) + F.mse_loss(fake[k].std(0), real[k].std(0))
               for k in fake)


def out_of_range(x, limit=4.0):
    return F.softplus(4 * (x.abs() - limit)).mean()


def sliced_distance(a, b, n_proj=64):
    dirs = F.normalize(torch.randn(2, n_proj), dim=0)
    return ((a @ dirs).sort(0).values - (b @ dirs).sort(0).values).abs().mean().item()


G, D = Generator(), Critic()
tap = FeatureTap(D, {"body1", "body2"})
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.99))
opt_d = torch.optim.Adam(D.parameters(), lr=5e-4, betas=(0.5, 0.99))
decay = [torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.05, STEPS) for o in (opt_g, opt_d)]

for step in range(1, STEPS + 1):
    real, z = quartz(BATCH), torch.randn(BATCH, Z)

    with torch.no_grad():
        fake = G(z)
    loss_d = F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()

    with frozen(D):
        fake = G(torch.randn(BATCH, Z))
        gap = moment_gap(tap.grab(D, fake), tap.grab(D, quartz(BATCH)))
        loss_g = gap + 0.01 * out_of_range(fake)
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()

    for s in decay:
        s.step()
    if step % 200 == 0:
        print(f"step {step:5d}  critic {loss_d.item():.3f}  feature gap {gap.item():.4f}")

G.eval()
with torch.no_grad():
    made = G(torch.randn(4000, Z))
print(f"two real draws {sliced_distance(quartz(4000), quartz(4000)):.4f}")
print(f"sliced distance {sliced_distance(made, quartz(4000)):.4f}")
