"""Remaining condition of a hydraulic valve from two pressure channels."""
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


BN = {"eps": 1e-3, "momentum": 0.99}


def simulate(n, length=64):
    t = torch.linspace(0, 1, length)
    wear = torch.rand(n)
    load = 0.6 + 0.8 * torch.rand(n)
    shift = 2 * math.pi * torch.rand(n, 1)
    ripple = torch.sin(2 * math.pi * 7 * t + shift)
    pump = load[:, None] * (1 - torch.exp(-t / (0.05 + 0.2 * wear[:, None]))) + 0.15 * ripple
    tank = 0.5 * load[:, None] * torch.sin(math.pi * t) * (1 - 0.5 * wear[:, None]) - 0.15 * ripple
    x = torch.stack([pump, tank], dim=1) + 0.08 * torch.randn(n, 2, length)
    return x, (wear - 0.5) * math.sqrt(12)


def conv_block(n_in, n_out):
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, 5, padding=2, bias=False),
        nn.BatchNorm1d(n_out, **BN),
        nn.ReLU(),
        nn.MaxPool1d(2),
    )


class ValveModule(nn.Module):
    def __init__(self, learning_rate=2e-3, max_epochs=8):
        super().__init__()
        self.learning_rate, self.max_epochs = learning_rate, max_epochs
        self.net = nn.Sequential(
            conv_block(2, 16), conv_block(16, 24), conv_block(24, 32),
            nn.Flatten(), nn.Linear(32 * 8, 32, bias=False), nn.BatchNorm1d(32, **BN), nn.ReLU(), nn.Linear(32, 1),
        )  # fmt: skip
        self.errors = []

    def forward(self, x):
        return self.net(x).squeeze(1)

    def training_step(self, batch):
        x, y = batch
        return nn.functional.mse_loss(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        self.errors.append((self(x) - y).square())

    def on_validation_end(self, epoch):
        print(f"epoch {epoch} val_mse {torch.cat(self.errors).mean().item():.4f}")
        self.errors.clear()

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning_rate)
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.max_epochs)


def fit(module, train_loader, val_loader):
    optimizer, scheduler = module.configure_optimizers()
    for epoch in range(1, module.max_epochs + 1):
        module.train()
        for batch in train_loader:
            loss = module.training_step(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
        module.eval()
        with torch.no_grad():
            for batch in val_loader:
                module.validation_step(batch)
        module.on_validation_end(epoch)


if __name__ == "__main__":
    torch.manual_seed(8)
    train_set = TensorDataset(*simulate(803))
    val_set = TensorDataset(*simulate(300))
    fit(
        ValveModule(),
        DataLoader(train_set, batch_size=8, shuffle=True),
        DataLoader(val_set, batch_size=100),
    )
