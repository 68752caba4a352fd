"""One network for a cheese cellar: which culture grew on the wheel (3 classes) and how many days to ripeness."""
import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class UncertaintyWeights(nn.Module):
    """Homoscedastic uncertainty weighting (Kendall et al.): each task learns its own log variance."""

    def __init__(self, n_tasks: int):
        super().__init__()
        self.log_var = nn.Parameter(torch.zeros(n_tasks))

    def forward(self, *losses):
        stacked = torch.stack(losses)
        return (torch.exp(-self.log_var) * stacked + self.log_var).sum()


class CellarNet(nn.Module):
    def __init__(self, d_in: int, width: int = 64):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(d_in, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.culture = nn.Linear(width, 3)
        self.days = nn.Linear(width, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.culture(h), self.days(h).squeeze(1)


def wheels(n: int, rng: np.random.Generator):
    x = rng.uniform(-1, 1, (n, 5))
    r = np.hypot(x[:, 0], x[:, 1])
    culture = np.digitize(np.sin(3 * x[:, 0]) + np.sin(3 * x[:, 1]) + 0.5 * x[:, 2], [-0.5, 0.5])
    days = 2.0 * np.sin(3 * x[:, 3]) * x[:, 4] + 1.5 * r + rng.normal(0, 0.1, n)
    return (
        torch.tensor(x, dtype=torch.float32),
        torch.tensor(culture),
        torch.tensor(days, dtype=torch.float32),
    )


def report(net, data):
    x, culture, days = data
    net.eval()
    with torch.no_grad():
        logits, pred = net(x)
    acc = (logits.argmax(1) == culture).float().mean().item()
    mae = (pred - days).abs().mean().item()
    return acc, mae


def main():
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    train, test = wheels(2000, rng), wheels(600, rng)
    loader = DataLoader(TensorDataset(*train), batch_size=50, shuffle=True)

    net, weigh = CellarNet(5), UncertaintyWeights(2)
    params = list(net.parameters()) + list(weigh.parameters())
    opt = torch.optim.SGD(params, lr=0.03, momentum=0.9)
    ce, mse = nn.CrossEntropyLoss(), nn.MSELoss()
    for epoch in range(70):
        net.train()
        total = 0.0
        for x, culture, days in loader:
            logits, pred = net(x)
            loss = weigh(ce(logits, culture), mse(pred, days))
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(params, 2.0)
            opt.step()
            total += loss.item()
        if epoch % 10 == 9:
            acc, mae = report(net, test)
            print(f"epoch {epoch + 1} loss {total / len(loader):.4f} culture {acc:.4f} days {mae:.4f}")
    acc, mae = report(net, test)
    print(f"days off by {mae:.4f}")
    print(f"culture accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
