"""Learn the law of two populations from noisy counts: a neural ODE with fixed Runge-Kutta steps."""
import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

DT = 0.1


def counts(start: np.ndarray, n: int) -> np.ndarray:
    """Logarithms of hares and foxes at n times."""

    def law(_t, u):
        hares, foxes = np.exp(u)
        return [1.0 - 0.8 * foxes, -1.0 + 0.6 * hares]

    return solve_ivp(law, (0, DT * (n - 1)), start, t_eval=DT * np.arange(n), rtol=1e-8, atol=1e-8).y.T


class Field(nn.Module):
    def __init__(self, hidden: int = 32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 2))

    def forward(self, u: Tensor) -> Tensor:
        return self.net(u)


def rk4(f: nn.Module, u: Tensor, h: float) -> Tensor:
    k1 = f(u)
    k2 = f(u + 0.5 * h * k1)
    k3 = f(u + 0.5 * h * k2)
    k4 = f(u + h * k3)
    return u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def roll(f: nn.Module, u: Tensor, n: int) -> Tensor:
    path = [u]
    for _ in range(n - 1):
        path.append(rk4(f, path[-1], DT))
    return torch.stack(path, dim=1)


def windows(paths: Tensor, length: int, n: int) -> Tensor:
    """n stretches of the paths, each from a random path and time."""
    which = torch.randint(len(paths), (n,))
    begin = torch.randint(paths.shape[1] - length + 1, (n,))
    return paths[which[:, None], begin[:, None] + torch.arange(length)]


def main() -> None:
    rng = np.random.default_rng(90)
    torch.manual_seed(90)
    truth = np.stack([counts(rng.uniform(-0.6, 0.8, 2), 80) for _ in range(24)])
    paths = torch.tensor(truth, dtype=torch.float32)
    train = paths[:18] + 0.02 * torch.randn(18, 80, 2)
    test = paths[18:]

    field = Field()
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-2)
    steps = 300
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=1e-4)
    for step in range(1, steps + 1):
        seen = windows(train, 10, 64)
        loss = (roll(field, seen[:, 0], 10) - seen).pow(2)[:, 1:].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 60 == 0:
            with torch.no_grad():
                ahead = roll(field, test[:, 0], 80)
            error = (ahead - test).pow(2).mean().sqrt()
            print(f"step {step} loss {loss.item():.5f} error of 8 time units ahead {error:.3f} (spread {test.std():.2f})")


if __name__ == "__main__":
    main()
