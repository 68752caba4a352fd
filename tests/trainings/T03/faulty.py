"""Training that was interrupted after 20 of 60 epochs, and goes on from its checkpoint."""

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import make_friedman1
from torch import nn

EPOCHS, BATCH = 60, 100


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, EPOCHS)
        self.start = 0

    def save(self, path, epoch):
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": epoch}
        state["scheduler"] = self.scheduler.state_dict()
        torch.save(state, path)

    def resume(self, path):
        checkpoint = torch.load(path)
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.start = checkpoint["epoch"]

    def train(self, x, y, until):
        for epoch in range(self.start, until):
            total = 0.0
            for rows in torch.randperm(len(x)).split(BATCH):
                loss = nn.functional.mse_loss(self.model(x[rows])[:, 0], y[rows])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                total += loss.item()
            self.scheduler.step()
            print(f"epoch {epoch}: loss {total * BATCH / len(x):.4f}, rate {self.optimizer.param_groups[0]['lr']:.2g}")


torch.manual_seed(4)
x, y = (torch.tensor(a, dtype=torch.float32) for a in make_friedman1(1000, noise=0.1, random_state=0))
x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
path = Path(tempfile.mkdtemp()) / "checkpoint.pt"

first = Trainer()
first.train(x, y, 20)
first.save(path, 20)

second = Trainer()
second.resume(path)
second.train(x, y, EPOCHS)
