"""Infer stiffness and damping of a diving board from forty noisy readings of its first two seconds."""
import math

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(23)

OMEGA, ZETA, SPAN = 5.0, 0.08, 4.0
ringing = OMEGA * math.sqrt(1 - ZETA ** 2)


def exact(t):
    decay = torch.exp(-ZETA * OMEGA * t)
    return decay * (torch.cos(ringing * t) + ZETA / math.sqrt(1 - ZETA ** 2) * torch.sin(ringing * t))


t_data = torch.linspace(0, 2, 40).unsqueeze(1)
u_data = exact(t_data) + 0.03 * torch.randn_like(t_data)
t_phys = torch.linspace(0, SPAN, 160).unsqueeze(1)


class Board(nn.Module):
    def __init__(self, width=32, frequencies=8):
        super().__init__()
        self.register_buffer("freq", torch.linspace(0.5, 8.0, frequencies))
        self.net = nn.Sequential(nn.Linear(2 * frequencies + 1, width), nn.Tanh(),
                                 nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        self.log_omega = nn.Parameter(torch.tensor(math.log(4.0)))
        self.log_zeta = nn.Parameter(torch.tensor(math.log(0.2)))

    def forward(self, t):
        phase = t * self.freq
        return self.net(torch.cat([t / SPAN * 2 - 1, phase.sin(), phase.cos()], dim=1))

    def residual(self, t):
        t = t.clone().requires_grad_(True)
        u = self(t)
        (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
        omega, zeta = self.log_omega.exp(), self.log_zeta.exp()
        return ddu / omega ** 2 + 2 * zeta / omega * du + u


board = Board()


def objective():
    fit = (board(t_data) - u_data).square().mean()
    physics = board.residual(t_phys).square().mean()
    return fit, physics


def make_closure(optimizer, physics_weight):
    def closure():
        optimizer.zero_grad()
        fit, physics = objective()
        loss = fit + physics_weight * physics
        loss.backward()
        return loss
    return closure


def show(stage):
    fit, physics = objective()
    print(f"{stage:<12} fit {fit.item():.2e}  physics {physics.item():.2e}  "
          f"omega {board.log_omega.exp().item():.4f}  zeta {board.log_zeta.exp().item():.4f}")


show("start")
adam = torch.optim.Adam(board.parameters(), lr=3e-3)
for step in range(1, 1201):
    adam.step(make_closure(adam, 0.1))
    if step % 400 == 0:
        show(f"adam {step}")

lbfgs = torch.optim.LBFGS(board.parameters(), lr=1.0, max_iter=20, history_size=30,
                          tolerance_grad=1e-10, tolerance_change=1e-13, line_search_fn="strong_wolfe")
closure = make_closure(lbfgs, 1.0)
for outer in range(1, 9):
    lbfgs.step(closure)
    if outer % 2 == 0:
        show(f"lbfgs {outer}")

t_new = torch.linspace(2, SPAN, 200).unsqueeze(1)
with torch.no_grad():
    rmse = (board(t_new) - exact(t_new)).square().mean().sqrt().item()
spread = exact(t_new).std().item()
print(f"true omega {OMEGA}, zeta {ZETA}")
print(f"unseen second half: RMSE {rmse:.4f} against a spread of {spread:.4f}, "
      f"R2 {1 - (rmse / spread) ** 2:.4f}")
