"""A smith's rod cooling in the yard: u_t = k u_xx with both ends in water, k unknown.

Physics-informed net: residual at collocation points, initial and boundary terms, and nine thermocouple
traces from which k is inferred.  Adam for the coarse part, then L-BFGS with a closure on a FIXED set
of points (L-BFGS needs a deterministic objective).  float64 throughout.
"""
import math
import os

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(int(os.environ.get("SEED", "0")))
K_TRUE = 0.12


def exact(x, t):
    p = math.pi
    return (torch.exp(-K_TRUE * p ** 2 * t) * torch.sin(p * x)
            + 0.5 * torch.exp(-K_TRUE * 9 * p ** 2 * t) * torch.sin(3 * p * x))


class Rod(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh(), nn.Linear(h, 1))
        for m in self.net:
            if isinstance(m, nn.Linear):
                nn.init.xavier_normal_(m.weight)
                nn.init.zeros_(m.bias)
        self.log_k = nn.Parameter(torch.tensor(math.log(0.5)))

    def forward(self, x, t):
        return self.net(torch.stack([2 * x - 1, 2 * t - 1], -1)).squeeze(-1)


def residual(rod, x, t):
    x, t = x.clone().requires_grad_(), t.clone().requires_grad_()
    u = rod(x, t)
    ux, ut = torch.autograd.grad(u.sum(), (x, t), create_graph=True)
    (uxx,) = torch.autograd.grad(ux.sum(), x, create_graph=True)
    return ut - rod.log_k.exp() * uxx


sob = torch.quasirandom.SobolEngine(2, scramble=True, seed=int(os.environ.get("SEED", "0")))
inner = sob.draw(600).double()
x0 = torch.linspace(0, 1, 60)
tb = torch.linspace(0, 1, 40)
xs, ts = torch.meshgrid(torch.linspace(0.1, 0.9, 9), torch.linspace(0, 1, 21), indexing="ij")
xs, ts = xs.flatten(), ts.flatten()
measured = exact(xs, ts) + 0.01 * torch.randn_like(xs)
start = exact(x0, torch.zeros_like(x0))


def objective(rod, pts):
    pde = residual(rod, pts[:, 0], pts[:, 1]).pow(2).mean()
    ini = (rod(x0, torch.zeros_like(x0)) - start).pow(2).mean()
    bnd = rod(torch.zeros_like(tb), tb).pow(2).mean() + rod(torch.ones_like(tb), tb).pow(2).mean()
    obs = (rod(xs, ts) - measured).pow(2).mean()
    return pde + 10 * ini + 10 * bnd + 10 * obs


rod = Rod()
adam = torch.optim.Adam(rod.parameters(), lr=3e-3)
for step in range(500):
    loss = objective(rod, torch.rand(150, 2))
    adam.zero_grad()
    loss.backward()
    adam.step()
    if step % 100 == 99:
        print(f"adam {step + 1} loss {loss.item():.2e} k {rod.log_k.exp().item():.4f}")

lbfgs = torch.optim.LBFGS(rod.parameters(), lr=1.0, max_iter=50, history_size=50, line_search_fn="strong_wolfe",
                          tolerance_grad=1e-9, tolerance_change=1e-12)


def closure():
    lbfgs.zero_grad()
    loss = objective(rod, inner)
    loss.backward()
    return loss


for rnd in range(8):
    loss = lbfgs.step(closure)
    print(f"lbfgs round {rnd + 1} loss {loss.item():.2e} k {rod.log_k.exp().item():.4f}")

gx, gt = torch.meshgrid(torch.linspace(0, 1, 101), torch.linspace(0, 1, 101), indexing="ij")
with torch.no_grad():
    err = (rod(gx.flatten(), gt.flatten()) - exact(gx.flatten(), gt.flatten())).norm() / exact(gx, gt).norm()
print(f"k {rod.log_k.exp().item():.4f} (true {K_TRUE}); relative L2 error of the field {err:.4f}")
