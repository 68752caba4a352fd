# Homework 3: from which of three growers is the wine, by its chemistry?
import os
import random

import numpy as np
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold
from torch import nn, optim

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def load():
    wine = load_wine()
    x = torch.tensor(wine.data, dtype=torch.float32)
    y = torch.tensor(wine.target, dtype=torch.long)
    return x, y, list(wine.feature_names)


class WineNet(nn.Module):
    def __init__(self, n_in=13, n_hidden=24, n_out=3):
        super(WineNet, self).__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_hidden)
        self.fc3 = nn.Linear(n_hidden, n_out)

    def forward(self, x):
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def fit(model, x, y, epochs=70, batch=12):
    loss_fn = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    model.train()
    for epoch in range(epochs):
        perm = torch.randperm(len(x))
        epoch_loss = 0.0
        for start in range(0, len(x), batch):
            rows = perm[start:start + batch]
            optimizer.zero_grad()
            loss = loss_fn(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item() * len(rows)
        if epoch % 20 == 0 or epoch == epochs - 1:
            print(f"    epoch {epoch:3d} loss {epoch_loss / len(x):.4f}")
    return model


def score(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


x, y, names = load()
print(f"{len(x)} wines, {len(names)} measurements, growers {torch.bincount(y).tolist()}")

scores = []
folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=seed)
for k, (train_rows, test_rows) in enumerate(folds.split(x, y)):
    print(f"fold {k}")
    x_train, y_train = x[train_rows], y[train_rows]
    x_test, y_test = x[test_rows], y[test_rows]
    mean, std = x_train.mean(0), x_train.std(0)
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    model = fit(WineNet(), x_train, y_train)
    scores.append(score(model, x_test, y_test))
    print(f"    accuracy {scores[-1]:.3f}")

print(f"mean accuracy over folds {np.mean(scores):.4f}")
