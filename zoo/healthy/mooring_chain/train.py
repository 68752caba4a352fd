"""Tension of a mooring chain over the days: a Gaussian process with a tidal and a slow part, fitted by LBFGS."""
import math
import os

import torch

SEED = int(os.environ.get("SEED", "0"))
torch.set_default_dtype(torch.float64)


def tension(n, g):
    t = torch.sort(30 * torch.rand(n, generator=g)).values
    tide = 0.8 * torch.sin(2 * math.pi * t / 2.6) * (1 + 0.3 * torch.sin(t / 7))
    slow = 0.6 * torch.cos(t / 6) + 0.02 * t
    return t, tide + slow, tide + slow + 0.1 * torch.randn(n, generator=g)


class ChainGP(torch.nn.Module):
    def __init__(self, start):
        super().__init__()
        self.log_slow_len = torch.nn.Parameter(start[0].clone())
        self.log_slow_amp = torch.nn.Parameter(start[1].clone())
        self.log_tide_amp = torch.nn.Parameter(start[2].clone())
        self.log_tide_len = torch.nn.Parameter(start[3].clone())
        self.log_period = torch.nn.Parameter(torch.tensor(math.log(2.5)) + 0.02 * start[4])
        self.log_noise = torch.nn.Parameter(torch.tensor(math.log(0.3)))

    def kernel(self, a, b):
        d = a[:, None] - b[None, :]
        slow = torch.exp(2 * self.log_slow_amp) * torch.exp(-0.5 * (d / torch.exp(self.log_slow_len + 1)) ** 2)
        wave = torch.exp(-2 * torch.sin(math.pi * d / self.log_period.exp()) ** 2)
        fade = torch.exp(-0.5 * (d / torch.exp(self.log_tide_len + 2)) ** 2)
        return slow + torch.exp(2 * self.log_tide_amp) * wave * fade

    def factor(self, t):
        noise = torch.exp(2 * self.log_noise) + 1e-8
        return torch.linalg.cholesky(self.kernel(t, t) + noise * torch.eye(len(t)))

    def nll(self, t, y):
        low = self.factor(t)
        white = torch.linalg.solve_triangular(low, y[:, None], upper=False)
        return (0.5 * white.pow(2).sum() + low.diagonal().log().sum()) / len(t) + 0.5 * math.log(2 * math.pi)

    @torch.no_grad()
    def predict(self, t, y, new):
        low = self.factor(t)
        cross = self.kernel(t, new)
        mean = cross.T @ torch.cholesky_solve(y[:, None], low)
        half = torch.linalg.solve_triangular(low, cross, upper=False)
        var = self.kernel(new[:1], new[:1]).squeeze() - half.pow(2).sum(0)
        return mean.squeeze(1), var.clamp(min=1e-10).sqrt()


def fit(gp, t, y, rounds=8):
    opt = torch.optim.LBFGS(gp.parameters(), lr=1.0, max_iter=8, history_size=10, line_search_fn="strong_wolfe")

    def closure():
        opt.zero_grad()
        loss = gp.nll(t, y)
        loss.backward()
        return loss

    for _ in range(rounds):
        opt.step(closure)
    with torch.no_grad():
        return gp.nll(t, y).item()


def main():
    g = torch.Generator().manual_seed(SEED)
    t, clean, y = tension(480, g)
    pick = torch.randperm(len(t), generator=g)
    train, test = pick[:300].sort().values, pick[300:].sort().values
    centre = y[train].mean()
    fitted = []
    for attempt in range(4):
        gp = ChainGP(0.3 * torch.randn(5, generator=g))
        with torch.no_grad():
            before = gp.nll(t[train], y[train] - centre).item()
        after = fit(gp, t[train], y[train] - centre)
        print(f"start {attempt}: negative log likelihood a point {before:.3f} -> {after:.3f}")
        fitted.append((after, attempt, gp))
    loss, _, gp = min(fitted, key=lambda item: item[:2])
    mean, sd = gp.predict(t[train], y[train] - centre, t[test])
    rmse = (mean + centre - clean[test]).pow(2).mean().sqrt().item()
    total = (sd ** 2 + torch.exp(2 * gp.log_noise.detach())).sqrt()
    inside = ((mean + centre - y[test]).abs() < 1.96 * total).double().mean().item()
    print(f"period {gp.log_period.exp().item():.3f} (true 2.6), noise {gp.log_noise.exp().item():.3f} (true 0.1)")
    print(f"test error {rmse:.4f} against a spread of {clean[test].std().item():.3f}; inside the 95 % band {inside:.3f}")


if __name__ == "__main__":
    main()
