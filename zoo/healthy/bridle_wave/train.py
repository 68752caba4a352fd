"""A plucked, damped string as a physics-informed network.

    u_tt + 2 g u_t = c^2 u_xx   on 0 < x < 1, 0 < t < 1
    u(0, t) = u(1, t) = 0,  u(x, 0) = sin(pi x),  u_t(x, 0) = 0

The exact solution is known and only used to judge the result.
"""
import math

import torch
from torch import nn
from torch.func import grad, vmap

torch.set_default_dtype(torch.float64)
C, G = 1.0, 0.5


class Field(nn.Module):
    def __init__(self, width=24, depth=3):
        super().__init__()
        sizes = [2] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.out = nn.Linear(width, 1)
        for layer in [*self.hidden, self.out]:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x, t):
        h = torch.stack([2 * x - 1, 2 * t - 1], dim=-1)
        for layer in self.hidden:
            h = torch.tanh(layer(h))
        return self.out(h).squeeze(-1)


def exact(x, t):
    w = math.sqrt((math.pi * C) ** 2 - G ** 2)
    return torch.sin(math.pi * x) * torch.exp(-G * t) * (torch.cos(w * t) + G / w * torch.sin(w * t))


def derivatives(field, x, t):
    """u_t, u_tt and u_xx at every point by two passes of reverse mode."""
    x, t = x.clone().requires_grad_(True), t.clone().requires_grad_(True)
    u = field(x, t)
    u_x, u_t = torch.autograd.grad(u.sum(), (x, t), create_graph=True)
    u_xx, = torch.autograd.grad(u_x.sum(), x, create_graph=True)
    u_tt, = torch.autograd.grad(u_t.sum(), t, create_graph=True)
    return u_t, u_tt, u_xx


def main():
    torch.manual_seed(6)
    field = Field()
    points = torch.quasirandom.SobolEngine(2, scramble=True, seed=6).draw(600).double()
    x_in, t_in = points[:, 0], points[:, 1]
    edge = torch.linspace(0, 1, 60)
    zeros, ones = torch.zeros_like(edge), torch.ones_like(edge)

    def residuals():
        u_t, u_tt, u_xx = derivatives(field, x_in, t_in)
        physics = (u_tt + 2 * G * u_t - C ** 2 * u_xx).square().mean()
        walls = field(zeros, edge).square().mean() + field(ones, edge).square().mean()
        start = (field(edge, zeros) - torch.sin(math.pi * edge)).square().mean()
        speed = vmap(grad(field, argnums=1))(edge, zeros).square().mean()
        return physics, walls, start, speed

    def total_loss():
        physics, walls, start, speed = residuals()
        return physics + 20 * walls + 20 * start + 5 * speed

    # a short warm start by Adam, then the quasi-Newton method on the same collocation points
    adam = torch.optim.Adam(field.parameters(), lr=5e-3)
    for step in range(300):
        adam.zero_grad()
        loss = total_loss()
        loss.backward()
        adam.step()
        if step % 100 == 99:
            print(f"adam {step + 1}: loss {loss.item():.3e}")

    lbfgs = torch.optim.LBFGS(field.parameters(), lr=1.0, max_iter=100, history_size=50,
                              tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe")

    def closure():
        lbfgs.zero_grad()
        loss = total_loss()
        loss.backward()
        return loss

    for round_ in range(6):
        lbfgs.step(closure)
        parts = [f"{p.item():.2e}" for p in residuals()]
        print(f"l-bfgs round {round_}: physics {parts[0]}  walls {parts[1]}  start {parts[2]}  speed {parts[3]}")

    with torch.no_grad():
        gx, gt = torch.meshgrid(torch.linspace(0, 1, 101), torch.linspace(0, 1, 101), indexing="ij")
        truth = exact(gx, gt)
        error = (field(gx, gt) - truth).norm() / truth.norm()
    print(f"relative L2 error on a 101 x 101 grid: {error:.2e} (the zero field has 1.0)")


if __name__ == "__main__":
    main()
