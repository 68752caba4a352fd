#!/usr/bin/env python
# Daily rain (barrel level rise, litres) from two gardens on either side of a hill.  The joint
# distribution is banana-shaped with a dry atom; we want a simulator for it -> WGAN-GP.
import argparse, os
import numpy as np
import torch
from torch import nn, autograd

ap = argparse.ArgumentParser()
ap.add_argument("--gen-steps", type=int, default=850)
ap.add_argument("--n-critic", type=int, default=3)
ap.add_argument("--gp", type=float, default=0.2)
ap.add_argument("--bs", type=int, default=256)
args = ap.parse_args()

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)
rng = np.random.default_rng(seed)


def record(n):
    west = rng.gamma(2.0, 3.0, n)
    east = 0.06 * west ** 2 + rng.normal(0, 0.8, n) + 1.0
    dry = rng.random(n) < 0.25
    west[dry] = np.abs(rng.normal(0, 0.4, dry.sum()))
    east[dry] = np.abs(rng.normal(0, 0.4, dry.sum()))
    return np.stack([west, east], 1).astype("float32")


history, later = record(6000), record(2000)
mu, sd = history.mean(0), history.std(0)
train = torch.from_numpy((history - mu) / sd)
held = torch.from_numpy((later - mu) / sd)       # scaled with the training years' numbers


def mlp(i, o, h=64):
    return nn.Sequential(nn.Linear(i, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, o))


G, D = mlp(4, 2), mlp(2, 1, h=96)
G_avg = torch.optim.swa_utils.AveragedModel(G, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
g_opt = torch.optim.Adam(G.parameters(), lr=5e-4, betas=(0.0, 0.9))
d_opt = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.9))
g_sched = torch.optim.lr_scheduler.LinearLR(g_opt, 1.0, 0.05, total_iters=args.gen_steps)
d_sched = torch.optim.lr_scheduler.LinearLR(d_opt, 1.0, 0.05, total_iters=args.gen_steps)


def penalty(real, fake):
    eps = torch.rand(real.size(0), 1)
    mid = (eps * real + (1 - eps) * fake).requires_grad_(True)
    (grad,) = autograd.grad(D(mid).sum(), mid, create_graph=True)
    return ((grad.norm(dim=1) - 1) ** 2).mean()


def sliced_w1(a, b, n=64):
    a, b = a[:2000], b[:2000]
    th = torch.linspace(0, np.pi, n)
    dirs = torch.stack([th.cos(), th.sin()])
    return ((a @ dirs).sort(0).values - (b @ dirs).sort(0).values).abs().mean().item()


@torch.no_grad()
def score():
    return sliced_w1(G_avg(torch.randn(2000, 4)), held)


print(f"untrained: sliced W1 {score():.4f};  history vs later {sliced_w1(train[:2000], held):.4f}")
for it in range(1, args.gen_steps + 1):
    for _ in range(args.n_critic):
        real = train[torch.randint(len(train), (args.bs,))]
        fake = G(torch.randn(args.bs, 4)).detach()
        w = D(real).mean() - D(fake).mean()          # Wasserstein estimate, to be made large
        d_loss = -w + args.gp * penalty(real, fake)
        d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
    g_loss = -D(G(torch.randn(args.bs, 4))).mean()
    g_opt.zero_grad()
    g_loss.backward()                                 # also fills D.grad; cleared above before use
    g_opt.step()
    G_avg.update_parameters(G)
    g_sched.step()
    d_sched.step()
    if it % 170 == 0:
        print(f"{it:5d}  critic loss {d_loss.item():+.3f}  W {w.item():.3f}  sliced W1 {score():.4f}")
print(f"sliced W1 on later years: {score():.4f}")
