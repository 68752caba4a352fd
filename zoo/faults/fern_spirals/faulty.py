"""Fern spirals: denoising diffusion on the outlines of curled fronds, 2-D points, all plain functions."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(7)

T, EPOCHS, BATCH, N = 60, 40, 256, 8000


def fronds(n):
    """One long spiral with a little thickness, scaled to roughly unit variance."""
    turn = 0.6 + 2.4 * math.pi * torch.rand(n).sqrt()
    pts = torch.stack([turn * torch.cos(turn), turn * torch.sin(turn)], 1)
    return (pts + 0.12 * torch.randn(n, 2)) / 3.9


def cosine_alpha_bar(steps, s=0.008):
    t = torch.linspace(0, 1, steps + 1)
    f = torch.cos((t + s) / (1 + s) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return betas, torch.cumprod(1 - betas, 0)


def time_features(t, dim=32):
    freq = torch.exp(-math.log(1000.0) * torch.arange(dim // 2) / (dim // 2))
    ang = t[:, None].float() * freq
    return torch.cat([ang.sin(), ang.cos()], 1)


def make_net(width=128, dim=32):
    return nn.Sequential(
        nn.Linear(2 + dim, width), nn.SiLU(),
        nn.Linear(width, width), nn.SiLU(),
        nn.Linear(width, width), nn.SiLU(),
        nn.Linear(width, 2),
    )


def eps_hat(net, x, t):
    return net(torch.cat([x, time_features(t)], 1))


def denoise_loss(net, x0, alpha_bar):
    t = torch.randint(0, T, (len(x0),))
    ab = alpha_bar[t][:, None]
    eps = torch.randn_like(x0)
    return F.mse_loss(eps_hat(net, ab.sqrt() * x0 + (1 - ab).sqrt() * eps, t), eps)


@torch.no_grad()
def sample(net, n, betas, alpha_bar):
    x = torch.randn(n, 2)
    for t in reversed(range(T)):
        e = eps_hat(net, x, torch.full((n,), t))
        x = (x - betas[t] / (1 - alpha_bar[t]).sqrt() * e) / (1 - betas[t]).sqrt()
        if t > 0:
            var = betas[t] * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])
            x = x + var.sqrt() * torch.randn_like(x)
    return x


def train(net, data, alpha_bar):
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=4)
    for epoch in range(EPOCHS):
        net.train()
        total = 0.0
        for xb in data[torch.randperm(len(data))].split(BATCH):
            loss = denoise_loss(net, xb, alpha_bar)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(xb)
            sched.step(loss.item())
        if epoch % 8 == 7:
            print(f"epoch {epoch + 1:3d}  loss {total / len(data):.4f}")


def off_shape(pts, ref):
    """Mean distance from each generated point to its nearest point of the held-out fronds."""
    return torch.cdist(pts, ref).min(1).values.mean().item()


def main():
    data, held_out = fronds(N), fronds(4000)
    betas, alpha_bar = cosine_alpha_bar(T)
    net = make_net()
    train(net, data, alpha_bar)
    net.eval()
    made = sample(net, 2000, betas, alpha_bar)
    print(f"fresh fronds {off_shape(fronds(2000), held_out):.4f}  plain noise {off_shape(torch.randn(2000, 2), held_out):.4f}")
    print(f"distance to fronds {off_shape(made, held_out):.4f}")


if __name__ == "__main__":
    main()
