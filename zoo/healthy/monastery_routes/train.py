"""Implicit graph network: which order does each monastery follow, from a few charters and the roads between houses.

The hidden states are the fixed point of Z = tanh(A Z W + X U + b); the backward pass solves the adjoint
fixed point in a hook, so memory does not grow with the number of iterations.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

torch.manual_seed(40)
N, ORDERS, DIM, HIDDEN = 600, 4, 16, 32


def kingdom(rng):
    order = rng.integers(0, ORDERS, N)
    same = order[:, None] == order[None, :]
    roads = np.triu(rng.random((N, N)) < np.where(same, 0.026, 0.0022), 1)
    adj = torch.as_tensor(roads | roads.T, dtype=torch.float32) + torch.eye(N)
    scale = adj.sum(1).rsqrt()
    signal = rng.normal(0, 1.0, (ORDERS, DIM))
    x = 0.35 * signal[order] + rng.normal(0, 1.0, (N, DIM))
    return torch.as_tensor(x, dtype=torch.float32), scale[:, None] * adj * scale, torch.as_tensor(order)


def fixed_point(step, z, tol=1e-5, limit=200):
    for k in range(1, limit + 1):
        new = step(z)
        if (new - z).norm() < tol * (1e-8 + new.norm()):
            return new, k
        z = new
    return z, limit


class Equilibrium(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Parameter(0.5 * torch.eye(HIDDEN) + 0.02 * torch.randn(HIDDEN, HIDDEN))
        self.inject = nn.Linear(DIM, HIDDEN)
        self.iterations = {"forward": 0, "backward": 0}

    def step(self, z, drive, roads):
        return torch.tanh(roads @ z @ self.mix + drive)

    def forward(self, x, roads):
        drive = self.inject(x)
        with torch.no_grad():
            star, n = fixed_point(lambda z: self.step(z, drive, roads), torch.zeros_like(drive))
        self.iterations["forward"] = n
        z = self.step(star, drive, roads)               # one tracked step through the parameters
        if z.requires_grad:
            anchor = star.clone().requires_grad_()
            f = self.step(anchor, drive.detach(), roads)

            def adjoint(grad):
                pull = lambda g: torch.autograd.grad(f, anchor, g, retain_graph=True)[0] + grad
                g, self.iterations["backward"] = fixed_point(pull, grad)
                return g

            z.register_hook(adjoint)
        return z

    @torch.no_grad()
    def contract(self, radius=0.95):
        """Keep the map a contraction: the normalized adjacency has norm one, tanh is 1-Lipschitz."""
        norm = torch.linalg.matrix_norm(self.mix, 2)
        if norm > radius:
            self.mix.mul_(radius / norm)


class OrderNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.core, self.norm, self.head = Equilibrium(), nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, ORDERS)

    def forward(self, x, roads):
        x = F.dropout(x, 0.3, self.training)
        z = self.norm(self.core(x, roads))
        return self.head(F.dropout(z, 0.4, self.training))


def check_adjoint():
    """The hook's gradient agrees with plain backpropagation through many steps."""
    core, x = Equilibrium(), torch.randn(12, DIM)
    a = torch.rand(12, 12)
    roads = (a + a.T) / (a + a.T).sum(1).max()
    core(x, roads).pow(2).sum().backward()
    implicit, core.mix.grad = core.mix.grad, None
    drive, z = core.inject(x), torch.zeros(12, HIDDEN)
    for _ in range(200):
        z = core.step(z, drive, roads)
    z.pow(2).sum().backward()
    assert torch.allclose(implicit, core.mix.grad, rtol=1e-2, atol=1e-3)


def main():
    check_adjoint()
    x, roads, y = kingdom(np.random.default_rng(40))
    perm = torch.randperm(N)
    train = torch.cat([perm[y[perm] == c][:20] for c in range(ORDERS)])
    rest = perm[~torch.isin(perm, train)]
    val, test = rest[:120], rest[120:]
    x = (x - x[train].mean(0)) / x[train].std(0)

    net = OrderNet()
    opt = torch.optim.Adam(net.parameters(), lr=5e-3, weight_decay=1e-3)
    best, at_best = 0.0, 0.0
    for epoch in range(151):
        net.train()
        loss = F.cross_entropy(net(x, roads)[train], y[train])
        opt.zero_grad()
        loss.backward()
        opt.step()
        net.core.contract()
        if epoch % 10 == 0:
            net.eval()
            with torch.no_grad():
                hit = (net(x, roads).argmax(1) == y).float()
            if hit[val].mean() > best:
                best, at_best = hit[val].mean().item(), hit[test].mean().item()
            if epoch % 30 == 0:
                print(f"{epoch:3d} loss {loss.item():.3f} val {hit[val].mean():.3f} iterations {net.core.iterations}")
    alone = LogisticRegression(max_iter=500).fit(x[train], y[train]).score(x[test], y[test])
    print(f"test accuracy {at_best:.3f} with the roads, {alone:.3f} from the charters alone, chance 0.25")


if __name__ == "__main__":
    main()
