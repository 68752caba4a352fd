"""Compress one-day barograph rolls (64 readings) to 6 numbers with an autoencoder."""
import math

import torch
from torch import nn

torch.manual_seed(5)


def draw_rolls(n, length=64):
    t = torch.linspace(0, 1, length)
    level = torch.randn(n, 1) * 0.8
    trend = torch.randn(n, 1) * (t - 0.5) * 1.5
    phase = torch.rand(n, 1) * 2 * math.pi
    tide = 0.4 * torch.rand(n, 1) * torch.sin(4 * math.pi * t + phase)
    when = 0.2 + 0.6 * torch.rand(n, 1)
    drop = torch.randn(n, 1).abs() * 1.6
    front = -drop * torch.sigmoid((t - when) * 30)
    return level + trend + tide + front + 0.03 * torch.randn(n, length)


class RollAutoencoder(nn.Module):
    def __init__(self, length=64, code=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(length, 96), nn.ReLU(),
                                     nn.Linear(96, 48), nn.ReLU(),
                                     nn.Linear(48, code))
        self.decoder = nn.Sequential(nn.Linear(code, 48), nn.ReLU(),
                                     nn.Linear(48, 96), nn.ReLU(),
                                     nn.Linear(96, length))

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Trainer:
    """The card holds only a few rolls at once, so a batch is fed in slices."""

    def __init__(self, model, data, held_out, batch_size=64, micro_batch=8, lr=0.1):
        self.model = model
        self.data = data
        self.held_out = held_out
        self.batch_size = batch_size
        self.micro_batch = micro_batch
        self.accum = batch_size // micro_batch
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.criterion = nn.MSELoss()

    def batches(self):
        order = torch.randperm(len(self.data))
        for i in range(0, len(order) - self.batch_size + 1, self.batch_size):
            yield self.data[order[i:i + self.batch_size]]

    def train_step(self, batch):
        total = 0.0
        self.optimizer.zero_grad()
        for micro in batch.split(self.micro_batch):
            loss = self.criterion(self.model(micro), micro) / self.accum
            loss.backward()
            total += loss.item()
        self.optimizer.step()
        return total

    def validate(self):
        self.model.eval()
        with torch.no_grad():
            out = self.model(self.held_out)
            err = (out - self.held_out).pow(2).mean()
            var = (self.held_out - self.data.mean(0)).pow(2).mean()
        return (err / var).item()

    def fit(self, epochs):
        for epoch in range(epochs):
            self.model.train()
            losses = [self.train_step(b) for b in self.batches()]
            if epoch % 5 == 4:
                mean = sum(losses) / len(losses)
                print(f"epoch {epoch + 1:3d}  train mse {mean:.4f}  unexplained {self.validate():.4f}")


rolls = draw_rolls(2000)
held_out = draw_rolls(500)
mean, std = rolls.mean(), rolls.std()
rolls, held_out = (rolls - mean) / std, (held_out - mean) / std

model = RollAutoencoder()
trainer = Trainer(model, rolls, held_out)
trainer.fit(30)
print(f"unexplained variance {trainer.validate():.4f}")
