"""Strain at mid-span of a bridge from the sensors at the supports, with a fully connected network."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.preprocessing import StandardScaler

SEED = int(os.environ.get("SEED", "0"))


def measure(n, rng, coef):
    load = rng.normal(0, 1, (n, 8))
    temp = rng.uniform(-1, 1, (n, 1))
    wind = rng.normal(0, 0.7, (n, 1))
    x = np.concatenate([load, temp, wind], axis=1)
    strain = load @ coef + 0.8 * np.sin(2 * temp[:, 0]) * load[:, 0] + 0.5 * wind[:, 0] ** 2
    return x, strain + 0.1 * rng.normal(size=n)


class StrainNet(nn.Module):
    def __init__(self, n_in, width=96, p=0.3):
        super().__init__()
        self.fc1 = nn.Linear(n_in, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        self.p = p

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = F.dropout(x, p=self.p, training=self.training)
        x = F.relu(self.fc3(x))
        x = F.dropout(x, p=self.p, training=self.training)
        return self.out(x)


class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.best, self.bad, self.state = patience, float("inf"), 0, None

    def __call__(self, value, model):
        if value < self.best - 1e-4:
            self.best, self.bad = value, 0
            self.state = {k: v.clone() for k, v in model.state_dict().items()}
        else:
            self.bad += 1
        return self.bad > self.patience


def rmse(model, x, y):
    model.eval()
    with torch.no_grad():
        return F.mse_loss(model(x), y).sqrt().item()


def batches(x, y, size):
    order = torch.randperm(len(x))
    for i in range(0, len(x), size):
        pick = order[i:i + size]
        yield x[pick], y[pick]


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    coef = rng.normal(0, 0.7, 8)
    parts = [measure(n, rng, coef) for n in (3000, 500, 800)]
    scale_x = StandardScaler().fit(parts[0][0])
    scale_y = StandardScaler().fit(parts[0][1][:, None])
    tensors = [
        (torch.tensor(scale_x.transform(x), dtype=torch.float32),
         torch.tensor(scale_y.transform(y[:, None]), dtype=torch.float32))
        for x, y in parts
    ]
    (x_train, y_train), (x_val, y_val), (x_test, y_test) = tensors

    model = StrainNet(x_train.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=4)
    stopper = EarlyStopping(patience=12)
    for epoch in range(40):
        model.train()
        total = 0.0
        for xb, yb in batches(x_train, y_train, 64):
            optimizer.zero_grad()
            loss = F.mse_loss(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
        val = rmse(model, x_val, y_val)
        scheduler.step(val)
        if epoch % 4 == 0:
            print(f"epoch {epoch:3d}  train mse {total / len(x_train):.4f}  val rmse {val:.4f}  lr {optimizer.param_groups[0]['lr']:.1e}")
        if stopper(val, model):
            print("early stopping at epoch", epoch)
            break
    model.load_state_dict(stopper.state)
    print(f"test rmse {rmse(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    main()
