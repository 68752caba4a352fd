import numpy as np
import torch
from sklearn.datasets import make_friedman1
from torch import nn

torch.manual_seed(19)
rng = np.random.default_rng(19)


def standardise(train, *others):
    mean, std = train.mean(0), train.std(0)
    return [torch.tensor((a - mean) / std, dtype=torch.float32) for a in (train, *others)]


def make_trainer(model, lr):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(x, y):
        model.train()
        loss = ((model(x).squeeze(1) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def score(x, y):
        model.eval()
        with torch.no_grad():
            residual = y - model(x).squeeze(1)
        return 1 - (residual.var() + residual.mean() ** 2).item() / y.var().item()

    return step, score


def build(n_in, sizes, p):
    layers = []
    for size in sizes:
        layers += [nn.Linear(n_in, size), nn.ReLU()]
        n_in = size
    layers += [nn.Dropout(p), nn.Linear(n_in, 1)]
    return nn.Sequential(*layers)


X, y = make_friedman1(n_samples=2400, n_features=8, noise=0.5, random_state=2)
x_train, x_test = standardise(X[:1800], X[1800:])
y_train, y_test = standardise(y[:1800], y[1800:])

step, score = make_trainer(build(8, (96, 96), p=0.3), lr=2e-3)
for epoch in range(1, 31):
    order = rng.permutation(len(x_train))
    losses = [step(x_train[rows], y_train[rows]) for rows in np.array_split(order, 30)]
    if epoch % 5 == 0:
        print(f"epoch {epoch}: train mse {np.mean(losses):.3f}, test R2 {score(x_test, y_test):.3f}")
