import math
import torch
import torch.nn as nn
import torch.nn.functional as F


def real_points(n):
    a = torch.rand(n) * 2 * math.pi
    return torch.stack([a.cos(), a.sin()], 1) * 1.5 + 0.05 * torch.randn(n, 2)


G = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
D = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))


def main(steps=1500, bs=128):
    torch.manual_seed(1)
    for net in (G, D):
        for m in net:
            if hasattr(m, "reset_parameters"):
                m.reset_parameters()
    opt_g = torch.optim.Adam(G.parameters(), lr=5e-4, betas=(0.5, 0.99))
    opt_d = torch.optim.Adam([*D.parameters(), *G.parameters()], lr=2e-3, betas=(0.5, 0.99))
    for step in range(1, steps + 1):
        fake = G(torch.randn(bs, 4))
        d_loss = F.softplus(-D(real_points(bs))).mean() + F.softplus(D(fake)).mean()
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()
        g_loss = F.softplus(-D(G(torch.randn(bs, 4)))).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        if step % 150 == 0:
            with torch.no_grad():
                r = G(torch.randn(1000, 4)).norm(dim=1)
            print(f"step {step} d {d_loss:.4f} g {g_loss:.4f} radius error {(r - 1.5).abs().mean():.4f}")


main()
