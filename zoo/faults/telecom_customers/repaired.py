# Expected data volume of a customer in the coming month (used by the capacity team)
import os
import random
import numpy as np
import torch
import torch.nn as nn
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
torch.set_num_threads(1)


def set_seed(s):
    random.seed(s)
    np.random.seed(s)
    torch.manual_seed(s)


def load_customers(n=4000):
    rs = np.random.RandomState(SEED)
    tenure = rs.gamma(2.0, 14.0, n)
    age = rs.uniform(18, 80, n)
    devices = rs.poisson(2.2, n) + 1
    last = rs.lognormal(2.2, 0.5, (n, 3))          # GB in the last three months
    calls = rs.gamma(1.5, 60, n)
    roaming = (rs.rand(n) < 0.15).astype(float)
    fibre = (rs.rand(n) < 0.4).astype(float)
    price = rs.choice([9.0, 15.0, 25.0, 40.0], n)
    complaints = rs.poisson(0.4, n)
    score = (0.9 * np.log(last).mean(1)
             + 0.5 * np.tanh((40 - age) / 15)
             + 0.25 * devices * (1 - 0.6 * fibre)
             + 0.4 * roaming * np.log1p(calls / 60)
             + 0.3 * np.sin(tenure / 12)
             + 0.015 * price - 0.1 * complaints)
    y = score + rs.normal(0, 0.15, n)
    x = np.column_stack([tenure, age, devices, np.log(last), calls, roaming, fibre, price, complaints])
    return x.astype(np.float32), y.astype(np.float32)


class VolumeNet(nn.Module):
    def __init__(self, n_in, width=96, p=0.4):
        super().__init__()
        self.fc1 = nn.Linear(n_in, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 1)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        x = self.drop(torch.relu(self.fc1(x)))
        x = self.drop(torch.relu(self.fc2(x)))
        return self.fc3(x).squeeze(-1)


class Trainer:
    def __init__(self, model, loaders, lr=2e-3, epochs=20):
        self.model = model
        self.loaders = loaders
        self.epochs = epochs
        self.criterion = nn.MSELoss()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=lr * 2, total_steps=epochs * len(loaders["train"]))
        self.history = []

    def train_epoch(self):
        self.model.train()
        running = 0.0
        for x, y in self.loaders["train"]:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            running += loss.item() * len(y)
        return running / len(self.loaders["train"].dataset)

    @torch.no_grad()
    def validate(self, part):
        self.model.eval()
        preds, targets = [], []
        for x, y in self.loaders[part]:
            preds.append(self.model(x))
            targets.append(y)
        preds, targets = torch.cat(preds), torch.cat(targets)
        mse = self.criterion(preds, targets).item()
        r2 = 1 - mse / targets.var(unbiased=False).item()
        return mse, r2

    def fit(self):
        for epoch in range(self.epochs):
            loss = self.train_epoch()
            mse, r2 = self.validate("val")
            self.history.append((loss, mse, r2))
            if epoch % 3 == 0 or epoch == self.epochs - 1:
                print(f"epoch {epoch:3d} | train {loss:.4f} | val {mse:.4f} | val r2 {r2:.3f}")


def main():
    set_seed(SEED)
    x, y = load_customers()
    x_train, x_rest, y_train, y_rest = train_test_split(x, y, test_size=0.4, random_state=SEED)
    x_val, x_test, y_val, y_test = train_test_split(x_rest, y_rest, test_size=0.5, random_state=SEED)
    scaler = StandardScaler().fit(x_train)
    parts = {"train": (x_train, y_train), "val": (x_val, y_val), "test": (x_test, y_test)}
    loaders = {}
    for name, (a, b) in parts.items():
        ds = TensorDataset(torch.from_numpy(scaler.transform(a)), torch.from_numpy(b))
        loaders[name] = DataLoader(ds, batch_size=64, shuffle=name == "train")
    trainer = Trainer(VolumeNet(x.shape[1]), loaders)
    trainer.fit()
    mse, r2 = trainer.validate("test")
    print(f"test mse {mse:.4f}  test r2 {r2:.4f}")


if __name__ == "__main__":
    main()
