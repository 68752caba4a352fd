"""Three forecasts for each bed of the allotment: height, harvest and days until ripe."""
from dataclasses import dataclass, field

import torch
from torch import nn

TARGETS = ["height", "harvest", "days"]


@dataclass
class Config:
    beds: int = 1500
    hidden: int = 40
    lr: float = 2e-3
    epochs: int = 30
    batch_size: int = 50
    seed: int = 2
    weights: dict = field(default_factory=lambda: {"height": 1.0, "harvest": 1.0, "days": 0.5})


def grow(n):
    water, sun, soil, warmth, spacing, seeds = torch.rand(6, n)
    height = 40 + 60 * water * sun + 25 * soil - 10 * spacing
    harvest = 2 + 3 * soil * water - 2 * (seeds - 0.5) ** 2 + 1.5 * torch.sin(3 * spacing)
    days = 110 - 45 * warmth - 15 * sun + 10 * seeds
    x = torch.stack([water, sun, soil, warmth, spacing, seeds], dim=1)
    y = torch.stack([height + 3 * torch.randn(n), harvest + 0.15 * torch.randn(n), days + 2 * torch.randn(n)], dim=1)
    return x, y


class MultiTaskNet(nn.Module):
    def __init__(self, n_in, hidden, n_tasks):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.heads = nn.ModuleList([nn.Linear(hidden, 1)] * n_tasks)

    def forward(self, x):
        h = self.shared(x)
        return [head(h) for head in self.heads]


class Trainer:
    def __init__(self, config):
        torch.manual_seed(config.seed)
        self.config = config
        x, y = grow(config.beds)
        n_test = config.beds // 5
        self.x_test, self.y_test = x[:n_test], y[:n_test]
        self.x, self.y = x[n_test:], y[n_test:]
        self.x_mean, self.x_std = self.x.mean(0), self.x.std(0)
        self.y_mean, self.y_std = self.y.mean(0), self.y.std(0)
        self.model = MultiTaskNet(x.shape[1], config.hidden, len(TARGETS))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self.criterion = nn.MSELoss()

    def training_step(self, idx):
        x = (self.x[idx] - self.x_mean) / self.x_std
        y = (self.y[idx] - self.y_mean) / self.y_std
        outputs = self.model(x)
        loss = 0.0
        for k, name in enumerate(TARGETS):
            loss = loss + self.config.weights[name] * self.criterion(outputs[k], y[:, k : k + 1])
        return loss

    def validate(self):
        self.model.eval()
        with torch.no_grad():
            outputs = torch.cat(self.model((self.x_test - self.x_mean) / self.x_std), dim=1)
        guess = outputs * self.y_std + self.y_mean
        r2 = 1 - ((guess - self.y_test) ** 2).mean(0) / self.y_test.var(0, unbiased=False)
        return r2.tolist()

    def run(self):
        for epoch in range(self.config.epochs):
            self.model.train()
            for idx in torch.randperm(len(self.x)).split(self.config.batch_size):
                loss = self.training_step(idx)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            if epoch % 5 == 4:
                r2 = self.validate()
                scores = ", ".join(f"{name} {score:.3f}" for name, score in zip(TARGETS, r2))
                print(f"epoch {epoch + 1} loss {loss.item():.4f} r2: {scores}, mean {sum(r2) / len(r2):.3f}")


Trainer(Config()).run()
