"""Echo state network for the water level of a cistern fed by two pumps that go on and off chaotically.

Only the readout is trained; the recurrent net is random and stays so.
"""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))


class Reservoir(nn.Module):
    def __init__(self, n_in: int, size: int = 200, radius: float = 0.9, leak: float = 0.6):
        super().__init__()
        self.size, self.leak = size, leak
        w = torch.randn(size, size) * (torch.rand(size, size) < 0.05)
        w *= radius / torch.linalg.eigvals(w).abs().max()
        self.w = nn.Parameter(w, requires_grad=False)
        self.w_in = nn.Parameter(torch.rand(size, n_in + 1) - 0.5, requires_grad=False)
        self.readout = nn.Linear(size + n_in, 1)

    @torch.no_grad()
    def states(self, u: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(self.size)
        out = []
        for x in u:
            pre = self.w @ h + self.w_in @ torch.cat([x, x.new_ones(1)])
            h = (1 - self.leak) * h + self.leak * torch.tanh(pre)
            out.append(torch.cat([h, x]))
        return torch.stack(out)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.readout(states).squeeze(-1)


def cistern(n: int):
    """Two logistic pumps and a leaking cistern; the target is the next level."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.2, 0.8, 2)
    level, rows = 0.0, []
    for _ in range(n + 200):
        a = 3.8 * a * (1 - a)
        b = 3.6 * b * (1 - b)
        level = 0.8 * level + a * (b > 0.6) - 0.3 * math.sqrt(abs(level))
        rows.append((a, level))
    u = np.array(rows[200:])
    u = (u - u.mean(0)) / u.std(0)
    u = torch.tensor(u, dtype=torch.float32)
    return u[:-1], u[1:, 1]


def main() -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    u, y = cistern(3000)
    net = Reservoir(u.size(1))
    print("parameters", sum(p.numel() for p in net.parameters()),
          "of which trained", sum(p.numel() for p in net.parameters() if p.requires_grad))
    s = net.states(u)
    s, y = s[100:], y[100:]             # washout
    cut = 2200
    optimizer = torch.optim.LBFGS(net.readout.parameters(), lr=1.0, max_iter=20, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        # in the order of time, all at once
        loss = ((net(s[:cut]) - y[:cut]) ** 2).mean() + 1e-6 * net.readout.weight.pow(2).sum()
        loss.backward()
        return loss

    for it in range(20):
        loss = optimizer.step(closure)
        if it % 5 == 4:
            with torch.no_grad():
                err = ((net(s[cut:]) - y[cut:]) ** 2).mean().item()
            print(f"iteration {it + 1:2d} loss {loss.item():.6f} test mse {err:.6f}")
    with torch.no_grad():
        err = ((net(s[cut:]) - y[cut:]) ** 2).mean().item()
    print(f"test nrmse {math.sqrt(err / y[cut:].var().item()):.4f}")


if __name__ == "__main__":
    main()
