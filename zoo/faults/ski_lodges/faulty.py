"""Predict the (standardised) heating bill of the lodges from their building data."""
import os
import random
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

seed = int(os.environ.get("SEED", "0"))


def set_seed(s):
    random.seed(s)
    np.random.seed(s)
    torch.manual_seed(s)


def lodges(n=3000):
    area = np.random.uniform(60, 400, n)
    glass = np.random.uniform(0.05, 0.5, n)
    height = np.random.uniform(400, 2400, n)
    guests = np.random.poisson(8, n)
    age = np.random.uniform(0, 90, n)
    bill = area * (0.4 + glass) * (1 + height / 1500) * (1 + age / 120) + 12 * guests
    bill = bill * np.random.normal(1, 0.04, n)
    return np.stack([area, glass, height, guests, age], 1), bill


class BillNet(nn.Module):
    def __init__(self, n_in, hidden):
        super().__init__()
        layers = []
        sizes = [n_in] + hidden + [1]
        for a, b in zip(sizes[:-1], sizes[1:]):
            layers.append(nn.Linear(a, b))
            layers.append(nn.ReLU())
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x).squeeze(1)


def run_epoch(model, loader, loss_fn, optimizer=None):
    model.train(optimizer is not None)
    total = 0.0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            loss = loss_fn(model(x), y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(x)
    return total / len(loader.dataset)


def main():
    set_seed(seed)
    x, y = lodges()
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=seed)
    xs = StandardScaler().fit(x_train)
    ys = StandardScaler().fit(y_train.reshape(-1, 1))

    def as_set(a, b):
        a = torch.tensor(xs.transform(a), dtype=torch.float32)
        b = torch.tensor(ys.transform(b.reshape(-1, 1)).ravel(), dtype=torch.float32)
        return TensorDataset(a, b)

    train_loader = DataLoader(as_set(x_train, y_train), batch_size=32, shuffle=True)
    test_loader = DataLoader(as_set(x_test, y_test), batch_size=256)
    model = BillNet(5, [64, 32])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=5, factor=0.3)
    loss_fn = nn.MSELoss()

    best, best_state, wait = float("inf"), None, 0
    for epoch in range(16):
        train_loss = run_epoch(model, train_loader, loss_fn, optimizer)
        val_loss = run_epoch(model, test_loader, loss_fn)
        scheduler.step(val_loss)
        if val_loss < best:
            best, best_state, wait = val_loss, copy.deepcopy(model.state_dict()), 0
        else:
            wait += 1
        if epoch % 3 == 0:
            print(f"epoch {epoch:02d} train {train_loss:.4f} val {val_loss:.4f}")
        if wait > 12:
            print("early stop at", epoch)
            break

    model.load_state_dict(best_state)
    print(f"test mse {run_epoch(model, test_loader, loss_fn):.4f} (1.0 = always the mean)")


if __name__ == "__main__":
    main()
