"""Grain silo monitoring: one network predicts moisture (regression) and spoilage stage (3 classes)."""
import logging
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("silo")

torch.manual_seed(4)
rng = np.random.default_rng(4)


@dataclass
class SiloConfig:
    n_train: int = 3000
    n_test: int = 800
    n_probes: int = 16
    hidden: int = 64
    batch_size: int = 64
    epochs: int = 14
    lr: float = 0.02
    momentum: float = 0.9


def simulate_silos(cfg: SiloConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = cfg.n_train + cfg.n_test
    latent = rng.normal(size=(n, 4))
    mixing = rng.normal(size=(4, cfg.n_probes))
    probes = 20 + 5 * (latent @ mixing + 0.3 * rng.normal(size=(n, cfg.n_probes)))
    moisture = 14 + 2 * np.tanh(latent[:, 0] * latent[:, 1]) + 1.5 * latent[:, 2] + 0.2 * rng.normal(size=n)
    heat = latent[:, 3] + np.sin(2 * latent[:, 0])
    stage = np.digitize(heat, [-0.6, 0.6])
    return probes, moisture, stage


class UncertaintyWeighting(nn.Module):
    """Homoscedastic task weighting: one learnable log variance for each task."""

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.log_var = nn.Parameter(torch.zeros(n_tasks))

    def forward(self, losses: torch.Tensor) -> torch.Tensor:
        weighted = torch.exp(self.log_var) * losses
        return (weighted + 0.5 * self.log_var).sum()


class SiloNet(nn.Module):
    def __init__(self, cfg: SiloConfig) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(cfg.n_probes, cfg.hidden), nn.ReLU(),
            nn.Linear(cfg.hidden, cfg.hidden), nn.ReLU(),
        )
        self.moisture = nn.Linear(cfg.hidden, 1)
        self.stage = nn.Linear(cfg.hidden, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(x)
        return self.moisture(features).squeeze(-1), self.stage(features)


class ActivityMonitor:
    """Collects the share of active units of each ReLU during training."""

    def __init__(self, model: nn.Module) -> None:
        self.shares: dict[str, list[float]] = defaultdict(list)
        for name, module in model.named_modules():
            if isinstance(module, nn.ReLU):
                module.register_forward_hook(self.make_hook(name))

    def make_hook(self, name: str):
        def hook(module, inputs, output):
            if module.training:
                self.shares[name].append((output > 0).float().mean().item())

        return hook

    def flush(self) -> str:
        text = " ".join(f"{name}={np.mean(values):.2f}" for name, values in self.shares.items())
        self.shares.clear()
        return text


cfg = SiloConfig()
probes, moisture, stage = simulate_silos(cfg)
x = torch.tensor((probes - probes[:cfg.n_train].mean(0)) / probes[:cfg.n_train].std(0), dtype=torch.float32)
y = torch.tensor((moisture - moisture[:cfg.n_train].mean()) / moisture[:cfg.n_train].std(), dtype=torch.float32)
c = torch.tensor(stage)
train = TensorDataset(x[:cfg.n_train], y[:cfg.n_train], c[:cfg.n_train])
loader = DataLoader(train, batch_size=cfg.batch_size, shuffle=True)

model = SiloNet(cfg)
weighting = UncertaintyWeighting(2)
monitor = ActivityMonitor(model)
optimizer = torch.optim.SGD([*model.parameters(), *weighting.parameters()], lr=cfg.lr, momentum=cfg.momentum)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cfg.epochs)

for epoch in range(1, cfg.epochs + 1):
    model.train()
    total = 0.0
    for xb, yb, cb in loader:
        pred, logits = model(xb)
        loss = weighting(torch.stack([0.5 * F.mse_loss(pred, yb), F.cross_entropy(logits, cb)]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    scheduler.step()
    log.info("epoch %d objective %.3f active %s", epoch, total / len(loader), monitor.flush())

model.eval()
with torch.no_grad():
    pred, logits = model(x[cfg.n_train:])
target = y[cfg.n_train:]
r2 = 1 - ((pred - target) ** 2).mean() / target.var()
accuracy = (logits.argmax(1) == c[cfg.n_train:]).float().mean()
print(f"stage accuracy {accuracy:.4f}")
print(f"moisture r2 {r2:.4f}")
