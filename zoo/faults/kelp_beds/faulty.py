"""Kelp biomass from a dive survey."""
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    sites: int = 1500
    held_out: int = 300
    epochs: int = 25
    batch_size: int = 32
    lr: float = 3e-3
    weight_decay: float = 1e-4
    seed: int = 9


def survey(n, rng):
    depth = rng.uniform(2, 25, n)
    slope = rng.gamma(2.0, 6.0, n)
    urchins = rng.poisson(rng.gamma(1.5, 4.0, n)).astype(float)
    nitrate = rng.normal(12, 4, n)
    sand = rng.beta(1.5, 3, n)
    swell = rng.weibull(1.8, n) * 2
    light = np.exp(-0.11 * depth)
    mass = 9 * light * (1 - sand) * np.tanh(np.clip(nitrate, 0, None) / 9) * np.exp(-urchins / 12) + 0.3 * np.sin(swell) * light
    return np.column_stack([depth, slope, urchins, nitrate, sand, swell]), mass + 0.1 * rng.normal(size=n)


def make_loaders(cfg, x, y):
    cut = cfg.sites - cfg.held_out
    scaler = StandardScaler().fit(x[:cut])
    xs = torch.as_tensor(scaler.transform(x), dtype=torch.float32)
    ys = torch.as_tensor(y, dtype=torch.float32).unsqueeze(1)
    train = TensorDataset(xs[:cut], ys[:cut])
    test = TensorDataset(xs[cut:], ys[cut:])
    return (
        DataLoader(train, batch_size=cfg.batch_size, shuffle=True),
        DataLoader(test, batch_size=cfg.batch_size, shuffle=True),
    )


def train_epoch(model, loader, optimizer):
    model.train()
    for x, y in loader:
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


@torch.inference_mode()
def predict(model, loader):
    model.eval()
    return torch.cat([model(x) for x, _ in loader]).squeeze(1).numpy()


def main(cfg):
    torch.manual_seed(cfg.seed)
    x, y = survey(cfg.sites, np.random.default_rng(cfg.seed))
    train_loader, test_loader = make_loaders(cfg, x, y)
    model = nn.Sequential(nn.Linear(6, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
    y_test = y[-cfg.held_out :]
    for epoch in range(1, cfg.epochs + 1):
        train_epoch(model, train_loader, optimizer)
        if epoch % 5 == 0:
            predicted = predict(model, test_loader)
            print(f"epoch {epoch}: mean absolute error {np.abs(predicted - y_test).mean():.3f} kg/m2")


if __name__ == "__main__":
    main(Config())
