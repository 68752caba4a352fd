"""Gaussian process for an irregularly sampled signal: hyper-parameters by the marginal likelihood, with L-BFGS."""
import math

import torch

torch.set_default_dtype(torch.float64)


def signal(t):
    return 1.3 * torch.sin(2 * math.pi * t / 1.7) * torch.exp(-0.1 * t) + 0.3 * t


class Kriging:
    NAMES = ("amplitude", "period", "smoothness", "decay", "drift", "noise")

    def __init__(self, t, y):
        self.t, self.mean, self.std = t, y.mean(), y.std()
        self.y = (y - self.mean) / self.std
        start = torch.tensor([1.0, 1.5, 1.0, 5.0, 0.5, 0.3])
        self.theta = start.log().requires_grad_()

    def covariance(self, a, b):
        amp, period, smooth, decay, drift, _ = self.theta.exp()
        gap = a[:, None] - b[None]
        wave = torch.exp(-2 * (torch.sin(math.pi * gap / period) / smooth) ** 2 - 0.5 * (gap / decay) ** 2)
        slow = torch.exp(-0.5 * (gap / 6.0) ** 2)
        return amp**2 * wave + drift**2 * slow

    def factor(self):
        k = self.covariance(self.t, self.t) + (self.theta[-1].exp() ** 2 + 1e-6) * torch.eye(len(self.t))
        return torch.linalg.cholesky(k)

    def misfit(self):
        chol = self.factor()
        alpha = torch.cholesky_solve(self.y[:, None], chol)[:, 0]
        evidence = -0.5 * self.y @ alpha - chol.diagonal().log().sum() - 0.5 * len(self.y) * math.log(2 * math.pi)
        prior = -0.5 * ((self.theta - self.start_mean()) ** 2).sum() / 4
        return -(evidence + prior)

    @staticmethod
    def start_mean():
        return torch.tensor([0.0, 0.4, 0.0, 1.5, 0.0, -1.5])

    def fit(self, rounds=32):
        opt = torch.optim.LBFGS([self.theta], lr=1.0, max_iter=4, history_size=6, line_search_fn="strong_wolfe")

        def closure():
            opt.zero_grad()
            loss = self.misfit()
            loss.backward()
            return loss

        for r in range(rounds):
            loss = opt.step(closure)
            if r % 8 == 0 or r == rounds - 1:
                print(f"round {r:2d} negative log evidence {loss.item():.3f}")

    @torch.no_grad()
    def predict(self, at):
        chol = self.factor()
        cross = self.covariance(self.t, at)
        mean = cross.T @ torch.cholesky_solve(self.y[:, None], chol)[:, 0]
        left = torch.linalg.solve_triangular(chol, cross, upper=False)
        var = self.covariance(at[:1], at[:1])[0, 0] - (left**2).sum(0) + self.theta[-1].exp() ** 2
        return mean * self.std + self.mean, var.clamp(min=1e-9).sqrt() * self.std


def main():
    gen = torch.Generator().manual_seed(6)
    t = torch.rand(130, generator=gen).mul(12).sort().values
    y = signal(t) + 0.15 * torch.randn(130, generator=gen)
    new = torch.rand(200, generator=gen) * 12
    y_new = signal(new) + 0.15 * torch.randn(200, generator=gen)
    model = Kriging(t, y)
    model.fit()
    for name, value in zip(model.NAMES, model.theta.exp().tolist()):
        print(f"  {name:10s} {value:.3f}")
    mean, sd = model.predict(new)
    inside = ((y_new - mean).abs() < 1.96 * sd).double().mean()
    print(f"R2 {1 - ((y_new - mean) ** 2).sum() / ((y_new - y_new.mean()) ** 2).sum():.4f}, {inside:.2%} inside the 95 % band")


if __name__ == "__main__":
    main()
