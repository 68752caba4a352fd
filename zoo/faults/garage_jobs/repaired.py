"""A garage: from the sensor sheet of a car to the jobs it needs (several at once) and the hours it takes."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

N_SENSORS, N_JOBS = 20, 6


def make_cars(n):
    g = torch.Generator().manual_seed(seed + 77)
    causes = torch.randn(n, 8, generator=g)
    mix = torch.randn(8, N_SENSORS, generator=g) / 8 ** 0.5
    sensors = torch.tanh(causes @ mix) + 0.1 * torch.randn(n, N_SENSORS, generator=g)
    rules = torch.randn(8, N_JOBS, generator=g)
    jobs = ((causes @ rules) / 8 ** 0.5 + 0.5 * causes[:, :N_JOBS] * causes[:, 2:2 + N_JOBS] > 0.5).float()
    cost = torch.tensor([0.5, 1.0, 1.5, 2.0, 2.5, 4.0])
    hours = jobs @ cost + 0.7 * causes[:, 0].abs() + 0.2 * torch.randn(n, generator=g)
    return sensors, jobs, hours.unsqueeze(1)


class GarageNet(nn.Module):
    def __init__(self, hidden=96):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(N_SENSORS, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.job_head = nn.Sequential(nn.Linear(hidden, 48), nn.GELU(), nn.Linear(48, N_JOBS))
        self.hour_head = nn.Sequential(nn.Linear(hidden, 48), nn.GELU(), nn.Linear(48, 1))

    def forward(self, x):
        h = self.trunk(x)
        return self.job_head(h), self.hour_head(h)


class MultiTaskTrainer:
    def __init__(self, model, lr=2e-3, hour_weight=0.5):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-2)
        self.job_loss = nn.BCEWithLogitsLoss()
        self.hour_loss = nn.MSELoss()
        self.hour_weight = hour_weight
        self.history = []

    def training_step(self, batch):
        x, jobs, hours = batch
        job_logits, hour_pred = self.model(x)
        lj = self.job_loss(job_logits, jobs)
        lh = self.hour_loss(hour_pred, hours)
        return lj + self.hour_weight * lh, lj.item(), lh.item()

    def fit(self, loader, val_loader, epochs):
        sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)
        for epoch in range(epochs):
            self.model.train()
            jl, hl = [], []
            for batch in loader:
                loss, lj, lh = self.training_step(batch)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                jl.append(lj)
                hl.append(lh)
            sched.step()
            f1, mae = self.validate(val_loader)
            self.history.append((f1, mae))
            if (epoch + 1) % 3 == 0:
                print(f"epoch {epoch + 1:2d} jobs {np.mean(jl):.4f} hours {np.mean(hl):.4f} | val F1 {f1:.3f} MAE {mae:.3f} h")

    @torch.no_grad()
    def validate(self, loader):
        self.model.eval()
        tp = fp = fn = 0
        err, n = 0.0, 0
        for x, jobs, hours in loader:
            logits, pred = self.model(x)
            guess = (torch.sigmoid(logits) > 0.5).float()
            tp += (guess * jobs).sum().item()
            fp += (guess * (1 - jobs)).sum().item()
            fn += ((1 - guess) * jobs).sum().item()
            err += (pred - hours).abs().sum().item()
            n += len(x)
        return 2 * tp / max(2 * tp + fp + fn, 1), err / n


def main():
    data = TensorDataset(*make_cars(3000))
    train_set, val_set = random_split(data, [2400, 600])
    loader = DataLoader(train_set, batch_size=48, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=300)
    trainer = MultiTaskTrainer(GarageNet())
    trainer.fit(loader, val_loader, epochs=12)
    f1, mae = trainer.validate(val_loader)
    print(f"job F1 {f1:.4f}")
    print(f"hours MAE {mae:.4f}")


main()
