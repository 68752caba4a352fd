"""Which cactus is it? Seedlings in the university greenhouse, 14 measurements with the calliper."""
import os
import random
import copy

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SPECIES = ["mammillaria", "opuntia", "rebutia", "gymnocalycium", "astrophytum", "lobivia", "parodia"]


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class SeedlingData:
    """makes the measurements and keeps the three splits"""

    def __init__(self, rng, n=2100, n_features=14):
        centers = rng.normal(0, 0.85, (len(SPECIES), n_features))
        y = rng.integers(0, len(SPECIES), n)
        X = centers[y] + rng.normal(0, 1.0, (n, n_features))
        # the ruler of the second bench is a bit different
        bench = rng.integers(0, 2, n)
        X[:, 3] *= 1.0 + 0.2 * bench
        a, b = int(n * 0.6), int(n * 0.8)
        mu, sd = X[:a].mean(0), X[:a].std(0)
        X = (X - mu) / sd
        X = torch.tensor(X, dtype=torch.float32)
        y = torch.tensor(y, dtype=torch.long)
        self.train = TensorDataset(X[:a], y[:a])
        self.val = TensorDataset(X[a:b], y[a:b])
        self.test = TensorDataset(X[b:], y[b:])


class SeedlingNet(nn.Module):
    def __init__(self, n_in, n_out, width=32, p=0.6):
        super(SeedlingNet, self).__init__()
        self.fc1 = nn.Linear(n_in, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, n_out)
        self.drop1 = nn.Dropout(p)
        self.drop2 = nn.Dropout(p)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.drop1(self.relu(self.fc1(x)))
        x = self.drop2(self.relu(self.fc2(x)))
        return self.fc3(x)


class Trainer:
    def __init__(self, model, data, config):
        self.model = model
        self.config = config
        self.train_loader = DataLoader(data.train, batch_size=config["batch_size"], shuffle=True)
        self.val_loader = DataLoader(data.val, batch_size=210)
        self.test_loader = DataLoader(data.test, batch_size=210)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"], weight_decay=1e-5)
        self.history = {"train_loss": [], "val_acc": []}
        self.best = None

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for xb, yb in self.train_loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(xb), yb)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(xb)
        return total / len(self.train_loader.dataset)

    def evaluate(self, loader):
        # test mode: no gradients
        self.model.eval()
        correct = 0
        total = 0
        with torch.no_grad():
            for xb, yb in loader:
                out = self.model(xb)
                pred = out.argmax(dim=1)
                correct += (pred == yb).sum().item()
                total += yb.size(0)
        return correct / total

    def fit(self):
        best_acc = 0.0
        for epoch in range(1, self.config["epochs"] + 1):
            train_loss = self.train_epoch()
            val_acc = self.evaluate(self.val_loader)
            self.history["train_loss"].append(train_loss)
            self.history["val_acc"].append(val_acc)
            if val_acc > best_acc:
                best_acc = val_acc
                self.best = copy.deepcopy(self.model.state_dict())
            if epoch % 10 == 0:
                print(f"epoch {epoch:3d}  loss {train_loss:.4f}  val acc {val_acc:.4f}")
        self.model.load_state_dict(self.best)
        return self.evaluate(self.test_loader)


if __name__ == "__main__":
    seed = int(os.environ.get("SEED", "0"))
    set_seed(seed)
    config = {"lr": 1e-3, "batch_size": 32, "epochs": 45}
    data = SeedlingData(np.random.default_rng(seed))
    net = SeedlingNet(14, len(SPECIES))
    trainer = Trainer(net, data, config)
    acc = trainer.fit()
    print("best val acc", round(max(trainer.history["val_acc"]), 4))
    print("test accuracy %.4f" % acc)
