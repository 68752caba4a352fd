# Strength of fired bricks from the record of the kiln. LightningModule-like, without Lightning.
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class BrickData:
    names = ["peak", "hold", "clay", "sand", "water", "draught", "stack", "season"]

    def __init__(self, seed, batch_size=64):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(2600, len(self.names)))
        y = (1.5 * x[:, 0] - np.abs(x[:, 1]) + x[:, 2] * x[:, 3]
             + np.sin(2 * x[:, 4]) + 0.5 * x[:, 5] + 0.2 * rng.normal(size=len(x)))
        self.y_mean, self.y_std = y[:1800].mean(), y[:1800].std()
        y = (y - self.y_mean) / self.y_std
        x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
        self.train = TensorDataset(x[:1800], y[:1800])
        self.val = TensorDataset(x[1800:2200], y[1800:2200])
        self.test = TensorDataset(x[2200:], y[2200:])
        self.batch_size = batch_size

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True, drop_last=True)

    def val_dataloader(self):
        return DataLoader(self.val, batch_size=200)

    def test_dataloader(self):
        return DataLoader(self.test, batch_size=200)


class LogCoshLoss(nn.Module):
    """Smooth like the square near zero, robust like the absolute error far out."""

    def forward(self, prediction, target):
        d = prediction - target
        return torch.mean(d + nn.functional.softplus(-2.0 * d) - np.log(2.0))


class ResidualLayer(nn.Module):
    def __init__(self, width, dropout):
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(),
                                  nn.Dropout(dropout), nn.Linear(width, width))

    def forward(self, x):
        return x + self.body(x)


class StrengthModule(nn.Module):
    def __init__(self, n_in, width=64, depth=2, dropout=0.05, lr=2e-3, epochs=25):
        super().__init__()
        self.hparams = dict(lr=lr, epochs=epochs)
        self.net = nn.Sequential(nn.Linear(n_in, width),
                                 *[ResidualLayer(width, dropout) for _ in range(depth)],
                                 nn.LayerNorm(width), nn.Linear(width, 1))
        self.criterion = LogCoshLoss()

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        x, y = batch
        return self.criterion(self(x).flatten(), y)

    def validation_step(self, batch, _):
        x, y = batch
        prediction = self(x).flatten()
        return {"se": ((prediction - y) ** 2).sum().item(), "sum": y.sum().item(),
                "sq": (y ** 2).sum().item(), "n": len(y)}

    def validation_epoch_end(self, outputs):
        total = {k: sum(o[k] for o in outputs) for k in outputs[0]}
        spread = total["sq"] - total["sum"] ** 2 / total["n"]
        return 1 - total["se"] / spread

    def configure_optimizers(self):
        opt = torch.optim.AdamW(self.parameters(), lr=self.hparams["lr"], weight_decay=1e-3)
        sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=self.hparams["epochs"])
        return opt, sch


class MiniTrainer:
    def __init__(self, max_epochs, gradient_clip_val):
        self.max_epochs = max_epochs
        self.gradient_clip_val = gradient_clip_val

    def fit(self, module, data):
        optimizer, scheduler = module.configure_optimizers()
        loader = data.train_dataloader()
        for epoch in range(self.max_epochs):
            module.train()
            losses = []
            for i, batch in enumerate(loader):
                optimizer.zero_grad()
                loss = module.training_step(batch, i)
                loss.backward()
                nn.utils.clip_grad_norm_(module.parameters(), self.gradient_clip_val)
                optimizer.step()
                losses.append(loss.item())
            scheduler.step()
            if epoch % 5 == 4:
                r2 = self.evaluate(module, data.val_dataloader())
                print(f"epoch {epoch + 1}: train/loss {np.mean(losses):.4f}  val/r2 {r2:.4f}")

    @torch.no_grad()
    def evaluate(self, module, loader):
        module.eval()
        return module.validation_epoch_end(
            [module.validation_step(batch, i) for i, batch in enumerate(loader)])


if __name__ == "__main__":
    seed = int(os.environ.get("SEED", "0"))
    seed_everything(seed)
    data = BrickData(seed)
    module = StrengthModule(len(data.names), epochs=25)
    trainer = MiniTrainer(max_epochs=25, gradient_clip_val=1.0)
    trainer.fit(module, data)
    print(f"test r2 {trainer.evaluate(module, data.test_dataloader()):.4f}")
