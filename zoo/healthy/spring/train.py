# Physics-informed network for a damped spring:  u'' + 2 d w u' + w^2 u = 0,  u(0) = 1, u'(0) = 0
import math

import torch
from torch import nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
OMEGA, DAMP, T_END = 4.0, 0.15, 3.0


def exact(t):
    wd = OMEGA * math.sqrt(1 - DAMP**2)
    return torch.exp(-DAMP * OMEGA * t) * (torch.cos(wd * t) + DAMP * OMEGA / wd * torch.sin(wd * t))


net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
inner = torch.linspace(0, T_END, 120).unsqueeze(1).requires_grad_()
start = torch.zeros(1, 1, requires_grad=True)


def u(t):
    return net(t / T_END * 2 - 1)


def d(y, t):
    return torch.autograd.grad(y, t, torch.ones_like(y), create_graph=True)[0]


def total_loss():
    y = u(inner)
    dy = d(y, inner)
    residual = d(dy, inner) + 2 * DAMP * OMEGA * dy + OMEGA**2 * y
    y0 = u(start)
    return (residual**2).mean() + 20 * ((y0 - 1) ** 2 + d(y0, start) ** 2).mean() * OMEGA**2


def error():
    t = torch.linspace(0, T_END, 500).unsqueeze(1)
    with torch.no_grad():
        return ((u(t) - exact(t)).norm() / exact(t).norm()).item()


adam = torch.optim.Adam(net.parameters(), lr=5e-3)
for it in range(1, 601):
    adam.zero_grad()
    loss = total_loss()
    loss.backward()
    adam.step()
    if it % 150 == 0:
        print(f"adam {it}: loss {loss.item():.3e} relative error {error():.3e}")

lbfgs = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=20, history_size=50, line_search_fn="strong_wolfe")


def closure():
    lbfgs.zero_grad()
    loss = total_loss()
    loss.backward()
    return loss


for it in range(1, 31):
    loss = lbfgs.step(closure)
    if it % 6 == 0:
        print(f"lbfgs {it}: loss {loss.item():.3e} relative error {error():.3e}")
