import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


def standardize(train, other):
    mean = train.mean(0, keepdim=True)
    std = train.std(0, keepdim=True)
    return (train - mean) / (std + 1e-2), (other - mean) / (std + 1e-2)


def fit(opts):
    torch.manual_seed(opts.seed)
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32)
    y = torch.tensor(data.target)
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    x_train, x_val = standardize(x[:1400], x[1400:])
    y_train, y_val = y[:1400], y[1400:]

    model = nn.Sequential(
        nn.Linear(64, 80), nn.BatchNorm1d(80), nn.ReLU(), nn.Dropout(0.2), nn.Linear(80, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=opts.lr, momentum=0.9, nesterov=True)
    for epoch in range(opts.epochs):
        model.train()
        losses = []
        for idx in torch.randperm(len(x_train)).split(opts.batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x_train[idx]), y_train[idx])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        model.eval()
        with torch.no_grad():
            acc = (model(x_val).argmax(1) == y_val).float().mean()
        print("epoch %d loss %.4f val acc %.4f" % (epoch, torch.stack(losses).mean(), acc))


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=12)
    p.add_argument("--batch", type=int, default=70)
    p.add_argument("--lr", type=float, default=0.02)
    p.add_argument("--seed", type=int, default=0)
    fit(p.parse_args())
