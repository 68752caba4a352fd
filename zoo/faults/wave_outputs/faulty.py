from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split


@dataclass
class Config:
    n_features: int = 12
    n_outputs: int = 5
    hidden: int = 48
    lr: float = 3e-3
    epochs: int = 12


class MultiOutput(nn.Module):
    """One trunk, a small head for each of the quantities."""

    def __init__(self, cfg):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(cfg.n_features, cfg.hidden), nn.ReLU(), nn.Linear(cfg.hidden, cfg.hidden), nn.ReLU())
        self.heads = nn.ModuleList([nn.Linear(cfg.hidden, 1)] * cfg.n_outputs)

    def forward(self, x):
        h = self.trunk(x)
        return torch.cat([head(h) for head in self.heads], dim=1)


def get_data(cfg):
    x = torch.randn(2000, cfg.n_features)
    w = torch.randn(cfg.n_features, cfg.n_outputs)
    y = torch.sin(x @ w * 0.5) + 0.3 * (x @ torch.randn(cfg.n_features, cfg.n_outputs)).tanh()
    y = (y - y.mean(0)) / y.std(0)
    return random_split(TensorDataset(x, y), [1600, 400])


def main():
    torch.manual_seed(11)
    cfg = Config()
    train_set, val_set = get_data(cfg)
    model = MultiOutput(cfg)
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    loss_fn = nn.MSELoss()
    loader = DataLoader(train_set, batch_size=32, shuffle=True)
    for epoch in range(cfg.epochs):
        model.train()
        for xb, yb in loader:
            loss = loss_fn(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            val = sum(loss_fn(model(xb), yb).item() * len(xb) for xb, yb in DataLoader(val_set, 200)) / len(val_set)
        print(f"epoch {epoch} val_loss {val:.4f}")


if __name__ == "__main__":
    main()
