"""How many cars wait at the ferry? Counts per quarter of an hour, from clock, weekday, weather and season."""
import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Config:
    n_train: int = 3000
    n_test: int = 800
    hidden: int = 96
    batch_size: int = 60
    epochs: int = 16
    lr: float = 2e-3
    seed: int = 16


def true_rate(hour, weekend, rain, season):
    morning = 14 * torch.exp(-((hour - 7.5) / 1.2) ** 2) * (1 - weekend)
    evening = 11 * torch.exp(-((hour - 17) / 1.8) ** 2)
    trips = 16 * weekend * season * torch.exp(-((hour - 12) / 3) ** 2)
    return (1.0 + morning + evening + trips) * torch.exp(-0.6 * rain)


def observe(n):
    hour = 24 * torch.rand(n)
    weekend = (torch.rand(n) < 2 / 7).float()
    rain = torch.rand(n) * (torch.rand(n) < 0.4)
    season = torch.rand(n)
    angle = 2 * math.pi * hour / 24
    features = torch.stack([torch.sin(angle), torch.cos(angle), torch.sin(2 * angle), torch.cos(2 * angle),
                            weekend - 0.5, 2 * rain, 2 * season - 1], dim=1)
    rate = true_rate(hour, weekend, rain, season)
    return features, torch.poisson(rate), rate


class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(7, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.log_rate = nn.Linear(hidden, 1)
        nn.init.zeros_(self.log_rate.weight)

    def forward(self, x):
        return self.log_rate(self.body(x)).squeeze(-1)


class Trainer:
    def __init__(self, config):
        self.config = config
        self.model = Net(config.hidden)
        self.loss = nn.PoissonNLLLoss(log_input=True, full=False)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, config.epochs)

    def fit(self, x, counts):
        with torch.no_grad():
            self.model.log_rate.bias.fill_(counts.mean().log())
        for epoch in range(self.config.epochs):
            self.model.train()
            batches = torch.randperm(len(x)).split(self.config.batch_size)
            total = 0.0
            for batch in batches:
                self.optimizer.zero_grad()
                loss = self.loss(self.model(x[batch]), counts[batch])
                loss.backward()
                self.optimizer.step()
                total += loss.item()
            self.scheduler.step()
            yield epoch, total / len(batches)

    def evaluate(self, x, counts, rate):
        self.model.eval()
        with torch.no_grad():
            log_rate = self.model(x)
        error = (log_rate.exp() - rate).abs().mean() / rate.mean()
        return self.loss(log_rate, counts).item(), error.item()


if __name__ == "__main__":
    config = Config()
    torch.manual_seed(config.seed)
    x_train, c_train, _ = observe(config.n_train)
    x_test, c_test, r_test = observe(config.n_test)
    trainer = Trainer(config)
    for epoch, train_loss in trainer.fit(x_train, c_train):
        if epoch % 3 == 0 or epoch == config.epochs - 1:
            test_loss, error = trainer.evaluate(x_test, c_test, r_test)
            print(f"epoch {epoch} train {train_loss:.3f} test {test_loss:.3f} relative error of the rate {error:.3f}")
