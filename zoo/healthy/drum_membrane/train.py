"""A loaded drum skin: solve -laplace(u) = f on the unit square, u = 0 at the rim, with a network."""
import math
import os

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)


def exact(p):
    x, y = p[:, :1], p[:, 1:]
    return torch.sin(math.pi * x) * torch.sin(2 * math.pi * y) + 0.5 * torch.sin(2 * math.pi * x) * torch.sin(math.pi * y)


def load(p):
    return 5 * math.pi ** 2 * exact(p)          # both terms have the eigenvalue 5 pi^2


class Skin(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, p):
        x, y = p[:, :1], p[:, 1:]
        rim = 16 * x * (1 - x) * y * (1 - y)     # zero at the rim by construction
        return rim * self.net(2 * p - 1)


def laplacian(model, p):
    p = p.detach().requires_grad_(True)
    u = model(p)
    g, = torch.autograd.grad(u.sum(), p, create_graph=True)
    uxx, = torch.autograd.grad(g[:, 0].sum(), p, create_graph=True)
    uyy, = torch.autograd.grad(g[:, 1].sum(), p, create_graph=True)
    return uxx[:, :1] + uyy[:, 1:]


def residual_loss(model, p):
    return ((laplacian(model, p) + load(p)) / (5 * math.pi ** 2)).pow(2).mean()


def relative_error(model):
    s = torch.linspace(0, 1, 41)
    p = torch.cartesian_prod(s, s)
    with torch.no_grad():
        e = model(p) - exact(p)
    return (e.norm() / exact(p).norm()).item()


model = Skin()
print(f"start: relative error {relative_error(model):.3f}")

adam = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(500):
    adam.zero_grad()
    loss = residual_loss(model, torch.rand(256, 2))
    loss.backward()
    adam.step()
    if step % 100 == 0:
        print(f"Adam {step} loss {loss.item():.2e} relative error {relative_error(model):.4f}")

points = torch.quasirandom.SobolEngine(2, scramble=True, seed=SEED).draw(600).double()
lbfgs = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=50, history_size=30, line_search_fn="strong_wolfe",
                          tolerance_grad=1e-10, tolerance_change=1e-14)


def closure():
    lbfgs.zero_grad()
    loss = residual_loss(model, points)
    loss.backward()
    return loss


for round_ in range(6):
    loss = lbfgs.step(closure)
    print(f"L-BFGS round {round_} loss {loss.item():.2e} relative error {relative_error(model):.5f}")
print(f"final relative error {relative_error(model):.5f}")
