# DDPM on a 2-d point set (two sickles), after a blog post
import copy
import math
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(17)
T = 100


def get_points(n=4000):
    x, _ = make_moons(n, noise=0.05, random_state=17)
    x = torch.tensor(x, dtype=torch.float32)
    return (x - x.mean(0)) / x.std(0)


def cosine_betas(T, s=0.008):
    t = torch.linspace(0, T, T + 1) / T
    ab = torch.cos((t + s) / (1 + s) * math.pi / 2) ** 2
    ab = ab / ab[0]
    return (1 - ab[1:] / ab[:-1]).clamp(max=0.999)


betas = cosine_betas(T)
alphas = 1 - betas
abar = torch.cumprod(alphas, 0)


def time_features(t, d=32):
    f = torch.exp(-math.log(1000.0) * torch.arange(d // 2) / (d // 2))
    a = t[:, None].float() * f
    return torch.cat([a.sin(), a.cos()], 1)


class Eps(nn.Module):
    def __init__(self, h=128):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 + 32, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(),
                                 nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2))

    def forward(self, x, t):
        return self.net(torch.cat([x, time_features(t)], 1))


def noisy(x0, t, e):
    a = abar[t][:, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * e


@torch.no_grad()
def ema_update(avg, net, decay):
    for a, p in zip(avg.parameters(), net.parameters()):
        a.mul_(decay).add_(p, alpha=1 - decay)


@torch.no_grad()
def sample(net, n):
    net.eval()
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i)
        e = net(x, t)
        x = (x - betas[i] / (1 - abar[i]).sqrt() * e) / alphas[i].sqrt()
        if i > 0:
            var = betas[i] * (1 - abar[i - 1]) / (1 - abar[i])
            x = x + var.sqrt() * torch.randn(n, 2)
    return x


def energy_distance(a, b):
    ab = torch.cdist(a, b).mean()
    return (2 * ab - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def train(net, avg, x, steps=2000, bs=128, lr=1e-3, decay=0.995):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    run = 0.0
    for k in range(1, steps + 1):
        x0 = x[torch.randint(0, len(x), (bs,))]
        t = torch.randint(0, T, (bs,))
        e = torch.randn_like(x0)
        loss = ((net(noisy(x0, t, e), t) - e) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema_update(avg, net, decay)
        run += loss.item()
        if k % 500 == 0:
            print(f"step {k}  loss {run / 500:.4f}")
            run = 0.0


pts = get_points()
held, pts = pts[:1000], pts[1000:]
net = Eps()
avg = copy.deepcopy(net)
train(net, avg, pts)

s = sample(avg, 1000)
print("sample mean", s.mean(0).tolist(), "sd", s.std(0).tolist())
print(f"gaussian reference {energy_distance(torch.randn(1000, 2), held):.4f}")
print(f"energy distance {energy_distance(s, held):.4f}")
