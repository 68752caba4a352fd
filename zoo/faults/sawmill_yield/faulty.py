# Course work: predict how much board a sawmill gets out of a log.
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def make_logs(n):
    """length, diameter, taper, bend, moisture, knots, blade width, speed"""
    x = np.random.rand(n, 8)
    volume = 8.0 * x[:, 0] * x[:, 1] ** 2
    loss_by_shape = 3.0 * x[:, 2] * x[:, 3] + 2.0 * np.sin(np.pi * x[:, 3])
    loss_by_wood = 1.5 * x[:, 4] * (x[:, 5] > 0.5)
    loss_by_saw = 2.0 * (x[:, 6] - 0.5) ** 2 + x[:, 7] * x[:, 6]
    y = volume - loss_by_shape - loss_by_wood - loss_by_saw
    y = y + 0.1 * np.random.randn(n)
    return x.astype(np.float32), y.astype(np.float32)


def prepare():
    x, y = make_logs(3000)
    x_train, x_test = x[:2400], x[2400:]
    y_train, y_test = y[:2400], y[2400:]
    x_mean, x_std = x_train.mean(0), x_train.std(0)
    y_mean, y_std = y_train.mean(), y_train.std()
    x_train, x_test = (x_train - x_mean) / x_std, (x_test - x_mean) / x_std
    y_train, y_test = (y_train - y_mean) / y_std, (y_test - y_mean) / y_std
    train = TensorDataset(torch.from_numpy(x_train), torch.from_numpy(y_train))
    return train, torch.from_numpy(x_test), torch.from_numpy(y_test)


def build():
    return nn.Sequential(
        nn.Linear(8, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 1),
    )


def r2_score(model, x, y):
    model.eval()
    with torch.no_grad():
        pred = model(x).squeeze(1)
    model.train()
    return 1 - ((pred - y) ** 2).sum().item() / ((y - y.mean()) ** 2).sum().item()


def train(model, loader, x_test, y_test, epochs=25):
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=15, gamma=0.5)
    history = []
    for epoch in range(epochs):
        optimizer.zero_grad()
        running = 0.0
        for xb, yb in loader:
            pred = model(xb).squeeze(1)
            loss = criterion(pred, yb)
            loss.backward()
            optimizer.step()
            running += loss.item()
        scheduler.step()
        history.append(running / len(loader))
        if epoch % 5 == 0:
            print("epoch %3d   train mse %.4f   r2 %.4f" % (epoch, history[-1], r2_score(model, x_test, y_test)))
    return history


train_set, x_test, y_test = prepare()
loader = DataLoader(train_set, batch_size=40, shuffle=True)
model = build()
print("parameters:", sum(p.numel() for p in model.parameters()))
history = train(model, loader, x_test, y_test)
print("best train mse %.4f" % min(history))
print("test r2 %.4f" % r2_score(model, x_test, y_test))
