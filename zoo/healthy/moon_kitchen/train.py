import numpy as np
import torch
from sklearn.datasets import make_moons
from torch import nn

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


class RandomKitchenSink(nn.Module):
    """Cosines in random directions, drawn once and never trained; only the last layer is."""

    def __init__(self, n_in, features, width):
        super().__init__()
        self.project = nn.Linear(n_in, features)
        nn.init.normal_(self.project.weight, std=1 / width)
        nn.init.uniform_(self.project.bias, 0, 2 * np.pi)
        self.project.requires_grad_(False)
        self.last = nn.Linear(features, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.norm = (2 / features) ** 0.5

    def forward(self, x):
        return self.last(self.norm * torch.cos(self.project(x))).squeeze(1)


def table(n, seed):
    """Two interleaved clusters among four columns, two of which say nothing."""
    x, y = make_moons(n, noise=0.18, random_state=seed)
    extra = np.random.default_rng(seed).standard_normal((n, 2))
    return torch.tensor(np.hstack([x * 2, 0.5 * extra])), torch.tensor(y, dtype=torch.float64)


x, y = table(1500, 10)
x_test, y_test = table(1000, 11)
centre, spread = x.mean(0), x.std(0)
x, x_test = (x - centre) / spread, (x_test - centre) / spread

model = RandomKitchenSink(4, 500, width=2.2)
ridge = 1e-6
optimizer = torch.optim.LBFGS(model.last.parameters(), lr=1, max_iter=4, history_size=8, line_search_fn="strong_wolfe")


def objective():
    fit = nn.functional.binary_cross_entropy_with_logits(model(x), y)
    return fit + ridge * model.last.weight.square().sum()


def closure():
    optimizer.zero_grad()
    value = objective()
    value.backward()
    return value


for it in range(1, 31):
    value = optimizer.step(closure)
    if it % 5 == 0 or it == 1:
        with torch.no_grad():
            right = ((model(x_test) > 0) == (y_test > 0.5)).double().mean()
        print(f"iteration {it} objective {value.item():.5f} test accuracy {right:.4f}")
